// A container that stays: what can change in place.
#include <algorithm>

#include "reconcile/planner.h"
#include "wire/json.h"

namespace trailer::reconcile {

using protocol::Kind;
using runtime::Container;
using runtime::ContainerState;

namespace {

constexpr const char* kDefaultNetwork = "bridge";

}  // namespace

void Planner::keep(const WantedWorkspace& wanted, const Container& seen, Chain chain) {
    networks_in_place(wanted, seen, chain);
    limits_in_place(wanted, seen, chain);
    if (!plan_.waits.contains(wanted.key)) run_or_stop(wanted, seen, chain);
}

void Planner::run_or_stop(const WantedWorkspace& wanted, const Container& seen, Chain chain) {
    const bool restart =
        wanted.restart_before && seen.started.value_or(Timestamp{}) < *wanted.restart_before;
    if (!wanted.running) {
        if (is_running(seen)) {
            const auto index = follow(chain, Action::stop_container, wanted.key, wanted.name,
                                      seen.id, "is to be stopped");
            step(index).grace = wanted.stop_grace;
        }
    } else if (is_running(seen)) {
        if (restart) {
            start(wanted, Action::restart_container, seen.id, "is to be restarted", chain);
        } else if (seen.state == ContainerState::paused) {
            unpause(wanted, seen, chain);
        }
    } else if (restart || starts_again(wanted, seen)) {
        start(wanted, Action::start_container, seen.id,
              seen.state == ContainerState::created ? "is to run" : "has stopped", chain);
    }
}

// What it depends on was up when it was started.
void Planner::unpause(const WantedWorkspace& wanted, const Container& seen, Chain& chain) {
    starts_[wanted.key.id] =
        follow(chain, Action::unpause_container, wanted.key, wanted.name, seen.id, "is paused");
}

void Planner::networks_in_place(const WantedWorkspace& wanted, const Container& seen,
                                Chain& chain) {
    if (wanted.spec.host_network) return;  // it is on none of its own
    auto targets = wanted.spec.networks;
    if (targets.empty()) targets.push_back({.network = kDefaultNetwork});
    for (const auto& each : seen.networks) {
        const auto target =
            std::ranges::find_if(targets, [&](const auto& t) { return t.network == each.network; });
        if (target == targets.end()) {
            if (each.network == kDefaultNetwork || network_ids_.contains(each.network)) {
                detach(wanted, seen, each, "is not wanted", chain);
            }
            continue;
        }
        if (is_stale(each)) {
            detach(wanted, seen, each, "the network has gone", chain);
        } else if (auto changes = how_attached(*target, each); !changes.empty()) {
            detach(wanted, seen, each, std::move(changes), chain);
        } else {
            targets.erase(target);
        }
    }
    for (const auto& target : targets) {
        std::vector<Index> before;
        names_one_network(target.network, before);
        if (target.network != kDefaultNetwork &&
            !need(wanted, Kind::network, target.network, has_network(target.network),
                  makes_network_, before)) {
            return;
        }
        const auto index = follow(chain, Action::connect_network, wanted.key, wanted.name, seen.id,
                                  target.network + ": is not connected");
        for (const auto each : before) comes_after(index, each);
        step(index).attachment = target;
    }
}

std::vector<Change> Planner::how_attached(const runtime::Attachment& target,
                                          const runtime::Attachment& seen) {
    std::vector<Change> changes;
    if (target.network == kDefaultNetwork) return changes;  // it knows neither
    const auto differ = [&](const char* field, const std::string& from, const std::string& to,
                            const std::string& none) {
        changes.push_back({fmt::format("networks/{}/{}", target.network, field),
                           from.empty() ? none : from, to.empty() ? none : to});
    };
    if (target.ipv4 != seen.ipv4) differ("ipv4", seen.ipv4, target.ipv4, "any");
    if (target.ipv6 != seen.ipv6) differ("ipv6", seen.ipv6, target.ipv6, "any");
    const std::set<std::string> wanted(target.aliases.begin(), target.aliases.end());
    const std::set<std::string> is(seen.aliases.begin(), seen.aliases.end());
    if (wanted != is) {
        differ("aliases", fmt::format("{}", fmt::join(is, " ")),
               fmt::format("{}", fmt::join(wanted, " ")), "none");
    }
    return changes;
}

void Planner::detach_stale(const WantedWorkspace& wanted, const Container& seen, Chain& chain) {
    for (const auto& each : seen.networks) {
        if (!is_stale(each)) continue;
        detach(wanted, seen, each, "the network has gone", chain);
    }
}

bool Planner::is_stale(const runtime::Attachment& seen) const {
    if (seen.network == kDefaultNetwork || seen.network_id.empty()) return false;
    if (makes_network_.contains(seen.network)) return true;
    const auto found = network_ids_.find(seen.network);
    return found != network_ids_.end() && found->second != seen.network_id;
}

Planner::Index Planner::detach(const WantedWorkspace& wanted, const Container& seen,
                               const runtime::Attachment& attachment, Reason reason, Chain& chain) {
    if (reason.changes.empty()) reason.text = attachment.network + ": " + reason.text;
    const auto index = follow(chain, Action::disconnect_network, wanted.key, wanted.name, seen.id,
                              std::move(reason));
    step(index).attachment = attachment;
    released_[attachment.network_id].push_back(index);
    detached_.emplace(seen.id, attachment.network_id);
    return index;
}

void Planner::limits_in_place(const WantedWorkspace& wanted, const Container& seen, Chain& chain) {
    std::vector<Change> changes;
    const auto& limits = wanted.spec.limits;
    const auto differ = [&](const char* field, std::int64_t from, std::int64_t to) {
        if (from != to) changes.push_back({field, amount(from), amount(to)});
    };
    differ("resources/cpus", seen.limits.nano_cpus, limits.nano_cpus);
    differ("resources/memory", seen.limits.memory, limits.memory);
    differ("resources/pids", seen.limits.pids, limits.pids);
    if (seen.restart != wanted.spec.restart) {
        changes.push_back(
            {"restart", wire::to_text(seen.restart), wire::to_text(wanted.spec.restart)});
    }
    if (changes.empty()) return;
    const auto index =
        follow(chain, Action::update_container, wanted.key, wanted.name, seen.id, changes);
    step(index).spec = &wanted.spec;
}

}  // namespace trailer::reconcile
