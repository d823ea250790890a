// A connection in memory, with the person's end of it, for tests: what the person sends the host
// reads, and the other way. To the person go a few messages at a time, then the host's writer
// waits.
#pragma once

#include <deque>

#include "aio/signal.h"
#include "base/error.h"
#include "protocol/session.h"
#include "sessions/connection.h"

namespace trailer::sessions {

class MemoryConnection : public Connection {
  public:
    explicit MemoryConnection(const asio::any_io_executor& executor)
        : to_host_news_(executor), to_person_news_(executor), to_person_room_(executor) {}

    // --- the host's end
    Task<std::optional<std::string>> read() override {
        while (to_host_.empty() && !closed_ && !broken_) co_await to_host_news_.wait();
        if (broken_) throw Error(ErrorKind::unavailable, "the wire broke");
        if (to_host_.empty()) co_return std::nullopt;
        auto message = std::move(to_host_.front());
        to_host_.pop_front();
        co_return message;
    }
    Task<> write(SharedBytes message) override { co_await put(*message); }
    Task<> write_text(std::string text) override { co_await put(std::move(text)); }
    Task<> close(std::string) override {
        host_closed_ = true;
        to_person_news_.notify();
        co_return;
    }
    void abort() override { cut(); }

    // --- the person's end
    void send(std::string message) {
        to_host_.push_back(std::move(message));
        to_host_news_.notify();
    }
    void send_input(std::string_view data) {
        send(protocol::session_message(protocol::Channel::input, data));
    }
    void leave() {
        closed_ = true;
        to_host_news_.notify();
    }
    // Both directions end at once, and what is under way is lost.
    void cut() {
        broken_ = true;
        to_host_news_.notify();
        to_person_news_.notify();
        to_person_room_.notify();
    }
    // The next message from the host; nothing once it has closed.
    Task<std::optional<std::string>> receive() {
        while (to_person_.empty() && !host_closed_ && !broken_) co_await to_person_news_.wait();
        if (broken_ || to_person_.empty()) co_return std::nullopt;
        auto message = std::move(to_person_.front());
        to_person_.pop_front();
        to_person_room_.notify();
        co_return message;
    }
    // The next that is there already.
    std::optional<std::string> take() {
        if (broken_ || to_person_.empty()) return std::nullopt;
        auto message = std::move(to_person_.front());
        to_person_.pop_front();
        to_person_room_.notify();
        return message;
    }
    std::size_t waiting() const { return to_person_.size(); }
    std::size_t unread() const { return to_host_.size(); }  // by the host
    std::size_t unread_bytes() const {
        std::size_t sum = 0;
        for (const auto& each : to_host_) sum += each.size();
        return sum;
    }
    bool broken() const { return broken_; }
    bool host_closed() const { return host_closed_; }

  private:
    static constexpr std::size_t kRoom = 4;

    Task<> put(std::string message) {
        while (to_person_.size() >= kRoom && !broken_) co_await to_person_room_.wait();
        if (broken_) throw Error(ErrorKind::unavailable, "the wire broke");
        to_person_.push_back(std::move(message));
        to_person_news_.notify();
    }

    std::deque<std::string> to_host_;
    std::deque<std::string> to_person_;
    aio::Signal to_host_news_;
    aio::Signal to_person_news_;
    aio::Signal to_person_room_;
    bool closed_ = false;
    bool broken_ = false;
    bool host_closed_ = false;
};

}  // namespace trailer::sessions
