// The names that every coroutine uses.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

namespace trailer {

namespace asio = boost::asio;
template <typename T = void>
using Task = asio::awaitable<T, asio::any_io_executor>;

}  // namespace trailer

namespace trailer::aio {

// Waits; ends early by an exception when the calling coroutine is cancelled.
Task<> sleep(std::chrono::milliseconds duration);

// True for the exception by which Asio tells a coroutine that it was cancelled. Loops let it pass.
bool is_cancellation(const std::exception& error);

}  // namespace trailer::aio
