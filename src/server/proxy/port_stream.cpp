#include "server/proxy/port_stream.h"

#include "aio/signal.h"
#include "base/error.h"
#include "base/log.h"

namespace trailer::server::proxy {

struct PortStream::Line {
    Line(const asio::any_io_executor& executor, std::unique_ptr<SessionDesk::Lease> its_lease)
        : lease(std::move(its_lease)), arrived(executor), taken(executor) {}

    // The session's connection belongs to the agent's request, which waits for us to let it go.
    void let_go() {
        if (ended && writers == 0) lease.reset();
    }
    void drop() {
        dropped = true;
        taken.notify();
        if (lease) lease->socket().abort();
    }

    std::unique_ptr<SessionDesk::Lease> lease;
    std::string waiting;
    std::string failure;
    aio::Signal arrived;
    aio::Signal taken;
    int writers = 0;
    bool resting = false;
    bool dropped = false;
    bool ended = false;
};

PortStream::PortStream(const asio::any_io_executor& executor,
                       std::unique_ptr<SessionDesk::Lease> lease)
    : line_(std::make_shared<Line>(executor, std::move(lease))) {
    asio::co_spawn(executor, listen(line_), [](const std::exception_ptr& failure) {
        if (failure) log::debug("a port's connection: {}", describe(failure));
    });
}

PortStream::~PortStream() {
    line_->drop();
}

Task<> PortStream::listen(std::shared_ptr<Line> line) {
    try {
        while (auto message = co_await line->lease->socket().read()) {
            if (message->data.empty()) continue;
            while (!line->waiting.empty() && !line->dropped) co_await line->taken.wait();
            if (line->resting || line->dropped) break;
            line->waiting = std::move(message->data);
            line->arrived.notify();
        }
    } catch (const std::exception& e) {
        line->failure = describe(e);
    }
    line->ended = true;
    line->arrived.notify();
    line->let_go();
}

Task<std::string> PortStream::read() {
    const auto line = line_;
    while (line->waiting.empty() && !line->ended && !line->dropped) co_await line->arrived.wait();
    if (line->dropped) throw Error(ErrorKind::unavailable, "the connection was dropped");
    if (!line->waiting.empty()) {
        auto data = std::exchange(line->waiting, {});
        line->taken.notify();
        if (session_) session_->report().bytes_out += data.size();
        co_return data;
    }
    if (!line->failure.empty()) throw Error(ErrorKind::unavailable, line->failure);
    co_return std::string();
}

Task<> PortStream::write(std::string data) {
    const auto line = line_;
    if (line->ended || line->dropped) {
        throw Error(ErrorKind::unavailable, "the workspace has closed the connection");
    }
    if (session_) session_->report().bytes_in += data.size();
    ++line->writers;
    std::exception_ptr failure;
    try {
        co_await line->lease->socket().write(std::move(data), true);
    } catch (...) {
        failure = std::current_exception();
    }
    --line->writers;
    line->let_go();
    if (failure) std::rethrow_exception(failure);
}

void PortStream::abort() {
    line_->drop();
    line_->arrived.notify();
}

void PortStream::rest(bool resting) {
    line_->resting = resting;
    if (resting) session_.reset();
}

bool PortStream::alive() const {
    return !line_->ended && !line_->dropped && line_->waiting.empty();
}

bool PortStream::on_trunk() const {
    return line_->lease && line_->lease->on_trunk();
}

}  // namespace trailer::server::proxy
