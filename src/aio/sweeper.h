// Looks around at regular times while there is something to look at; else it costs nothing. For
// what would be a timer of its own for each of many short-lived things. One thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "aio/task.h"

namespace trailer::aio {

class Sweeper {
  public:
    // `look` returns whether there is something to come back for. It must not throw, nor destroy
    // the Sweeper.
    Sweeper(const asio::any_io_executor& executor, std::chrono::milliseconds period,
            std::function<bool()> look);
    ~Sweeper();
    Sweeper(const Sweeper&) = delete;
    Sweeper& operator=(const Sweeper&) = delete;

    // There is something: it is looked at within two periods. No effect while that is so already.
    void begin();
    // No more looks, until the next begin().
    void end();

  private:
    void wait();

    asio::steady_timer timer_;
    std::chrono::milliseconds period_;
    std::function<bool()> look_;
    bool under_way_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for a timer that fires late
};

}  // namespace trailer::aio
