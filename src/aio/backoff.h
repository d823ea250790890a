// Waits between retries: exponential with full jitter, so that many that failed together don't
// return together ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace trailer::aio {

class Backoff {
  public:
    using Duration = std::chrono::milliseconds;

    explicit Backoff(Duration base = Duration{250}, Duration cap = Duration{30'000})
        : base_(base), cap_(cap) {}

    // Uniform in [0, min(cap, base * 2^n)] at the n-th call since reset(), n from 0.
    Duration next() {
        const auto bound = ceiling();
        attempts_ = std::min(attempts_ + 1, 30);
        return Duration{std::uniform_int_distribution<Duration::rep>{0, bound.count()}(random_)};
    }

    // The largest wait that the coming next() can give.
    Duration ceiling() const {
        const auto factor = Duration::rep{1} << std::min(attempts_, 30);
        return base_.count() > cap_.count() / factor ? cap_ : base_ * factor;
    }

    void reset() { attempts_ = 0; }
    int attempts() const { return attempts_; }

  private:
    Duration base_;
    Duration cap_;
    int attempts_ = 0;
    std::minstd_rand random_{std::random_device{}()};
};

}  // namespace trailer::aio
