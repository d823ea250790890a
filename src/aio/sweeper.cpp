#include "aio/sweeper.h"

#include <utility>

namespace trailer::aio {

Sweeper::Sweeper(const asio::any_io_executor& executor, std::chrono::milliseconds period,
                 std::function<bool()> look)
    : timer_(executor), period_(period), look_(std::move(look)) {}

Sweeper::~Sweeper() {
    *alive_ = false;
}

void Sweeper::begin() {
    if (!std::exchange(under_way_, true)) wait();
}

void Sweeper::end() {
    timer_.cancel();
    under_way_ = false;
}

void Sweeper::wait() {
    timer_.expires_after(period_);
    timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
        if (error || !*alive || !under_way_) return;
        under_way_ = look_();
        if (under_way_) wait();
    });
}

}  // namespace trailer::aio
