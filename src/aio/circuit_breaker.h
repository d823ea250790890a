// For the callers of one peer: while it is away one of them tries, and the others wait for what it
// finds, instead of each trying in vain. Between two tries passes a backoff with full jitter.
//
//   auto turn = co_await breaker.turn();   // at once while the peer is there
//   …                                      // the call
//   turn.reached();                        // or turn.failed(): the peer is away
//
// One thread. It outlives its turns.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <set>

#include "aio/backoff.h"
#include "aio/task.h"

namespace trailer::aio {

class CircuitBreaker {
  public:
    CircuitBreaker(asio::any_io_executor executor, Backoff backoff)
        : executor_(std::move(executor)), backoff_(backoff) {}
    CircuitBreaker(const CircuitBreaker&) = delete;
    CircuitBreaker& operator=(const CircuitBreaker&) = delete;

    // A call's permission; what it found is told once. One that goes without a word (its caller was
    // cancelled, or failed for another reason) makes room for the next.
    class Turn {
      public:
        Turn(CircuitBreaker& breaker, bool probing) : breaker_(&breaker), probing_(probing) {}
        Turn(Turn&& other) noexcept
            : breaker_(std::exchange(other.breaker_, nullptr)), probing_(other.probing_) {}
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        Turn& operator=(Turn&&) = delete;
        ~Turn() {
            if (breaker_ != nullptr && probing_) breaker_->give_up_probing();
        }

        void reached() { std::exchange(breaker_, nullptr)->reached(); }
        void failed() { std::exchange(breaker_, nullptr)->failed(probing_); }

      private:
        CircuitBreaker* breaker_;
        bool probing_;
    };

    // Waits for as long as the peer is away, or until it is this caller's turn to try.
    Task<Turn> turn();

    bool away() const { return away_; }

  private:
    void reached();
    void failed(bool probing);
    void give_up_probing();
    void wake();

    asio::any_io_executor executor_;
    Backoff backoff_;
    bool away_ = false;
    bool probing_ = false;
    std::chrono::steady_clock::time_point next_try_;
    std::set<asio::steady_timer*> waiting_;
};

}  // namespace trailer::aio
