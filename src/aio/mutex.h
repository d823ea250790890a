// One at a time, in the order of asking. One thread.
//
//   const auto guard = co_await mutex.lock();   // until the end of the block
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <utility>

#include "aio/task.h"

namespace trailer::aio {

class Mutex {
  public:
    explicit Mutex(asio::any_io_executor executor) : executor_(std::move(executor)) {}

    // Releases its mutex, which outlives it.
    class Guard {
      public:
        explicit Guard(Mutex& mutex) : mutex_(&mutex) {}
        Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
        Guard(const Guard&) = delete;
        Guard& operator=(const Guard&) = delete;
        Guard& operator=(Guard&&) = delete;
        ~Guard() {
            if (mutex_ != nullptr) mutex_->release();
        }

      private:
        Mutex* mutex_;
    };

    // Ends by an exception, without the lock, when the caller is cancelled.
    Task<Guard> lock();

  private:
    void release();

    asio::any_io_executor executor_;
    std::deque<std::shared_ptr<asio::steady_timer>> waiting_;
    bool taken_ = false;
};

}  // namespace trailer::aio
