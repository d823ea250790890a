// Threads for work that blocks (the database, argon2id, reading /proc): a coroutine awaits the
// result on its own executor.
#pragma once

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <optional>
#include <type_traits>

#include "aio/task.h"

namespace trailer::aio {

namespace detail {
// Asio (1.81) hands a cancellation over to the pool's thread, where it may come when what it would
// cancel has gone.
inline auto uncancelled() {
    return asio::bind_cancellation_slot(asio::cancellation_slot(), asio::use_awaitable);
}
}  // namespace detail

class BlockingPool {
  public:
    // The threads are made when there is work: an agent that nobody asks has none.
    explicit BlockingPool(std::size_t threads) : threads_(threads) {}
    // Waits for the work under way.
    ~BlockingPool() {
        if (!pool_) return;
        pool_->stop();
        pool_->join();
    }
    BlockingPool(const BlockingPool&) = delete;
    BlockingPool& operator=(const BlockingPool&) = delete;

    // Runs `work` on a thread of the pool; gives what it returns or throws what it throws, back on
    // the caller's executor. Work is not cut short by a cancellation: the caller's comes after it.
    template <typename Work, typename R = std::invoke_result_t<Work&>>
    Task<R> run(Work work) {
        if constexpr (std::is_void_v<R>) {
            auto body = invoke_void(std::move(work));
            co_await asio::co_spawn(pool(), std::move(body), detail::uncancelled());
        } else {
            auto body = invoke(std::move(work));
            auto result = co_await asio::co_spawn(pool(), std::move(body), detail::uncancelled());
            co_return std::move(*result);
        }
    }

  private:
    // Optional, because co_spawn needs a result with a default constructor.
    template <typename Work>
    static Task<std::optional<std::invoke_result_t<Work&>>> invoke(Work work) {
        co_return work();
    }
    template <typename Work>
    static Task<> invoke_void(Work work) {
        work();
        co_return;
    }

    asio::thread_pool& pool() { return pool_ ? *pool_ : pool_.emplace(threads_); }

    std::size_t threads_;
    std::optional<asio::thread_pool> pool_;
};

}  // namespace trailer::aio
