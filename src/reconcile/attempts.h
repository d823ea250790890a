// What has failed and when it is tried again: each resource has its own, growing waits. Lost with
// the process, which costs one attempt.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "reconcile/plan.h"

namespace trailer::reconcile {

class Attempts {
  public:
    using Clock = std::chrono::steady_clock;

    struct Failure {
        std::string text;
        int attempts = 0;
        Clock::time_point next_try{};
        std::chrono::milliseconds wait{0};
        // The engine did not answer: that is told of the engine, not of each resource.
        bool engine_away = false;
    };

    // Null where the last attempt did not fail.
    const Failure* find(const Key& key) const;
    bool must_wait(const Key& key) const;

    Failure& fail(const Step& step, std::string text);
    // Notes that the step is begun. True when it has been again and again, with no rest between the
    // resource's steps: then that is its failure, and it must wait.
    bool goes_round(const Step& step);

    // What it failed over may do now. True when that matters. Our own attempts make events too:
    // they don't undo their own wait.
    bool hurry(const Key& key);

    void forget(const Key& key);
    void forget_all() { failures_.clear(); }
    // Those for which `done` holds.
    void forget_if(const std::function<bool(const Key&)>& done);
    // Of resources that are not known any more.
    void forget_steps_if(const std::function<bool(const Key&)>& unknown);

    // When the next try comes, of those for which `idle` holds.
    std::optional<Clock::time_point> next(const std::function<bool(const Key&)>& idle) const;

  private:
    // Of one resource, none long after the one before: two that undo each other take turns.
    struct RecentSteps {
        std::map<std::string, int> times;  // by what was done
        Clock::time_point last{};
    };
    std::map<Key, Failure> failures_;
    std::map<Key, RecentSteps> recent_steps_;
};

}  // namespace trailer::reconcile
