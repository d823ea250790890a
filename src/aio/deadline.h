// A point on the steady clock by which a call must have ended; passed down by value, so that a
// child can't outlast its parent.
#pragma once

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>
#include <chrono>
#include <optional>
#include <string>

#include "aio/task.h"
#include "base/error.h"

namespace trailer::aio {

struct Deadline {
    std::chrono::steady_clock::time_point at;

    static Deadline in(std::chrono::milliseconds duration) {
        return {std::chrono::steady_clock::now() + duration};
    }
    // The earlier of this and `duration` from now.
    Deadline at_most(std::chrono::milliseconds duration) const {
        return {std::min(at, in(duration).at)};
    }
    bool passed() const { return std::chrono::steady_clock::now() >= at; }
    std::chrono::milliseconds left() const {
        return std::max(std::chrono::milliseconds{0}, std::chrono::ceil<std::chrono::milliseconds>(
                                                          at - std::chrono::steady_clock::now()));
    }
};

namespace detail {
// Optional, because co_spawn needs a result with a default constructor.
template <typename T>
Task<std::optional<T>> as_optional(Task<T> task) {
    co_return co_await std::move(task);
}
inline Task<std::optional<std::monostate>> as_optional(Task<void> task) {
    co_await std::move(task);
    co_return std::monostate{};
}
}  // namespace detail

// Awaits `task`, or cancels it at the deadline, awaits its end, and throws Error(timeout) that says
// `doing` ("creating container x: no answer in time").
template <typename T>
Task<T> with_deadline(Task<T> task, Deadline deadline, std::string doing) {
    // Not awaitable_operators' ||: that waits for the timer when the task fails first.
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, deadline.at);
    auto group = asio::experimental::make_parallel_group(
        asio::co_spawn(executor, detail::as_optional(std::move(task)), asio::deferred),
        timer.async_wait(asio::deferred));
    auto [order, failure, value, timer_error] =
        co_await group.async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
    if (order[0] == 0 || !failure) {
        if (failure) std::rethrow_exception(failure);
        if constexpr (std::is_void_v<T>) {
            co_return;
        } else {
            co_return std::move(*value);
        }
    }
    if (timer_error) throw boost::system::system_error(timer_error);  // the caller was cancelled
    throw Error(ErrorKind::timeout, "{}: no answer in time", doing);
}

}  // namespace trailer::aio
