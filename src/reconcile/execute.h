// Does one step of a plan.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "reconcile/plan.h"

namespace trailer::reconcile {

struct TimeLimits {
    std::chrono::milliseconds pull{30 * 60'000};
    std::chrono::milliseconds build{60 * 60'000};
};

// The objects whose observed state a step may have changed, failing or not.
struct Touched {
    std::vector<std::string> containers;  // ids
    std::vector<std::string> networks;    // ids or names
    std::vector<std::string> volumes;     // names
    bool images = false;
    // What was removed, and need not be looked for.
    std::vector<std::string> gone_containers;  // ids
    std::vector<std::string> gone_networks;    // ids
    std::vector<std::string> gone_volumes;     // names
    // As the engine told when it made them.
    std::vector<runtime::Volume> made_volumes;
    std::string forced_pull;   // the hash of an image that was pulled by force
    bool pulled = false;       // it was not here before
    bool image_gone = false;   // release_image: it was removed
    std::string image_in_use;  // release_image: it was not
    std::string unstartable;   // start_container: it can't be, and is to be made anew
};

// Throws Error that says what stands in the way and what to do about it. `step` and `touched`
// outlive the call; `touched` is filled in as it goes. Cancelled at any instant it leaves what the
// planner goes on from.
Task<> execute(runtime::ContainerRuntime& runtime, const Step& step, TimeLimits limits,
               runtime::Progress progress, Touched& touched);

}  // namespace trailer::reconcile
