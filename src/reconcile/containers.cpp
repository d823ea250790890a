#include "reconcile/containers.h"

namespace trailer::reconcile {

using protocol::RestartPolicy;
using runtime::Container;
using runtime::ContainerState;

Containers::Containers(const Observed& observed) {
    for (const auto& [id, container] : observed.containers) {
        by_resource_.emplace(runtime::label_of(container.labels, runtime::label::kId), &container);
    }
}

Incarnation Containers::of(const WantedWorkspace& workspace) const {
    Incarnation found;
    const auto [begin, end] = by_resource_.equal_range(workspace.key.id);
    for (auto each = begin; each != end; ++each) {
        const auto& container = *each->second;
        if (container.name == workspace.name) {
            found.current = &container;
        } else if (container.name == workspace.name + kNextSuffix) {
            found.next = &container;
        } else if (container.name == workspace.name + kFormerSuffix) {
            found.former = &container;
        } else if (container.name == workspace.name + kFailedSuffix) {
            found.failed = &container;
        } else {
            found.others.push_back(&container);
        }
    }
    return found;
}

bool starts_again(const WantedWorkspace& workspace, const Container& container) {
    if (container.state == ContainerState::created) return true;
    if (container.state != ContainerState::exited) return false;
    switch (workspace.spec.restart) {
        case RestartPolicy::no:
            return false;
        case RestartPolicy::on_failure:
            return container.exit_code != 0;
        case RestartPolicy::always:
        case RestartPolicy::unless_stopped:
            return true;
    }
    return true;
}

bool is_running(const Container& container) {
    return container.state == ContainerState::running ||
           container.state == ContainerState::paused ||
           container.state == ContainerState::restarting;
}

}  // namespace trailer::reconcile
