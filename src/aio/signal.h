// Wakes a coroutine that waits: an edge that is remembered. notify() before wait() makes the next
// wait() return at once; several before it count as one. One waiter at a time; one thread.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "aio/task.h"

namespace trailer::aio {

class Signal {
  public:
    explicit Signal(const asio::any_io_executor& executor) : timer_(executor) {}

    void notify() {
        pending_ = true;
        timer_.cancel();
    }

    bool pending() const { return pending_; }

    Task<> wait();

    // True when notified, false when `timeout` passed first.
    Task<bool> wait_for(std::chrono::milliseconds timeout);

  private:
    asio::steady_timer timer_;
    bool pending_ = false;
};

}  // namespace trailer::aio
