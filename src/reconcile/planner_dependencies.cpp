// What is to be up before a container is started, also again or in the place of another.
#include <algorithm>

#include "reconcile/planner.h"

namespace trailer::reconcile {

using runtime::Container;
using runtime::ContainerHealth;
using runtime::ContainerState;

namespace {

// A port of the host's or an address that the one holds and the other is to have.
bool holds_for(const Container& container, const runtime::ContainerSpec& other) {
    const auto same_port = [&](const protocol::Port& port) {
        return port.host != 0 && std::ranges::any_of(container.ports, [&](const auto& each) {
                   return each.host == port.host && each.protocol == port.protocol;
               });
    };
    const auto same_address = [&](const runtime::Attachment& wanted) {
        return std::ranges::any_of(container.networks, [&](const auto& each) {
            return each.network == wanted.network &&
                   ((!wanted.ipv4.empty() && each.ipv4_seen == wanted.ipv4) ||
                    (!wanted.ipv6.empty() && each.ipv6_seen == wanted.ipv6));
        });
    };
    return std::ranges::any_of(other.ports, same_port) ||
           std::ranges::any_of(other.networks, same_address);
}

bool is_well(const Container& container) {
    return container.state == ContainerState::running &&
           (container.health == ContainerHealth::none ||
            container.health == ContainerHealth::healthy);
}

}  // namespace

Planner::Chain Planner::start(const WantedWorkspace& wanted, Action action,
                              const std::string& object, const Reason& reason, Chain& chain) {
    std::vector<Index> before;
    if (!makes_way(wanted) && !dependencies_are_up(wanted, before)) {
        held_back_.insert(wanted.key.id);
        return {};
    }
    for (const auto& name : wanted.networks) names_one_network(name, before);
    const auto index = follow(chain, action, wanted.key, wanted.name, object, reason);
    for (const auto each : before) comes_after(index, each);
    step(index).grace = wanted.stop_grace;
    starts_[wanted.key.id] = index;
    return index;
}

bool Planner::makes_way(const WantedWorkspace& wanted) const {
    if (wanted.depends_on.empty()) return false;
    const auto* current = containers_.of(wanted).current;
    return current != nullptr && is_running(*current) &&
           std::ranges::any_of(wanted_.workspaces, [&](const WantedWorkspace& other) {
               return other.key != wanted.key && other.running && !other.deleting &&
                      holds_for(*current, other.spec);
           });
}

bool Planner::dependencies_are_up(const WantedWorkspace& wanted, std::vector<Index>& before) {
    return std::ranges::all_of(wanted.depends_on, [&](const protocol::Dependency& each) {
        return is_up(wanted, each, before);
    });
}

bool Planner::is_up(const WantedWorkspace& wanted, const protocol::Dependency& dependency,
                    std::vector<Index>& before) {
    const auto found = by_name_.find(dependency.workspace);
    if (found == by_name_.end()) return true;  // a fault, told as such
    const auto& other = *found->second;
    const bool healthy = dependency.condition == protocol::DependencyCondition::healthy;
    const auto* container = containers_.of(other).current;
    const bool up =
        container != nullptr &&
        (healthy ? is_well(*container)
                 : container->state == ContainerState::running || has_finished(other, *container));
    const auto starts = starts_.find(other.key.id);
    const bool to_start = starts != starts_.end() || held_back_.contains(other.key.id);
    if (up && (!to_start || is_drift(other))) return true;
    if (starts != starts_.end() && !healthy) {
        before.push_back(starts->second);
        return true;
    }
    plan_.waits[wanted.key] = {
        other.key, fmt::format("workspace {} to be {}", other.name, healthy ? "healthy" : "up")};
    return false;
}

bool Planner::has_finished(const WantedWorkspace& wanted, const Container& container) const {
    return wanted.running && container.state == ContainerState::exited && container.started &&
           !starts_again(wanted, container) && why_replace(wanted, container).empty();
}

}  // namespace trailer::reconcile
