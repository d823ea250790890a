#include "aio/signal.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

namespace trailer::aio {
namespace {

// Both a notify() and a cancellation of the caller end the timer's wait with operation_aborted;
// only the second is an exception.
Task<> wait_on(asio::steady_timer& timer, const bool& pending) {
    const auto [error] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (error && !pending) throw boost::system::system_error(error);
}

}  // namespace

Task<> Signal::wait() {
    while (!pending_) {
        timer_.expires_at(asio::steady_timer::time_point::max());
        co_await wait_on(timer_, pending_);
    }
    pending_ = false;
}

Task<bool> Signal::wait_for(std::chrono::milliseconds timeout) {
    if (!pending_) {
        timer_.expires_after(timeout);
        co_await wait_on(timer_, pending_);
    }
    co_return std::exchange(pending_, false);
}

}  // namespace trailer::aio
