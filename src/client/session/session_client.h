// A person's side of a session: sends and receives its messages over whatever connection there is.
//
// The connection may break at any moment: within the host's grace the session is taken up again,
// with nothing lost or repeated, and neither who sends nor who receives notices more than a pause.
// Memory: a window of what is sent, and what the host may send ahead. One thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "aio/signal.h"
#include "aio/task_group.h"
#include "client/api.h"
#include "protocol/session.h"

namespace trailer::client {

// Where a session is asked for: "/api/workspaces/dev" and "exec?cmd=ls".
struct SessionRoute {
    std::string subject;
    std::string session;
};

// The host does not know the session any more: nobody can take it up again.
class SessionGone : public Error {
  public:
    using Error::Error;
};

// What a person is told of the connection: that it stays away, and that it is back after that.
enum class LinkNews { lost, back };
std::string text_of(LinkNews news);

class SessionClient {
  public:
    SessionClient(Api& api, SessionRoute route, std::function<void(LinkNews)> tell);
    SessionClient(const SessionClient&) = delete;
    SessionClient& operator=(const SessionClient&) = delete;

    // Throws what the server or the host refuses.
    Task<> open();
    const protocol::SessionOpened& opened() const { return opened_; }

    // After open(): keeps the session connected. Returns when its end has been used, or when it was
    // left. Throws SessionGone, or Error for a connection that stays away for too long.
    Task<> run();

    // What has come, at least one message and in order. One caller.
    Task<std::vector<std::string>> receive();
    // All that receive() has given was used: makes room for more.
    void used();

    // Waits while the host has no room for more. One caller.
    Task<> send(std::string message);
    // Does not wait: for the few small messages that must not queue behind others.
    void post(std::string message);
    // The last message: run() returns soon after. Does nothing when called again.
    void leave(protocol::SessionLeave how);

  private:
    struct Line {
        Line(const asio::any_io_executor& executor, std::unique_ptr<net::WebSocket> its_socket)
            : socket(std::move(its_socket)), tasks(executor) {}
        std::unique_ptr<net::WebSocket> socket;
        aio::TaskGroup tasks;
        std::uint64_t next = 0;  // of ours, to be sent
        std::uint64_t told = 0;  // of theirs: how many were acknowledged over it
    };

    bool over() const;
    Task<> connect(std::string path, std::uint64_t told, aio::Deadline deadline);
    Task<std::string> serve();
    Task<bool> reconnect(std::string why);
    Task<bool> try_again(std::string* why, std::chrono::steady_clock::time_point give_up);
    Task<> write_all(Line* line);
    Task<> acknowledge(Line* line);
    Task<> read_all(Line* line);
    Task<> give_up_leaving(Line* line);
    void take(std::string message);

    Api& api_;
    SessionRoute route_;
    std::function<void(LinkNews)> tell_;
    protocol::SessionOpened opened_;
    std::unique_ptr<Line> line_;

    protocol::Outbox outbox_;
    std::deque<std::string> inbox_;
    std::size_t inbox_bytes_ = 0;
    std::size_t given_bytes_ = 0;  // by receive(), not yet used
    std::uint64_t given_ = 0;
    std::uint64_t received_ = 0;
    std::uint64_t used_ = 0;
    std::size_t untold_bytes_ = 0;  // used, not yet acknowledged
    bool end_came_ = false;
    bool end_told_ = false;  // used and acknowledged
    bool leaving_ = false;
    std::chrono::steady_clock::time_point leave_by_;

    aio::Signal to_write_;
    aio::Signal arrived_;
    aio::Signal room_;
    aio::Signal left_;
};

}  // namespace trailer::client
