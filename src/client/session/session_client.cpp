#include "client/session/session_client.h"

#include "aio/backoff.h"
#include "base/log.h"
#include "wire/json.h"

namespace trailer::client {

using namespace std::chrono_literals;
using protocol::Channel;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto kOpenTimeout = 30s;
constexpr auto kResumeTimeout = 17s;  // of one attempt; the server waits 15 s for the host
constexpr auto kQuiet = 1s;           // a shorter break is not told
constexpr auto kLeaveTimeout = 2s;    // for the host to hear it
constexpr auto kFirstPause = 100ms;   // before each attempt, and a random part on top
constexpr auto kAckPause = 5ms;       // when nothing else is used meanwhile
constexpr std::size_t kAckBytes = protocol::kWindow / 4;
constexpr std::size_t kBatch = 256 << 10;
// A host that keeps to the window never has more than that under way, and as much again after a
// new connection.
constexpr std::size_t kMostInbox = 3 * protocol::kWindow + (4 << 20);

Task<protocol::SessionOpened> read_opened(net::WebSocket* socket) {
    const auto frame = co_await socket->read();
    if (!frame) throw Error(ErrorKind::unavailable, "the server ended the connection");
    if (frame->binary) {
        throw Error(ErrorKind::internal, "the session did not begin with its opening message");
    }
    auto opened = wire::from_json_text<protocol::SessionOpened>(frame->data);
    if (opened.problem) protocol::throw_problem(*opened.problem);
    co_return opened;
}

}  // namespace

std::string text_of(LinkNews news) {
    return news == LinkNews::lost ? "connection lost, reconnecting…" : "the connection is back";
}

SessionClient::SessionClient(Api& api, SessionRoute route, std::function<void(LinkNews)> tell)
    : api_(api),
      route_(std::move(route)),
      tell_(std::move(tell)),
      to_write_(api.executor()),
      arrived_(api.executor()),
      room_(api.executor()),
      left_(api.executor()) {}

bool SessionClient::over() const {
    return end_told_ || (leaving_ && Clock::now() >= leave_by_);
}

// `told`: how many messages the path says that we have used.
Task<> SessionClient::connect(std::string path, std::uint64_t told, aio::Deadline deadline) {
    auto socket = co_await api_.websocket(std::move(path), protocol::kNumberedProtocol, deadline);
    auto reading = read_opened(socket.get());
    auto opened = co_await aio::with_deadline(std::move(reading), deadline, "opening the session");
    outbox_.acknowledge(std::min(opened.used, opened.received));
    if (opened.received > outbox_.end()) {
        throw Error(ErrorKind::internal, "the host has {} messages of {}", opened.received,
                    outbox_.end());
    }
    if (opened.received < outbox_.begin()) {
        throw SessionGone(ErrorKind::not_found, "the host has lost what was sent");
    }
    room_.notify();
    opened_ = std::move(opened);
    line_ = std::make_unique<Line>(api_.executor(), std::move(socket));
    line_->next = opened_.received;
    line_->told = told;
    untold_bytes_ = 0;
}

Task<> SessionClient::open() {
    auto path = fmt::format("{}/{}", route_.subject, route_.session);
    co_await connect(std::move(path), 0, aio::Deadline::in(kOpenTimeout));
}

Task<> SessionClient::run() {
    for (;;) {
        auto why = co_await serve();
        if (over() || leaving_) co_return;
        if (!co_await reconnect(std::move(why))) co_return;
    }
}

// Until the connection ends; gives why it did.
Task<std::string> SessionClient::serve() {
    auto* const line = line_.get();
    line->tasks.spawn(write_all(line));
    line->tasks.spawn(read_all(line));
    line->tasks.spawn(give_up_leaving(line));
    std::string why;
    try {
        co_await line->tasks.join();
    } catch (const Error& e) {
        if (!e.may_pass()) throw;
        why = describe(e);
    }
    // What was written goes out before the connection's end does: no farewell is waited for.
    line->socket->abort();
    co_return why;
}

Task<> SessionClient::write_all(Line* line) {
    bool rested = false;
    for (;;) {
        const bool due = untold_bytes_ >= kAckBytes || end_came_ || rested;
        if (used_ > line->told && due) co_await acknowledge(line);
        if (end_told_) break;
        line->next = std::max(line->next, outbox_.begin());
        if (line->next < outbox_.end()) {
            co_await line->socket->write(outbox_.at(line->next++), true);
        } else if (used_ > line->told) {
            rested = !co_await to_write_.wait_for(kAckPause);
        } else {
            rested = false;
            co_await to_write_.wait();
        }
    }
    line->tasks.cancel();
}

Task<> SessionClient::acknowledge(Line* line) {
    line->told = used_;
    untold_bytes_ = 0;
    const bool last = end_came_ && used_ == received_;
    auto ack = protocol::ack_message(used_);
    co_await line->socket->write(std::move(ack), true);
    end_told_ = end_told_ || last;
}

Task<> SessionClient::read_all(Line* line) {
    while (auto frame = co_await line->socket->read()) {
        if (!frame->binary) throw Error(ErrorKind::internal, "a session's message is binary");
        take(std::move(frame->data));
    }
    throw Error(ErrorKind::unavailable, "the server ended the connection");
}

void SessionClient::take(std::string message) {
    const auto channel = protocol::channel_of(message);
    if (channel == Channel::ack) {
        outbox_.acknowledge(protocol::ack_count(message));
        room_.notify();
        return;
    }
    if (end_came_) throw Error(ErrorKind::internal, "a session's end is its last message");
    ++received_;
    end_came_ = channel == Channel::end;
    inbox_bytes_ += message.size();
    if (inbox_bytes_ + given_bytes_ > kMostInbox) {
        throw Error(ErrorKind::internal, "more was sent than the session's window has");
    }
    inbox_.push_back(std::move(message));
    arrived_.notify();
}

// The host hears of a leave at once, or not at all.
Task<> SessionClient::give_up_leaving(Line* line) {
    while (!leaving_) co_await left_.wait();
    while (Clock::now() < leave_by_) {
        co_await aio::sleep(std::chrono::ceil<std::chrono::milliseconds>(leave_by_ - Clock::now()));
    }
    line->tasks.cancel();
}

// False when there is nothing to come back for.
Task<bool> SessionClient::reconnect(std::string why) {
    if (end_came_) {
        // All is here but for our thanks; who receives it goes on.
        while (used_ < received_ && !leaving_) co_await to_write_.wait();
        end_told_ = true;
        co_return false;
    }
    const auto dropped = Clock::now();
    const auto give_up = dropped + std::chrono::milliseconds(opened_.grace_ms);
    const auto told = std::make_shared<bool>(false);  // shared with a timer that may come late
    asio::steady_timer notice(api_.executor(), kQuiet);
    notice.async_wait([tell = tell_, told](const boost::system::error_code& error) {
        if (error) return;
        *told = true;
        tell(LinkNews::lost);
    });
    aio::Backoff backoff(150ms, 1900ms);
    for (;;) {
        const auto pause = kFirstPause + backoff.next();
        co_await left_.wait_for(pause);
        if (leaving_) co_return false;
        if (Clock::now() >= give_up) {
            throw Error(ErrorKind::unavailable,
                        "the connection was lost and did not come back within {}: {}",
                        format_duration(std::chrono::milliseconds(opened_.grace_ms)), why);
        }
        if (co_await try_again(&why, give_up)) break;
    }
    notice.cancel();
    if (*told) tell_(LinkNews::back);
    co_return true;
}

Task<bool> SessionClient::try_again(std::string* why, Clock::time_point give_up) {
    try {
        const auto used = used_;
        auto path = fmt::format("{}/sessions/{}?received={}&used={}", route_.subject,
                                net::percent_encode(opened_.session), received_, used);
        const auto deadline = aio::Deadline{give_up + kFirstPause}.at_most(kResumeTimeout);
        co_await connect(std::move(path), used, deadline);
        co_return true;
    } catch (const SessionGone&) {
        throw;
    } catch (const Error& e) {
        if (e.kind() == ErrorKind::not_found) {
            throw SessionGone(ErrorKind::not_found, "the session is gone: {}", e.what());
        }
        // A proxy's 502 while the server starts anew is one of the others.
        if (!e.may_pass() && e.kind() != ErrorKind::internal) throw;
        *why = describe(e);
        co_return false;
    }
}

Task<std::vector<std::string>> SessionClient::receive() {
    while (inbox_.empty()) co_await arrived_.wait();
    std::vector<std::string> messages;
    std::size_t bytes = 0;
    while (!inbox_.empty() && bytes < kBatch) {
        bytes += inbox_.front().size();
        messages.push_back(std::move(inbox_.front()));
        inbox_.pop_front();
    }
    inbox_bytes_ -= bytes;
    given_bytes_ += bytes;
    given_ += messages.size();
    co_return messages;
}

void SessionClient::used() {
    used_ = given_;
    untold_bytes_ += std::exchange(given_bytes_, 0);
    to_write_.notify();
}

Task<> SessionClient::send(std::string message) {
    while (outbox_.full()) co_await room_.wait();
    post(std::move(message));
}

void SessionClient::post(std::string message) {
    if (leaving_) return;  // the host takes nothing after that
    outbox_.push(std::move(message));
    to_write_.notify();
}

void SessionClient::leave(protocol::SessionLeave how) {
    if (leaving_) return;
    post(protocol::session_message(Channel::end, wire::to_json_text(how)));
    leaving_ = true;
    leave_by_ = Clock::now() + kLeaveTimeout;
    left_.notify();
}

}  // namespace trailer::client
