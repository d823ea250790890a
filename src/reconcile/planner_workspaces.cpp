// Which containers stand for a workspace, and which is to be made, named and started.
#include "reconcile/planner.h"

namespace trailer::reconcile {

using runtime::ContainerState;

void Planner::in_order(const WantedWorkspace& wanted) {
    if (!planned_.insert(wanted.key.id).second) return;
    for (const auto& each : wanted.depends_on) {
        const auto found = by_name_.find(each.workspace);
        if (found != by_name_.end()) in_order(*found->second);
    }
    workspace(wanted);
}

void Planner::workspace(const WantedWorkspace& wanted) {
    auto found = containers_.of(wanted);
    if (wanted.deleting) return remove_all(wanted, found);
    if (!wanted.fault.empty()) return stop_faulty(wanted, found);
    Chain chain;
    choose_current(wanted, found, chain);
    if (found.current != nullptr && found.current->state == ContainerState::removing) return;
    if (found.current != nullptr && is_beyond_start(*found.current)) {
        return make_anew(wanted, found, chain);
    }
    const auto why =
        found.current == nullptr ? std::vector<Change>() : why_replace(wanted, *found.current);
    if (found.failed != nullptr) {
        if (!why.empty() && has_failed(wanted, *found.failed)) {
            return stay_rolled_back(wanted, *found.current, *found.failed, chain);
        }
        chain =
            remove_container(wanted.key, *found.failed, "failed, and is no longer wanted", chain);
    }
    if (found.current == nullptr) return create(wanted, chain);
    const bool dead = found.next != nullptr && found.next->state == ContainerState::dead;
    if (dead ||
        (found.next != nullptr && (why.empty() || !why_replace(wanted, *found.next).empty()))) {
        chain = remove_container(wanted.key, *found.next, dead ? "is dead" : "is no longer wanted",
                                 chain);
        found.next = nullptr;
    }
    if (found.next != nullptr || !how_made_otherwise(wanted, *found.current).empty()) {
        changing_.insert(wanted.key.id);
    }
    if (why.empty()) return keep(wanted, *found.current, chain);
    replace(wanted, *found.current, found.next, Reason(why), chain);
}

void Planner::stop_faulty(const WantedWorkspace& wanted, const Incarnation& found) {
    if (wanted.running) return;
    for (const auto* each : found.all()) {
        if (!is_running(*each)) continue;
        const auto index =
            add(Action::stop_container, wanted.key, each->name, each->id, "is to be stopped");
        step(index).grace = wanted.stop_grace;
    }
}

void Planner::choose_current(const WantedWorkspace& wanted, Incarnation& found, Chain& chain) {
    if (found.current == nullptr) {
        std::string reason = "has replaced the former one";
        if (found.next != nullptr) {
            found.current = std::exchange(found.next, nullptr);
        } else if (found.former != nullptr) {
            found.current = std::exchange(found.former, nullptr);
            reason = "is the only one there";
        } else if (!found.others.empty()) {
            found.current = found.others.front();
            found.others.erase(found.others.begin());
            reason = "was renamed";
        }
        if (found.current != nullptr) give_name(wanted, found.current->id, reason, chain);
    }
    if (found.former != nullptr) {
        chain = remove_container(wanted.key, *found.former, "was replaced", chain);
        changing_.insert(wanted.key.id);
    }
    for (const auto* each : found.others) {
        remove_container(wanted.key, *each, "is one too many", {});
    }
}

void Planner::create(const WantedWorkspace& wanted, Chain chain) {
    std::vector<Index> before;
    if (name_is_held(wanted, wanted.name) || !needs(wanted, before)) return;
    const auto index = make_container(wanted, wanted.name, "is not there", before, chain);
    waits_for_name(wanted.name, index);
    if (wanted.running) start(wanted, Action::start_container, "", "is to run", chain);
}

Planner::Index Planner::make_container(const WantedWorkspace& wanted, const std::string& name,
                                       const Reason& reason, const std::vector<Index>& before,
                                       Chain& chain) {
    const auto index = follow(chain, Action::create_container, wanted.key, name, "", reason);
    for (const auto each : before) comes_after(index, each);
    step(index).spec = &wanted.spec;
    step(index).running = wanted.running;
    using protocol::PullPolicy;
    step(index).may_pull = wanted.image.empty() && wanted.pull != PullPolicy::never;
    step(index).pull_first = wanted.image.empty() && wanted.pull == PullPolicy::always;
    return index;
}

void Planner::give_name(const WantedWorkspace& wanted, const std::string& container,
                        const std::string& reason, Chain& chain) {
    const auto index =
        follow(chain, Action::rename_container, wanted.key, wanted.name, container, reason);
    waits_for_name(wanted.name, index);
}

bool Planner::name_is_held(const WantedWorkspace& wanted, const std::string& name) {
    const auto held = held_names_.find(name);
    if (held == held_names_.end()) return false;
    plan_.waits[wanted.key] = {
        held->second, fmt::format("the leftover container {} of another workspace to go", name)};
    return true;
}

void Planner::waits_for_name(const std::string& name, Index index) {
    if (const auto freed = freed_names_.find(name); freed != freed_names_.end()) {
        comes_after(index, freed->second);
    }
}

}  // namespace trailer::reconcile
