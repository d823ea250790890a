#include "reconcile/containers.h"

#include <algorithm>
#include <boost/json/parse.hpp>

namespace trailer::reconcile {

using protocol::RestartPolicy;
using runtime::Container;
using runtime::ContainerState;

namespace {

// A text member of each of the mounts in the spec that the container was made from.
std::vector<std::string> in_mounts(const Container& container, std::string_view member) {
    std::vector<std::string> list;
    boost::system::error_code error;
    const auto text = runtime::label_of(container.labels, runtime::label::kSpec);
    const auto spec = json::parse(text, error);
    const auto* members = error ? nullptr : spec.if_object();
    const auto* mounts = members == nullptr ? nullptr : members->if_contains("mounts");
    if (mounts == nullptr || !mounts->is_array()) return list;
    for (const auto& mount : mounts->get_array()) {
        const auto* fields = mount.if_object();
        const auto* found = fields == nullptr ? nullptr : fields->if_contains(member);
        if (found != nullptr && found->is_string()) list.emplace_back(found->get_string());
    }
    return list;
}

}  // namespace

std::vector<const Container*> Incarnation::all() const {
    auto list = others;
    for (const auto* each : {current, next, former, failed}) {
        if (each != nullptr) list.push_back(each);
    }
    return list;
}

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

std::vector<std::string> binds_of(const Container& container) {
    return in_mounts(container, "bind");
}

bool mounts_volume(const Container& container, std::string_view volume) {
    const auto volumes = in_mounts(container, "volume");
    return std::ranges::find(volumes, volume) != volumes.end();
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
