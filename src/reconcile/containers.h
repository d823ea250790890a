// Which of the engine's containers stand for a workspace.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/plan.h"

namespace trailer::reconcile {

// The container that stands for a workspace (by label and name), the one that is to replace it, the
// one that it has replaced, and one that was to replace it and failed.
struct Incarnation {
    const runtime::Container* current = nullptr;
    const runtime::Container* next = nullptr;
    const runtime::Container* former = nullptr;
    const runtime::Container* failed = nullptr;
    std::vector<const runtime::Container*> others;

    std::vector<const runtime::Container*> all() const;
};

// Finds them. Points into the Observed that it was made of.
class Containers {
  public:
    explicit Containers(const Observed& observed);
    Incarnation of(const WantedWorkspace& workspace) const;

  private:
    std::multimap<std::string, const runtime::Container*> by_resource_;
};

// By the spec that it was made from: the host's paths that it binds, the volumes that it mounts.
std::vector<std::string> binds_of(const runtime::Container& container);
bool mounts_volume(const runtime::Container& container, std::string_view volume);

// Whether the container that has ended is to be started again.
bool starts_again(const WantedWorkspace& workspace, const runtime::Container& container);

// Paused and restarting ones too: they hold their networks and ports.
bool is_running(const runtime::Container& container);

}  // namespace trailer::reconcile
