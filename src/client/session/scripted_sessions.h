// A real small server that plays the server and the hosts behind it for tests of sessions: each
// that is opened runs a program of the test's. It goes on over further connections, and its
// connections can be broken at will. It runs on a thread of its own, because the verbs block
// theirs.
#pragma once

#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "aio/signal.h"
#include "aio/task_group.h"
#include "base/id.h"
#include "net/http_server.h"
#include "protocol/session.h"
#include "wire/json.h"

namespace trailer::client {

using protocol::Channel;

// The host's side of one session.
class ScriptedSession {
  public:
    ScriptedSession(asio::any_io_executor executor, net::Request request)
        : request(std::move(request)),
          executor_(executor),
          room_(executor),
          arrived_(executor),
          to_send_(executor) {}

    // For the program.
    Task<> write(Channel channel, std::string data) {
        while (outbox_.full()) co_await room_.wait();
        push(protocol::session_message(channel, data));
        written += data.size() + 1;
    }
    // The person's next message. What was read before counts as used.
    Task<std::string> read() {
        acknowledge();
        while (inbox_.empty()) co_await arrived_.wait();
        auto message = std::move(inbox_.front());
        inbox_.pop_front();
        in_use_ = true;
        used_bytes_ = message.size();
        co_return message;
    }
    void end(protocol::SessionEnd end) {
        acknowledge();
        push(protocol::end_message(end));
    }
    std::size_t pending() const { return outbox_.bytes(); }

    const net::Request request;  // that opened it
    const std::string id = new_id();
    bool tty = false;
    std::int64_t grace_ms = 20'000;
    std::atomic<std::size_t> unacknowledged = 0;  // bytes of the person's
    std::atomic<std::size_t> most_unacknowledged = 0;
    std::atomic<std::size_t> written = 0;  // bytes of the program's
    std::atomic<int> connections = 0;
    std::optional<protocol::SessionLeave> left;
    std::function<bool()> breaks;  // asked before and after each message; breaks the connection

    Task<> serve(net::WebSocket* socket, std::uint64_t received, std::uint64_t used) {
        ++connections;
        outbox_.acknowledge(used);
        room_.notify();
        auto opening = wire::to_json_text(protocol::SessionOpened{
            .session = id, .received = received_, .used = used_, .grace_ms = grace_ms, .tty = tty});
        co_await socket->write(std::move(opening));
        aio::TaskGroup tasks(executor_);
        tasks.spawn(send(socket, received));
        tasks.spawn(receive(socket, &tasks));
        try {
            co_await tasks.join();
        } catch (const Error&) {
            socket->abort();
        }
    }

  private:
    void push(std::string message) {
        outbox_.push(std::move(message));
        to_send_.notify();
    }
    void acknowledge() {
        if (!std::exchange(in_use_, false)) return;
        ++used_;
        unacknowledged -= used_bytes_;
        to_send_.notify();
    }
    void maybe_break() const {
        if (breaks && breaks()) throw Error(ErrorKind::unavailable, "broken by the test");
    }

    Task<> send(net::WebSocket* socket, std::uint64_t next) {
        std::uint64_t told = 0;
        for (;;) {
            if (told < used_) {
                told = used_;
                maybe_break();
                auto ack = protocol::ack_message(told);
                co_await socket->write(std::move(ack), true);
            }
            next = std::max(next, outbox_.begin());
            if (next == outbox_.end()) {
                co_await to_send_.wait();
                continue;
            }
            maybe_break();
            co_await socket->write(outbox_.at(next++), true);
            maybe_break();
        }
    }

    Task<> receive(net::WebSocket* socket, aio::TaskGroup* tasks) {
        while (auto frame = co_await socket->read()) {
            maybe_break();
            const auto channel = protocol::channel_of(frame->data);
            if (channel == Channel::ack) {
                outbox_.acknowledge(protocol::ack_count(frame->data));
                room_.notify();
                continue;
            }
            ++received_;
            if (channel == Channel::end) {
                left = wire::from_json_text<protocol::SessionLeave>(protocol::data_of(frame->data));
                break;
            }
            unacknowledged += frame->data.size();
            most_unacknowledged = std::max(most_unacknowledged.load(), unacknowledged.load());
            inbox_.push_back(std::move(frame->data));
            arrived_.notify();
            maybe_break();
        }
        tasks->cancel();
    }

    asio::any_io_executor executor_;
    protocol::Outbox outbox_;
    std::deque<std::string> inbox_;
    std::uint64_t received_ = 0;
    std::uint64_t used_ = 0;
    std::size_t used_bytes_ = 0;
    bool in_use_ = false;
    aio::Signal room_;
    aio::Signal arrived_;
    aio::Signal to_send_;
};

class ScriptedSessions {
  public:
    using Program = std::function<Task<>(ScriptedSession*)>;

    ScriptedSessions() {
        asio::co_spawn(context_, serve(),
                       asio::bind_cancellation_slot(stop_.slot(), [](std::exception_ptr) {}));
        thread_ = std::thread([this] { context_.run(); });
    }
    ~ScriptedSessions() {
        asio::post(context_, [this] { stop_.emit(asio::cancellation_type::all); });
        thread_.join();
    }
    ScriptedSessions(const ScriptedSessions&) = delete;
    ScriptedSessions& operator=(const ScriptedSessions&) = delete;

    std::string url() const { return fmt::format("http://127.0.0.1:{}", server_.port()); }

    // What a session whose path ends so runs: "/exec". Set before the first call.
    void on(std::string path_end, Program program) {
        programs_[std::move(path_end)] = std::move(program);
    }
    // What is answered to a plain request: "GET /api/workspaces".
    void answer(std::string call, std::string body) { answers_[std::move(call)] = std::move(body); }
    // Called for each session before its program, on the server's thread.
    std::function<void(ScriptedSession&)> opened = [](ScriptedSession&) {};
    std::atomic<int> refuse_resume = 0;  // a status; 0: does not
    std::atomic<int> resumes = 0;

    // Of all sessions so far, in their order. After the command has ended.
    std::vector<std::shared_ptr<ScriptedSession>> sessions() const {
        const std::lock_guard lock(mutex_);
        return sessions_;
    }

  private:
    Task<> serve() {
        group_.spawn(server_.serve());
        co_await group_.join();
    }

    Task<> refuse(net::Exchange* exchange, int status, std::string detail) {
        protocol::Problem problem{.status = status, .detail = std::move(detail)};
        net::Response response{
            status, {{"Content-Type", "application/problem+json"}}, wire::to_json_text(problem)};
        co_await exchange->respond(std::move(response));
    }

    Task<> handle(net::Exchange* exchange) {
        const auto& request = exchange->request();
        const std::string path(request.path());
        if (const auto found = answers_.find(request.method + " " + path);
            found != answers_.end()) {
            net::Response response{200, {{"Content-Type", "application/json"}}, found->second};
            co_await exchange->respond(std::move(response));
            co_return;
        }
        if (path.find("/sessions/") != path.npos) co_return co_await resume(exchange);
        for (const auto& [end, program] : programs_) {
            if (path.ends_with(end)) co_return co_await begin(exchange, program);
        }
        co_await refuse(exchange, 404, "there is no such thing");
    }

    Task<> begin(net::Exchange* exchange, const Program& program) {
        auto session =
            std::make_shared<ScriptedSession>(context_.get_executor(), exchange->request());
        opened(*session);
        {
            const std::lock_guard lock(mutex_);
            sessions_.push_back(session);
        }
        const auto socket = co_await accept(exchange);
        group_.spawn(run(session, program));
        co_await session->serve(socket.get(), 0, 0);
    }

    Task<> resume(net::Exchange* exchange) {
        ++resumes;
        if (refuse_resume != 0) {
            co_await refuse(exchange, refuse_resume, "not now, or never");
            co_return;
        }
        const std::string path(exchange->request().path());
        const auto id = path.substr(path.rfind('/') + 1);
        const auto query = exchange->request().query();
        const auto received = std::stoull(query.find("received").value());
        const auto used = std::stoull(query.find("used").value());
        std::shared_ptr<ScriptedSession> session;
        for (const auto& each : sessions()) {
            if (each->id == id) session = each;
        }
        if (!session) co_return co_await refuse(exchange, 404, "there is no such session");
        const auto socket = co_await accept(exchange);
        co_await session->serve(socket.get(), received, used);
    }

    static Task<std::unique_ptr<net::WebSocket>> accept(net::Exchange* exchange) {
        net::WebSocketOptions options;
        options.max_message = 4 << 20;
        co_return co_await exchange->accept_websocket(options, protocol::kNumberedProtocol);
    }

    static Task<> run(std::shared_ptr<ScriptedSession> session, Program program) {
        co_await program(session.get());
    }

    asio::io_context context_{1};
    mutable std::mutex mutex_;
    std::vector<std::shared_ptr<ScriptedSession>> sessions_;  // shared with their connections
    std::map<std::string, Program> programs_;
    std::map<std::string, std::string> answers_;
    asio::cancellation_signal stop_;
    aio::TaskGroup group_{context_.get_executor()};
    net::HttpServer server_{context_.get_executor(), {.port = 0}, [this](net::Exchange& exchange) {
                                return handle(&exchange);
                            }};
    std::thread thread_;
};

}  // namespace trailer::client
