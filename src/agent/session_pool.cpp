#include "agent/session_pool.h"

#include "base/log.h"
#include "net/trunk.h"

namespace trailer::agent {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLeast = 1;
constexpr std::size_t kMost = 32;
constexpr auto kForget = 30s;  // after so long without a miss, half as many wait

// A session's messages over a WebSocket.
class WebSocketConnection : public sessions::Connection {
  public:
    explicit WebSocketConnection(net::WebSocket& socket) : socket_(socket) {}

    Task<std::optional<std::string>> read() override {
        auto message = co_await socket_.read();
        if (!message) co_return std::nullopt;
        if (!message->binary) throw InvalidInput("", "a session's messages are binary");
        co_return std::move(message->data);
    }
    Task<> write(SharedBytes message) override { co_await socket_.write(std::move(message), true); }
    Task<> write_text(std::string text) override { co_await socket_.write(std::move(text)); }
    Task<> close(std::string reason) override { co_await socket_.close(1000, std::move(reason)); }
    void abort() override { socket_.abort(); }

  private:
    net::WebSocket& socket_;
};

// `first` is the message that opens it.
Task<> serve(sessions::Sessions* sessions, net::WebSocket* socket, std::string first) {
    auto open = wire::from_json_text<protocol::OpenSession>(first);
    WebSocketConnection connection(*socket);
    co_await sessions->serve(&connection, std::move(open));
}

Task<> serve_from_first(sessions::Sessions* sessions, std::unique_ptr<net::WebSocket> line) {
    const auto first = co_await line->read();
    if (first) co_await serve(sessions, line.get(), first->data);
}

}  // namespace

SessionPool::SessionPool(const asio::any_io_executor& executor, ServerLink& server,
                         std::function<void()> unauthenticated)
    : executor_(executor),
      server_(server),
      unauthenticated_(std::move(unauthenticated)),
      changed_(executor),
      trunk_changed_(executor) {}

void SessionPool::set_online(bool online) {
    online_ = online;
    if (online) backoff_.reset();
    changed_.notify();
    trunk_changed_.notify();
}

void SessionPool::want_trunk() {
    trunk_wanted_ = true;
    trunk_changed_.notify();
}

void SessionPool::want_more() {
    target_ = std::min(2 * target_, kMost);
    missed_at_ = std::chrono::steady_clock::now();
    changed_.notify();
}

Task<> SessionPool::run(sessions::Sessions* sessions) {
    aio::TaskGroup tasks(executor_);
    tasks.spawn(keep_trunk(sessions));
    std::exception_ptr cancelled;
    try {
        for (;;) {
            if (std::exchange(failed_, false)) co_await aio::sleep(backoff_.next());
            if (target_ > kLeast && std::chrono::steady_clock::now() - missed_at_ > kForget) {
                target_ = std::max(target_ / 2, kLeast);
                missed_at_ = std::chrono::steady_clock::now();
            }
            while (online_ && !failed_ && idle_ + opening_ < target_) {
                ++opening_;
                tasks.spawn(hold_one(sessions));
            }
            if (!failed_) co_await changed_.wait_for(kForget);
        }
    } catch (const std::exception& e) {
        cancelled = std::current_exception();
        log::debug("session connections: {}", describe(e));
    }
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    tasks.cancel();
    co_await tasks.join();
    std::rethrow_exception(cancelled);
}

Task<> SessionPool::hold_one(sessions::Sessions* sessions) {
    try {
        co_await use_one(sessions);
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e)) throw;
        failed(e, "a session's connection");
    }
}

// Counts itself where it stands, so that the pool is filled up.
Task<> SessionPool::use_one(sessions::Sessions* sessions) {
    struct Place {
        std::size_t* count;
        SessionPool* pool;
        void move_to(std::size_t* next) {
            if (count != nullptr) --*count;
            count = next;
            if (count != nullptr) ++*count;
            pool->changed_.notify();
        }
        ~Place() {
            if (count != nullptr) pool->failed_ = true;  // it served nobody
            move_to(nullptr);
        }
    } place{&opening_, this};
    const auto socket = co_await server_.session();
    place.move_to(&idle_);
    backoff_.reset();
    const auto first = co_await socket->read();
    if (!first) throw Error(ErrorKind::unavailable, "the server closed it");
    place.move_to(nullptr);
    co_await serve(sessions, socket.get(), first->data);
}

Task<> SessionPool::keep_trunk(sessions::Sessions* sessions) {
    const auto serve_line = [sessions](std::unique_ptr<net::WebSocket> line) {
        return serve_from_first(sessions, std::move(line));
    };
    aio::Backoff backoff;
    for (;;) {
        while (!online_ || !trunk_wanted_) co_await trunk_changed_.wait();
        try {
            auto socket = co_await server_.trunk();
            net::Trunk trunk(executor_, std::move(socket), serve_line);
            trunk_wanted_ = false;  // when it has gone and would be of use, the server asks again
            backoff.reset();
            co_await trunk.run();
        } catch (const std::exception& e) {
            if (aio::is_cancellation(e)) throw;
            failed(e, "a trunk");
        }
        co_await aio::sleep(backoff.next());
    }
}

void SessionPool::failed(const std::exception& e, const char* what) {
    log::debug("{}: {}", what, describe(e));
    const auto* error = dynamic_cast<const Error*>(&e);
    if (error != nullptr && error->kind() == ErrorKind::unauthenticated) unauthenticated_();
}

}  // namespace trailer::agent
