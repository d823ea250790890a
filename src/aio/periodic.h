// One loop for everything periodic: heartbeat, poll, collection.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "aio/signal.h"
#include "aio/task.h"

namespace trailer::aio {

// How often a loop runs its body. The wait after a success is period() ± jitter; after a failure it
// is min(period(), backoff of 250 ms doubling to 30 s, full jitter). A notify() on `now` ends the
// wait.
struct PeriodicTask {
    std::string name;                                   // for the log: "heartbeat"
    std::function<std::chrono::milliseconds()> period;  // asked before each wait
    double jitter = 0.1;                                // of the period, both ways
    Signal* now = nullptr;                              // optional; outlives the task
    std::function<void(const std::exception&)> failed;  // optional; after each failure of the body
};

// Never returns; ends by cancellation only. A failure of the body is logged as a warning when its
// message changes.
Task<> run_periodically(PeriodicTask task, std::function<Task<>()> body);

}  // namespace trailer::aio
