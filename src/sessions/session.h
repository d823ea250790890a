// One session: an endpoint at the host, and a person's connection for as long as one holds.
//
// A plain session ends with its connection. A numbered one waits `grace` for another: meanwhile the
// endpoint goes on until the window is full, then it is held up, and nothing is lost. A connection
// that comes while another one is there takes its place: the old one is a dead one that nobody has
// noticed yet.
//
// Memory: at most a window of output and a window of input, and a message of each. One thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <deque>
#include <memory>

#include "aio/signal.h"
#include "aio/task_group.h"
#include "protocol/session.h"
#include "sessions/connection.h"
#include "sessions/endpoint.h"

namespace trailer::sessions {

class Session {
  public:
    enum class Form { plain, numbered, raw };  // raw: frames are a port's bytes, without channels

    Session(asio::any_io_executor executor, std::unique_ptr<Endpoint> endpoint, Form form,
            std::chrono::milliseconds grace);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // Until the session is over: its end is delivered, or the person left, or did not come back.
    Task<> run();
    // Serves a connection until it ends or another takes its place. `received` and `used`: how many
    // messages the person has, and has used. Throws InvalidInput for more than there were.
    Task<> serve(Connection* connection, std::uint64_t received, std::uint64_t used);

    bool over() const { return over_; }
    std::uint64_t received() const { return received_; }
    std::uint64_t used() const { return used_; }
    bool tty() const { return endpoint_->tty(); }

  private:
    // One connection, and who waits on its behalf.
    struct Line {
        Line(const asio::any_io_executor& executor, Connection* its_connection)
            : connection(its_connection),
              to_send(executor),
              inbox_room(executor),
              tasks(executor) {}
        Connection* connection;
        aio::Signal to_send;
        aio::Signal inbox_room;
        aio::TaskGroup tasks;
        std::uint64_t told = 0;  // how many messages were acknowledged over it
    };

    Task<> pump_output();
    Task<> feed_input();
    Task<> wait_for_the_end(aio::TaskGroup* tasks);
    Task<> send(Line* line, std::uint64_t next);
    Task<> receive(Line* line);
    Task<> take(Line* line, std::string message);
    Task<> put_into_inbox(Line* line, std::string message);
    void push(std::string message);
    bool has_ended() const;

    asio::any_io_executor executor_;
    std::unique_ptr<Endpoint> endpoint_;
    Form form_;
    std::chrono::milliseconds grace_;

    protocol::Outbox outbox_;
    std::deque<std::string> inbox_;
    std::size_t inbox_bytes_ = 0;
    std::uint64_t received_ = 0;  // messages that have come
    std::uint64_t used_ = 0;      // and that the endpoint has taken
    bool input_dead_ = false;     // nobody takes it
    bool ended_ = false;          // the endpoint has
    bool left_ = false;           // the person has, for good
    bool over_ = false;

    Line* line_ = nullptr;
    std::chrono::steady_clock::time_point alone_since_;
    aio::Signal outbox_room_;
    aio::Signal arrived_;
    aio::Signal state_changed_;
};

}  // namespace trailer::sessions
