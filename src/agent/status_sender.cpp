#include "agent/status_sender.h"

#include "aio/backoff.h"
#include "base/log.h"

namespace trailer::agent {
namespace {

// A batch stays far below the server's bound on bodies (1 MiB) with reports of some kilobytes.
constexpr std::size_t kMostReports = 200;

// News that comes within this time of the last batch waits for its end: a burst of steps makes a
// batch and not a request each, and the first of them is not held up.
constexpr std::chrono::milliseconds kWindow{20};

// That something is under way waits for how it ends, for so long: a change that takes no longer is
// told once.
constexpr std::chrono::milliseconds kUnderWay{50};

bool is_under_way(protocol::State state) {
    using protocol::State;
    return state == State::deploying || state == State::starting || state == State::stopping ||
           state == State::deleting;
}

}  // namespace

StatusSender::StatusSender(const asio::any_io_executor& executor, ServerLink& server,
                           std::function<void()> unauthenticated)
    : server_(server),
      unauthenticated_(std::move(unauthenticated)),
      news_(executor),
      settled_(executor),
      most_(kMostReports) {}

void StatusSender::push(protocol::StatusReport report) {
    if (!is_under_way(report.status)) settled_.notify();
    queue_.push(std::move(report));
    news_.notify();
}

Task<> StatusSender::run() {
    aio::Backoff backoff;
    std::string last_failure;
    queue_.returned();  // what an earlier run() left on its way
    if (!queue_.empty()) news_.notify();
    for (;;) {
        co_await news_.wait();
        co_await settled_.wait_for(kUnderWay);
        while (!queue_.empty()) {
            auto wait = kWindow;
            try {
                co_await send_once();
                backoff.reset();
                last_failure.clear();
            } catch (const std::exception& e) {
                if (aio::is_cancellation(e)) throw;
                if (auto text = describe(e); text != last_failure) {
                    log::warning("status: {}", text);
                    last_failure = std::move(text);
                }
                wait = std::max(kWindow, backoff.next());
            }
            co_await aio::sleep(wait);
        }
    }
}

Task<> StatusSender::send_once() {
    protocol::StatusRequest request{queue_.take(most_)};
    std::optional<Error> failure;
    try {
        co_await server_.report(std::move(request));
        queue_.delivered();
        most_ = kMostReports;
        co_return;
    } catch (const Error& e) {
        failure = e;
    }
    if (failure->kind() == ErrorKind::unauthenticated) unauthenticated_();
    const bool may_pass = failure->may_pass() || failure->kind() == ErrorKind::unauthenticated ||
                          failure->kind() == ErrorKind::forbidden;
    if (!may_pass) refused(*failure);
    queue_.returned();
    throw Error(*failure);
}

// The server will not take this batch, whenever it is sent. Smaller ones find the report that it
// objects to, and that one is given up: it must not keep the others.
void StatusSender::refused(const Error& error) {
    const auto& batch = queue_.on_their_way();
    if (batch.size() > 1) {
        most_ = batch.size() / 2;
        return;
    }
    if (batch.empty()) return;
    log::error("status: the server refuses the report about {} {}, which is given up: {}",
               protocol::noun(batch.front().kind), batch.front().id, error.what());
    queue_.delivered();
    most_ = kMostReports;
}

}  // namespace trailer::agent
