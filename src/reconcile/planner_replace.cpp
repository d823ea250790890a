// A container that can't change in place gives way to a new one.
#include <algorithm>

#include "reconcile/planner.h"

namespace trailer::reconcile {

namespace label = runtime::label;
using runtime::Container;
using runtime::ContainerState;
using runtime::label_of;

namespace {

// What is known of a replacement that failed, by the container that is left of it. The engine calls
// every check unhealthy once it has stopped the container (Docker 20.10).
std::string why_failed(const Container& failed) {
    using runtime::ContainerHealth;
    std::string text;
    if (!failed.started) {
        text = "could not be started";
    } else if (failed.health == ContainerHealth::none) {
        text = fmt::format("ended with exit code {}", failed.exit_code);
    } else {
        text = fmt::format("did not get healthy, and ended with exit code {}", failed.exit_code);
    }
    if (!failed.error.empty()) text += ": " + failed.error;
    if (!failed.health_output.empty()) text += "; its check says: " + failed.health_output;
    return text;
}

// Stopped to make place for the one that failed, not by itself.
bool gave_way_to(const Container& failed, const Container& current) {
    if (!current.finished) return false;
    return failed.started ? *current.finished <= *failed.started
                          : *current.finished >= failed.created;
}

// Its volumes that have no name, where the new spec mounts nothing.
std::vector<runtime::ContainerMount> carried_from(const Container& former,
                                                  const runtime::ContainerSpec& spec) {
    std::vector<runtime::ContainerMount> carried;
    for (const auto& [target, name] : former.anonymous_volumes) {
        const auto found = std::ranges::find(spec.mounts, target, &runtime::ContainerMount::target);
        if (found == spec.mounts.end()) carried.push_back({.source = name, .target = target});
    }
    return carried;
}

}  // namespace

std::vector<Change> Planner::how_made_otherwise(const WantedWorkspace& wanted,
                                                const Container& seen) const {
    std::vector<Change> changes;
    if (label_of(seen.labels, label::kSpecHash) != wanted.hash) {
        boost::system::error_code error;
        const auto was = json::parse(label_of(seen.labels, label::kSpec), error);
        changes =
            compare(!error && was.is_object() ? was.get_object() : json::object(), wanted.fixed);
        if (changes.empty()) changes.push_back({"spec", "another", "the wanted one"});
    }
    // The same reference, but it means another image now.
    if (const auto image = image_ids_.find(wanted.image);
        image != image_ids_.end() && image->second != seen.image_id && changes.empty()) {
        changes.push_back(
            {"image", runtime::short_id(seen.image_id), runtime::short_id(image->second)});
    }
    return changes;
}

std::vector<Change> Planner::why_replace(const WantedWorkspace& wanted,
                                         const Container& seen) const {
    auto changes = how_made_otherwise(wanted, seen);
    // An engine can't take these away from a container that has them.
    const auto& limits = wanted.spec.limits;
    if (limits.nano_cpus == 0 && seen.limits.nano_cpus != 0) {
        changes.push_back({"resources/cpus", amount(seen.limits.nano_cpus), "none"});
    }
    if (limits.memory == 0 && seen.limits.memory != 0) {
        changes.push_back({"resources/memory", amount(seen.limits.memory), "none"});
    }
    return changes;
}

void Planner::replace(const WantedWorkspace& wanted, const Container& current,
                      const Container* next, const Reason& why, Chain chain) {
    detach_stale(wanted, current, chain);
    const bool again = next != nullptr && was_interrupted(wanted, *next);
    if (next == nullptr) {
        if (!make_next(wanted, current, why, chain)) return;
    } else if (wanted.running && next->state == ContainerState::paused) {
        return unpause(wanted, *next, chain);  // it proves nothing while it is paused
    } else if (wanted.running && !again) {
        const auto proof = prove(wanted, *next);
        if (proof == Proof::pending) return;
        if (proof == Proof::failed) {
            const auto index = follow(chain, Action::roll_back, wanted.key, wanted.name, next->id,
                                      "the new container " + why_failed(*next));
            step(index).replaces = current.id;
            step(index).running = wanted.running;
            step(index).stop_first = next->state != ContainerState::running;
            step(index).grace = wanted.stop_grace;
            step(index).spec = &wanted.spec;
            return;
        }
    }
    const std::string id = next == nullptr ? "" : next->id;
    if (wanted.running && (next == nullptr || again || next->state == ContainerState::created)) {
        const auto index = start(
            wanted, Action::start_replacement, id,
            again ? Reason("was ended from outside before it had proved itself") : why, chain);
        if (!index) return;
        step(*index).replaces = current.id;
        step(*index).stop_first = is_running(current);
        step(*index).spec = &wanted.spec;
    } else if (is_running(current)) {
        const auto index =
            follow(chain, Action::stop_container, wanted.key, wanted.name, current.id, why);
        step(index).grace = wanted.stop_grace;
    }
    const auto index = follow(chain, Action::finish_replacement, wanted.key, wanted.name, id, why);
    step(index).replaces = current.id;
    if (wanted.running) starts_[wanted.key.id] = index;  // it is up once it has proved itself
    releases(current, index);
}

bool Planner::make_next(const WantedWorkspace& wanted, const Container& former, const Reason& why,
                        Chain& chain) {
    std::vector<Index> before;
    const auto name = wanted.name + kNextSuffix;
    if (name_is_held(wanted, name) || !needs(wanted, before)) return false;
    const auto made = make_container(wanted, name, why, before, chain);
    step(made).carried = carried_from(former, wanted.spec);
    waits_for_name(name, made);
    return true;
}

// One that keeps volumes without a name goes only once another has them: nothing else knows them.
void Planner::make_anew(const WantedWorkspace& wanted, const Incarnation& found, Chain chain) {
    const auto& former = *found.current;
    const auto* next = found.next;
    const char* why =
        former.state == ContainerState::dead ? "is dead" : "can't be started any more";
    if (found.failed != nullptr) {
        chain =
            remove_container(wanted.key, *found.failed, "failed, and is no longer wanted", chain);
    }
    if (next != nullptr && (is_beyond_start(*next) || !why_replace(wanted, *next).empty())) {
        chain = remove_container(wanted.key, *std::exchange(next, nullptr), "is no longer wanted",
                                 chain);
    }
    if (next == nullptr && carried_from(former, wanted.spec).empty()) {
        return create(wanted, remove_container(wanted.key, former, why, chain));
    }
    detach_stale(wanted, former, chain);
    if (next == nullptr && !make_next(wanted, former, why, chain)) return;
    const std::string id = next == nullptr ? "" : next->id;
    if (next != nullptr) changing_.insert(wanted.key.id);  // begun, so it is no drift to be left
    chain = remove_container(wanted.key, former, why, chain);
    give_name(wanted, id, "takes its place", chain);
    if (wanted.running && (next == nullptr || !is_running(*next))) {
        start(wanted, Action::start_container, id, "is to run", chain);
    }
}

bool Planner::is_beyond_start(const Container& container) const {
    return container.state == ContainerState::dead ||
           (observed_.memory.unstartable.contains(container.id) && !is_running(container));
}

// Its end is no proof against it: not where it was ended from outside, nor where nobody saw it. One
// that has failed does so again.
bool Planner::was_interrupted(const WantedWorkspace& wanted, const Container& next) const {
    if (next.state != ContainerState::exited) return false;
    const bool to_be_healthy = wanted.replace.on_unhealthy == protocol::OnUnhealthy::roll_back &&
                               next.health != runtime::ContainerHealth::none;
    const auto found = observed_.memory.interrupted.find(next.id);
    return (next.exit_code != 0 || to_be_healthy) && found != observed_.memory.interrupted.end() &&
           found->second == next.started;
}

Planner::Proof Planner::prove(const WantedWorkspace& wanted, const Container& next) {
    using runtime::ContainerHealth;
    if (next.state == ContainerState::restarting) return Proof::failed;
    if (next.state == ContainerState::exited && next.exit_code != 0) return Proof::failed;
    if (next.state != ContainerState::running) return Proof::passed;
    const auto started = next.started.value_or(now_);
    const auto pending_until = [&](Timestamp time) {
        plan_.unproven.insert(wanted.key);
        look_again(time);
        return Proof::pending;
    };
    if (started + kVerify > now_) return pending_until(started + kVerify);
    if (wanted.replace.on_unhealthy == protocol::OnUnhealthy::keep ||
        next.health == ContainerHealth::none || next.health == ContainerHealth::healthy) {
        return Proof::passed;
    }
    const auto latest = started + std::chrono::milliseconds{wanted.replace.healthy_within_ms};
    // One that is being ended is soon no longer well, and that is no failure either.
    const bool ending = observed_.memory.signalled.contains(next.id);
    const bool unhealthy = next.health == ContainerHealth::unhealthy && !ending;
    return unhealthy || latest <= now_ ? Proof::failed : pending_until(latest);
}

bool Planner::has_failed(const WantedWorkspace& wanted, const Container& failed) const {
    return label_of(failed.labels, label::kRevision) == std::to_string(wanted.revision) &&
           why_replace(wanted, failed).empty();
}

void Planner::stay_rolled_back(const WantedWorkspace& wanted, const Container& current,
                               const Container& failed, Chain chain) {
    changing_.insert(wanted.key.id);
    plan_.setbacks[wanted.key] = fmt::format(
        "the new container {}. The former one is back; the new one is kept as {}, for its logs. "
        "Change the spec or redeploy to try again",
        why_failed(failed), failed.name);
    if (is_running(failed)) {
        const auto index =
            follow(chain, Action::stop_container, wanted.key, failed.name, failed.id, "has failed");
        step(index).grace = wanted.stop_grace;
    }
    if (wanted.running && !is_running(current) && gave_way_to(failed, current)) {
        start(wanted, Action::start_container, current.id, "is back", chain);
    } else {
        run_or_stop(wanted, current, chain);
    }
}

}  // namespace trailer::reconcile
