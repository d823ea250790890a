#include "aio/mutex.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

namespace trailer::aio {

Task<Mutex::Guard> Mutex::lock() {
    if (std::exchange(taken_, true)) {
        const auto turn =
            std::make_shared<asio::steady_timer>(executor_, asio::steady_timer::time_point::max());
        waiting_.push_back(turn);
        // The holder passes its turn on by taking the timer out of the line and cancelling it.
        co_await turn->async_wait(asio::as_tuple(asio::use_awaitable));
        const bool mine = std::erase(waiting_, turn) == 0;
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) {
            if (mine) release();
            throw boost::system::system_error(asio::error::operation_aborted);
        }
    }
    co_return Guard(*this);
}

void Mutex::release() {
    if (waiting_.empty()) {
        taken_ = false;
        return;
    }
    const auto next = waiting_.front();
    waiting_.pop_front();
    next->cancel();
}

}  // namespace trailer::aio
