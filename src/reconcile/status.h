// How a resource is doing, in words for people and states for programs.
#pragma once

#include <optional>
#include <string>

#include "reconcile/containers.h"

namespace trailer::reconcile {

// What the reconciler is doing for a resource, and what stands in its way.
struct Progress {
    std::optional<Action> busy;
    std::string detail;   // of a pull or build: its last line
    std::string failure;  // of the last attempt; empty when it did not fail
    std::chrono::milliseconds next_try{0};
    bool planned = false;   // steps are left
    std::string waits_for;  // "network lab"
    bool waits_for_image = false;
    bool waits_in_vain = false;  // what it waits for has failed
    std::string setback;         // why it is not as wanted, though nothing will be done about it
    std::string drift;           // what someone changed, where that is told only
    std::int64_t applied_revision = 0;
    bool pulled = false;      // of an image: our own pull brought it
    std::string forced_pull;  // of an image: the hash that was pulled by force

    bool operator==(const Progress&) const = default;
};

// The report of one resource at this moment, of what is seen of it; its messages carry `now`.
// `network` is null where there is none.
protocol::StatusReport status_of(const WantedNetwork& wanted, const runtime::Network* network,
                                 const Progress& progress, Timestamp now);
protocol::StatusReport status_of(const WantedVolume& wanted, const Observed& observed,
                                 const Progress& progress, Timestamp now);
protocol::StatusReport status_of(const WantedImage& wanted, const Observed& observed,
                                 const Progress& progress, Timestamp now);
protocol::StatusReport status_of(const WantedWorkspace& wanted, const Containers& containers,
                                 const Progress& progress, Timestamp now);

}  // namespace trailer::reconcile
