#include "aio/circuit_breaker.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

namespace trailer::aio {
namespace {

// Keeps a timer where wake() finds it.
class Listed {
  public:
    Listed(std::set<asio::steady_timer*>& all, asio::steady_timer& timer)
        : all_(all), timer_(timer) {
        all_.insert(&timer_);
    }
    ~Listed() { all_.erase(&timer_); }
    Listed(const Listed&) = delete;
    Listed& operator=(const Listed&) = delete;

  private:
    std::set<asio::steady_timer*>& all_;
    asio::steady_timer& timer_;
};

}  // namespace

Task<CircuitBreaker::Turn> CircuitBreaker::turn() {
    while (away_) {
        const bool due = std::chrono::steady_clock::now() >= next_try_;
        if (due && !probing_) {
            probing_ = true;
            co_return Turn(*this, true);
        }
        // While another one tries there is nothing to wait for but its outcome.
        const auto until = probing_ ? asio::steady_timer::time_point::max() : next_try_;
        asio::steady_timer timer(executor_, until);
        const Listed listed(waiting_, timer);
        co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        if ((co_await asio::this_coro::cancellation_state).cancelled() !=
            asio::cancellation_type::none) {
            throw boost::system::system_error(asio::error::operation_aborted);
        }
    }
    co_return Turn(*this, false);
}

void CircuitBreaker::reached() {
    away_ = false;
    probing_ = false;
    backoff_.reset();
    wake();
}

// A call that began before the peer was known to be away says nothing new.
void CircuitBreaker::failed(bool probing) {
    if (away_ && !probing) return;
    away_ = true;
    next_try_ = std::chrono::steady_clock::now() + backoff_.next();
    if (probing) give_up_probing();
}

void CircuitBreaker::give_up_probing() {
    probing_ = false;
    wake();
}

void CircuitBreaker::wake() {
    for (auto* timer : waiting_) timer->cancel();
}

}  // namespace trailer::aio
