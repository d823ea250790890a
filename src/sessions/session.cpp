#include "sessions/session.h"

#include "base/error.h"
#include "base/log.h"

namespace trailer::sessions {

using protocol::Channel;

namespace {

// A person who keeps to the window never has more than that under way, and as much again after a
// new connection.
constexpr std::size_t kMostInbox = 3 * protocol::kWindow;

protocol::SessionLeave leave_of(std::string_view message) {
    const auto data = protocol::data_of(message);
    return data.empty() ? protocol::SessionLeave{}
                        : wire::from_json_text<protocol::SessionLeave>(data);
}

}  // namespace

Session::Session(asio::any_io_executor executor, std::unique_ptr<Endpoint> endpoint, Form form,
                 std::chrono::milliseconds grace)
    : executor_(executor),
      endpoint_(std::move(endpoint)),
      form_(form),
      grace_(grace),
      alone_since_(std::chrono::steady_clock::now()),
      outbox_room_(executor),
      arrived_(executor),
      state_changed_(executor) {}

Task<> Session::run() {
    aio::TaskGroup tasks(executor_);
    tasks.spawn(pump_output());
    tasks.spawn(feed_input());
    tasks.spawn(wait_for_the_end(&tasks));
    std::exception_ptr cancelled;
    try {
        co_await tasks.join();
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e)) cancelled = std::current_exception();
        log::debug("session: {}", describe(e));
    }
    over_ = true;
    if (line_ != nullptr) line_->tasks.cancel();
    // An agent that ends has a moment left: what was started must not outlive it.
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await endpoint_->terminate();
    if (cancelled) std::rethrow_exception(cancelled);
}

void Session::push(std::string message) {
    outbox_.push(std::move(message));
    if (line_ != nullptr) line_->to_send.notify();
}

Task<> Session::pump_output() {
    std::string failure;
    while (!ended_) {
        while (outbox_.full()) co_await outbox_room_.wait();
        std::string message;
        try {
            message = co_await endpoint_->read();
        } catch (const std::exception& e) {
            if (aio::is_cancellation(e)) throw;
            message = protocol::end_message(
                {.exit_code = std::nullopt, .problem = protocol::to_problem(e)});
        }
        ended_ = protocol::channel_of(message) == Channel::end;
        push(std::move(message));
    }
    state_changed_.notify();
}

Task<> Session::feed_input() {
    for (;;) {
        while (inbox_.empty()) co_await arrived_.wait();
        auto message = std::move(inbox_.front());
        inbox_.pop_front();
        inbox_bytes_ -= message.size();
        if (!input_dead_) {
            try {
                co_await endpoint_->take(std::move(message));
            } catch (const std::exception& e) {
                if (aio::is_cancellation(e)) throw;
                // As a broken pipe: the process reads no more; its own end tells the rest.
                log::debug("session: its input ends: {}", describe(e));
                input_dead_ = true;
            }
        }
        ++used_;
        if (line_ == nullptr) continue;
        line_->inbox_room.notify();
        if (form_ == Form::numbered) line_->to_send.notify();
    }
}

bool Session::has_ended() const {
    if (left_) return true;
    if (ended_ && outbox_.empty()) return true;
    if (line_ != nullptr) return false;
    return std::chrono::steady_clock::now() - alone_since_ >= grace_;
}

Task<> Session::wait_for_the_end(aio::TaskGroup* tasks) {
    while (!has_ended()) {
        if (line_ != nullptr) {
            co_await state_changed_.wait();
            continue;
        }
        const auto alone = std::chrono::steady_clock::now() - alone_since_;
        co_await state_changed_.wait_for(
            std::chrono::ceil<std::chrono::milliseconds>(grace_ - alone));
    }
    tasks->cancel();
}

Task<> Session::serve(Connection* connection, std::uint64_t received, std::uint64_t used) {
    if (received > outbox_.end()) throw InvalidInput("/received", "more than was sent");
    outbox_.acknowledge(std::min(used, received));
    outbox_room_.notify();
    if (line_ != nullptr) line_->connection->abort();
    Line line(executor_, connection);
    line_ = &line;
    state_changed_.notify();
    line.tasks.spawn(send(&line, received));
    line.tasks.spawn(receive(&line));
    std::exception_ptr cancelled;
    try {
        co_await line.tasks.join();
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e)) cancelled = std::current_exception();
        log::debug("session: its connection ended: {}", describe(e));
    }
    if (line_ == &line) {
        line_ = nullptr;
        alone_since_ = std::chrono::steady_clock::now();
        if (form_ != Form::numbered) left_ = true;
        state_changed_.notify();
    }
    if (cancelled) std::rethrow_exception(cancelled);
}

Task<> Session::send(Line* line, std::uint64_t next) {
    for (;;) {
        if (form_ == Form::numbered && line->told < used_) {
            line->told = used_;
            auto ack = std::make_shared<const std::string>(protocol::ack_message(used_));
            co_await line->connection->write(std::move(ack));
        }
        next = std::max(next, outbox_.begin());  // acknowledged before it was sent: not our loss
        if (next == outbox_.end()) {
            co_await line->to_send.wait();
            continue;
        }
        auto message = outbox_.at(next++);
        const bool is_end = protocol::channel_of(*message) == Channel::end;
        if (form_ == Form::raw) {
            message = std::make_shared<const std::string>(protocol::data_of(*message));
        }
        if (form_ != Form::raw || !is_end) co_await line->connection->write(std::move(message));
        if (form_ == Form::numbered) continue;
        outbox_.acknowledge(next);
        outbox_room_.notify();
        if (is_end) state_changed_.notify();
    }
}

Task<> Session::receive(Line* line) {
    while (auto message = co_await line->connection->read()) {
        if (form_ == Form::raw) message->insert(0, 1, static_cast<char>(Channel::input));
        co_await take(line, std::move(*message));
    }
    line->tasks.cancel();
}

Task<> Session::take(Line* line, std::string message) {
    const auto channel = protocol::channel_of(message);
    if (channel == Channel::ack) {
        outbox_.acknowledge(protocol::ack_count(message));
        outbox_room_.notify();
        if (ended_) state_changed_.notify();
        co_return;
    }
    ++received_;
    switch (channel) {
        case Channel::input:
        case Channel::resize:
        case Channel::close:
            co_await put_into_inbox(line, std::move(message));
            co_return;
        case Channel::end:
            if (leave_of(message).detach) endpoint_->let_go();
            left_ = true;
            state_changed_.notify();
            co_return;
        default:
            throw InvalidInput("", "a person's message is input, a resize, a close or the end");
    }
}

Task<> Session::put_into_inbox(Line* line, std::string message) {
    if (form_ == Form::numbered) {
        if (inbox_bytes_ > kMostInbox) {
            // Another connection would end alike, for what does not fit was counted.
            left_ = true;
            state_changed_.notify();
            throw InvalidInput("", "more was sent than the window has");
        }
    } else {
        while (inbox_bytes_ > protocol::kWindow) co_await line->inbox_room.wait();
    }
    inbox_bytes_ += message.size();
    inbox_.push_back(std::move(message));
    arrived_.notify();
}

}  // namespace trailer::sessions
