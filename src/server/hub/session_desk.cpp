#include "server/hub/session_desk.h"

#include "base/error.h"
#include "base/log.h"
#include "wire/json.h"

namespace trailer::server {
namespace {

// What the host said to the opening. Throws its problem.
protocol::SessionOpened read_opened(const std::optional<net::WebSocketMessage>& answer) {
    if (!answer) throw Error(ErrorKind::unavailable, "the connection to the host broke");
    auto opened = wire::from_json_text<protocol::SessionOpened>(answer->data);
    if (opened.problem) protocol::throw_problem(*opened.problem);
    return opened;
}

constexpr const char* kNoAnswer = "the host did not answer in time";

}  // namespace

struct SessionDesk::Idle {
    Idle(const asio::any_io_executor& executor, std::shared_ptr<net::WebSocket> its_socket)
        : socket(std::move(its_socket)), answered(executor), released(executor) {}

    std::shared_ptr<net::WebSocket> socket;
    bool taken = false;
    aio::Signal answered;
    std::optional<net::WebSocketMessage> answer;  // to the opening
    aio::Signal released;
    bool done = false;
};

SessionDesk::Lease::Lease(std::shared_ptr<Idle> idle) : idle_(std::move(idle)) {}

SessionDesk::Lease::Lease(std::unique_ptr<net::WebSocket> line) : line_(std::move(line)) {}

SessionDesk::Lease::~Lease() {
    if (!idle_) return;
    idle_->done = true;
    idle_->released.notify();
}

net::WebSocket& SessionDesk::Lease::socket() {
    return line_ ? *line_ : *idle_->socket;
}

SessionDesk::SessionDesk(asio::any_io_executor executor, AgentChannels& channels)
    : executor_(std::move(executor)), channels_(channels) {}

SessionDesk::~SessionDesk() = default;

std::size_t SessionDesk::idle(const std::string& host_id) const {
    const auto found = hosts_.find(host_id);
    return found == hosts_.end() ? 0 : found->second.idle.size();
}

void SessionDesk::forget(const std::string& host_id, const std::shared_ptr<Idle>& idle) {
    const auto host = hosts_.find(host_id);
    if (host == hosts_.end()) return;
    std::erase(host->second.idle, idle);
    if (host->second.idle.empty() && host->second.waiting.empty()) hosts_.erase(host);
}

Task<> SessionDesk::keep(std::string host_id, std::shared_ptr<net::WebSocket> socket) {
    const auto idle = std::make_shared<Idle>(executor_, std::move(socket));
    auto& host = hosts_[host_id];
    host.idle.push_back(idle);
    if (!host.waiting.empty()) host.waiting.front()->notify();
    std::exception_ptr cancelled;
    try {
        // Pending while nobody opens a session: answers pings, and notices when the agent goes.
        idle->answer = co_await idle->socket->read();
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e)) cancelled = std::current_exception();
        log::debug("an agent's idle connection: {}", describe(e));
    }
    forget(host_id, idle);
    idle->answered.notify();
    // The socket belongs to this request: who uses it goes first, even when the server ends.
    if (idle->taken && !idle->done) {
        try {
            co_await idle->released.wait();
        } catch (const std::exception&) {
            cancelled = std::current_exception();
        }
    }
    if (cancelled) {
        idle->socket->abort();
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        while (idle->taken && !idle->done) co_await idle->released.wait();
    }
    if (cancelled) std::rethrow_exception(cancelled);
}

Task<std::shared_ptr<SessionDesk::Idle>> SessionDesk::take(std::string host_id,
                                                           aio::Deadline deadline) {
    for (;;) {
        auto& host = hosts_[host_id];
        if (!host.idle.empty()) {
            auto idle = std::move(host.idle.front());
            host.idle.pop_front();
            idle->taken = true;
            co_return idle;
        }
        if (!channels_.connected(host_id) || deadline.passed()) break;
        channels_.ask_session(host_id);
        const auto turn = std::make_shared<aio::Signal>(executor_);
        host.waiting.push_back(turn);
        std::exception_ptr failure;
        try {
            co_await turn->wait_for(deadline.left());
        } catch (...) {
            failure = std::current_exception();
        }
        std::erase(hosts_[host_id].waiting, turn);
        if (failure) std::rethrow_exception(failure);
    }
    throw Error(ErrorKind::unavailable, "the host is not connected: its agent is down or cut off");
}

Task<std::unique_ptr<SessionDesk::Lease>> SessionDesk::open(std::string host_id,
                                                            protocol::OpenSession open,
                                                            aio::Deadline deadline) {
    const auto text = wire::to_json_text(open);
    for (;;) {
        auto idle = co_await take(host_id, deadline);
        auto lease = std::make_unique<Lease>(idle);
        try {
            std::string message = text;
            co_await idle->socket->write(std::move(message));
        } catch (const Error& e) {
            // It was dead and nobody had noticed: nothing has begun, so another one serves as well.
            log::debug("opening a session: {}", describe(e));
            continue;
        }
        const bool answered = co_await idle->answered.wait_for(deadline.left());
        if (!answered) throw Error(ErrorKind::timeout, kNoAnswer);
        lease->opened_ = read_opened(idle->answer);
        co_return lease;
    }
}

Task<> SessionDesk::keep_trunk(std::string host_id, std::shared_ptr<net::WebSocket> socket) {
    const auto trunk = std::make_shared<net::Trunk>(executor_, std::move(socket), nullptr);
    trunks_[host_id] = trunk;
    std::exception_ptr cancelled;
    try {
        co_await trunk->run();
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e)) cancelled = std::current_exception();
        log::debug("an agent's trunk: {}", describe(e));
    }
    // Unless a newer one has taken its place.
    const auto found = trunks_.find(host_id);
    if (found != trunks_.end() && found->second == trunk) trunks_.erase(found);
    if (cancelled) std::rethrow_exception(cancelled);
}

Task<std::unique_ptr<SessionDesk::Lease>> SessionDesk::open_on_trunk(std::string host_id,
                                                                     protocol::OpenSession open,
                                                                     aio::Deadline deadline) {
    const auto found = trunks_.find(host_id);
    if (found != trunks_.end()) {
        auto line = found->second->open();
        if (auto lease = co_await open_line(std::move(line), &open, deadline)) co_return lease;
    } else {
        channels_.ask_trunk(host_id);  // for the next; an old agent does not know what that is
    }
    co_return co_await this->open(std::move(host_id), std::move(open), deadline);
}

// Nothing where the trunk breaks before the host has answered: then another way serves as well.
Task<std::unique_ptr<SessionDesk::Lease>> SessionDesk::open_line(
    std::unique_ptr<net::WebSocket> line, const protocol::OpenSession* open,
    aio::Deadline deadline) {
    auto lease = std::make_unique<Lease>(std::move(line));
    std::optional<net::WebSocketMessage> answer;
    try {
        auto text = wire::to_json_text(*open);
        co_await lease->socket().write(std::move(text));
        answer = co_await aio::with_deadline(lease->socket().read(), deadline, kNoAnswer);
    } catch (const Error& e) {
        if (e.kind() == ErrorKind::timeout) throw;
        log::debug("opening a session on a trunk: {}", describe(e));
        co_return nullptr;
    }
    lease->opened_ = read_opened(answer);
    co_return lease;
}

}  // namespace trailer::server
