// What is to go, and in which order it lets go of each other.
#include <algorithm>

#include "reconcile/planner.h"

namespace trailer::reconcile {

namespace label = runtime::label;
using protocol::Kind;
using runtime::Container;
using runtime::label_of;

namespace {

constexpr const char* kLeftover = "belongs to nothing known";

// Whether our own pull brought what its reference names. That a pull once brought something is
// known by the resource alone, which may have had another reference then: what was pulled last
// tells.
bool was_pulled(const WantedImage& wanted, const Memory& memory) {
    if (!wanted.pulled && !memory.pulled.contains(wanted.key.id)) return false;
    const auto found = memory.forced_pulls.find(wanted.key.id);
    const auto& last = found == memory.forced_pulls.end() ? wanted.forced_pull : found->second;
    return last.empty() || last == wanted.hash;
}

}  // namespace

bool Planner::is_due(Kind kind, const std::string& object, const std::string& name) {
    const auto& seen = observed_.memory.unknown_since;
    const auto found = seen.find(object);
    const auto since = found == seen.end() ? now_ : found->second;
    const auto removal = since + rules_.leftover_grace;
    plan_.leftovers.push_back(
        {.kind = kind, .name = name, .object = object, .since = since, .removal = removal});
    if (removal <= now_) return true;
    look_again(removal);
    return false;
}

bool Planner::is_known(const runtime::Labels& labels) const {
    return known_.contains(label_of(labels, label::kId)) || !ours(labels);
}

void Planner::leftover_containers() {
    for (const auto& [id, container] : observed_.containers) {
        if (is_known(container.labels)) continue;
        const Key key{Kind::workspace, label_of(container.labels, label::kId)};
        if (is_due(Kind::workspace, id, container.name)) {
            remove_container(key, container, kLeftover, {});
            continue;
        }
        held_names_[container.name] = key;
        for (const auto& each : container.networks) held_networks_.insert(each.network_id);
    }
}

void Planner::leftover_networks() {
    for (const auto& [id, network] : observed_.networks) {
        if (is_known(network.labels)) continue;
        if (is_due(Kind::network, id, network.name) && !held_networks_.contains(id)) {
            due_networks_.insert(id);
        } else {
            held_networks_.insert(network.name);
        }
    }
}

Planner::Index Planner::remove_container(const Key& key, const Container& container,
                                         const std::string& reason, Chain chain,
                                         std::chrono::milliseconds grace) {
    const auto removal =
        follow(chain, Action::remove_container, key, container.name, container.id, reason);
    step(removal).stop_first = is_running(container);
    step(removal).grace = grace;
    for (const auto& [target, name] : container.anonymous_volumes) {
        step(removal).anonymous_volumes.push_back(name);
    }
    freed_names_[container.name] = removal;
    releases(container, removal);
    return removal;
}

void Planner::remove_all(const WantedWorkspace& wanted, const Incarnation& found) {
    for (const auto* each : found.all()) {
        remove_container(wanted.key, *each, "is deleted", {}, wanted.stop_grace);
    }
}

void Planner::releases(const Container& container, Index index) {
    lets_go_[container.id] = index;
    for (const auto& each : container.networks) {
        if (detached_.contains({container.id, each.network_id})) continue;
        released_[each.network_id].push_back(index);
    }
}

bool Planner::comes_after(const Key& key, const Container& user, std::vector<Index>& before) {
    const auto found = lets_go_.find(user.id);
    if (found != lets_go_.end()) {
        before.push_back(found->second);
        return true;
    }
    waits_for_user(key, user);
    return false;
}

void Planner::waits_for_user(const Key& key, const Container& user) {
    const Key owner{Kind::workspace, label_of(user.labels, label::kId)};
    plan_.waits[key] = {owner, fmt::format("container {}, which uses it", user.name)};
}

std::map<std::string, const Container*> Planner::keepers_of_networks() const {
    std::map<std::string, const Container*> keepers;
    for (const auto& [id, container] : observed_.containers) {
        if (lets_go_.contains(id)) continue;
        for (const auto& each : container.networks) {
            if (!detached_.contains({id, each.network_id})) {
                keepers.emplace(each.network_id, &container);
            }
        }
    }
    return keepers;
}

void Planner::removals() {
    for (const auto& [id, index] : doubles_removed_) {
        for (const auto each : released_[id]) comes_after(index, each);
    }
    remove_networks();
    remove_volumes();
    for (const auto& each : wanted_.images) {
        if (!each.deleting) continue;
        remove_image(each);
        if (!each.built) remove_pulled_image(each);
    }
    for (const auto& [id, image] : observed_.images) {
        const auto name = image.references.empty() ? runtime::short_id(id) : image.references[0];
        if (is_known(image.labels) || !is_due(Kind::image, id, name)) continue;
        release(image, name, kLeftover);
    }
}

void Planner::remove_networks() {
    std::optional<std::map<std::string, const Container*>> keepers;
    for (const auto& [id, network] : observed_.networks) {
        const auto owner = label_of(network.labels, label::kId);
        const auto known = known_.find(owner);
        const bool deleting = known != known_.end() && known->second->deleting;
        if (!deleting && !due_networks_.contains(id)) continue;
        const Key key{Kind::network, owner};
        if (!keepers) keepers = keepers_of_networks();
        if (const auto keeper = keepers->find(id); keeper != keepers->end()) {
            waits_for_user(key, *keeper->second);
            continue;
        }
        const auto index =
            add(Action::remove_network, key, network.name, id, deleting ? "is deleted" : kLeftover);
        for (const auto each : released_[id]) comes_after(index, each);
        if (const auto makes = makes_network_.find(network.name); makes != makes_network_.end()) {
            comes_after(makes->second, index);
        }
    }
}

void Planner::remove_volumes() {
    std::multimap<std::string, const Container*> users;  // by the volume's name
    for (const auto& each : wanted_.volumes) {
        if (!each.deleting || !has_volume(each)) continue;
        if (users.empty()) {
            for (const auto& [id, container] : observed_.containers) {
                for (const auto& volume : container.volumes) users.emplace(volume, &container);
            }
        }
        std::vector<Index> before;
        const auto [begin, end] = users.equal_range(each.name);
        const bool may_go = std::all_of(begin, end, [&](const auto& user) {
            return comes_after(each.key, *user.second, before);
        });
        if (!may_go) continue;
        const auto index = add(Action::remove_volume, each.key, each.name, each.name, "is deleted");
        step(index).after = std::move(before);
    }
}

void Planner::remove_image(const WantedImage& wanted) {
    for (const auto& [id, image] : observed_.images) {
        if (label_of(image.labels, label::kId) != wanted.key.id) continue;
        std::vector<Index> before;
        const bool may_go = std::ranges::all_of(observed_.containers, [&](const auto& each) {
            return each.second.image_id != id || comes_after(wanted.key, each.second, before);
        });
        if (!may_go) continue;
        const auto index = add(Action::remove_image, wanted.key, wanted.name, id, "is deleted");
        step(index).after = std::move(before);
    }
}

void Planner::remove_pulled_image(const WantedImage& wanted) {
    const auto& memory = observed_.memory;
    if (!was_pulled(wanted, memory) || !observed_.references.contains(wanted.reference) ||
        memory.images_in_use.contains(wanted.reference) || is_referred_to(wanted.reference)) {
        return;
    }
    const auto index = add(Action::release_image, wanted.key, wanted.name, wanted.reference,
                           "is deleted, and was pulled for it");
    for (const auto& [id, container] : observed_.containers) {
        const auto lets_go = lets_go_.find(id);
        if (container.image != wanted.reference || lets_go == lets_go_.end()) continue;
        comes_after(index, lets_go->second);
    }
}

bool Planner::is_referred_to(const std::string& reference) const {
    const auto has_it = [&](const auto& each) {
        return !each.deleting && each.reference == reference;
    };
    const auto runs_it = [&](const auto& each) {
        return !each.deleting && protocol::with_tag(each.spec.image) == reference;
    };
    return std::ranges::any_of(wanted_.images, has_it) ||
           std::ranges::any_of(wanted_.workspaces, runs_it);
}

}  // namespace trailer::reconcile
