// Networks, volumes and images: what workspaces need.
#include <algorithm>

#include "reconcile/planner.h"

namespace trailer::reconcile {

namespace label = runtime::label;
using protocol::Kind;
using runtime::label_of;

void Planner::choose_networks() {
    std::map<std::string, int> attached;
    for (const auto& [id, container] : observed_.containers) {
        for (const auto& each : container.networks) ++attached[each.network_id];
    }
    for (const auto& [id, network] : observed_.networks) {
        const auto [chosen, first] = network_ids_.try_emplace(network.name, id);
        if (first || !same_resource(network, observed_.networks.at(chosen->second))) continue;
        auto extra = id;
        if (attached[id] > attached[chosen->second]) std::swap(extra, chosen->second);
        doubles_.emplace(extra, network.name);
    }
}

bool Planner::same_resource(const runtime::Network& a, const runtime::Network& b) {
    return label_of(a.labels, label::kId) == label_of(b.labels, label::kId);
}

void Planner::network(const WantedNetwork& wanted) {
    if (wanted.deleting || !wanted.fault.empty()) return;
    for (const auto& [id, name] : doubles_) {
        if (name != wanted.name) continue;
        // Another Trailer host's are left to it.
        if (label_of(observed_.networks.at(id).labels, label::kId) != wanted.key.id) continue;
        const auto index =
            add(Action::remove_network, wanted.key, name, id, "is there more than once");
        removes_double_.emplace(name, index);
        doubles_removed_[id] = index;
    }
    const auto found = network_ids_.find(wanted.name);
    if (found != network_ids_.end() &&
        label_of(observed_.networks.at(found->second).labels, label::kId) == wanted.key.id) {
        return;
    }
    if (held_networks_.contains(wanted.name)) {
        plan_.waits[wanted.key] = {
            Key{Kind::network, ""},
            fmt::format("the leftover network {} of another Trailer resource to go", wanted.name)};
        return;
    }
    const auto index = add(Action::create_network, wanted.key, wanted.name, "", "is not there");
    step(index).network = &wanted.spec;
    if (const auto chosen = subnets_.find(wanted.key.id); chosen != subnets_.end()) {
        step(index).subnets = chosen->second;
    }
    makes_network_[wanted.name] = index;
}

void Planner::volume(const WantedVolume& wanted) {
    if (wanted.deleting || !wanted.fault.empty() || has_volume(wanted)) return;
    const auto index = add(Action::create_volume, wanted.key, wanted.name, "", "is not there");
    step(index).volume = &wanted.spec;
    makes_volume_[wanted.name] = index;
}

bool Planner::has_volume(const WantedVolume& wanted) const {
    const auto found = observed_.volumes.find(wanted.name);
    return found != observed_.volumes.end() &&
           label_of(found->second.labels, label::kId) == wanted.key.id;
}

void Planner::image(const WantedImage& wanted) {
    if (wanted.deleting || !wanted.fault.empty()) return;
    if (wanted.built) {
        const auto state = built_image(wanted);
        if (state.current) {
            image_ids_[wanted.name] = state.id;
            return;
        }
        makes_image_[wanted.name] =
            add(Action::build_image, wanted.key, wanted.name, "",
                state.id.empty() ? "is not there" : "is made from something else");
        step(makes_image_[wanted.name]).image = &wanted;
        return;
    }
    const auto found = observed_.references.find(wanted.reference);
    const bool here = found != observed_.references.end();
    if (here && is_fresh(wanted)) {
        // Who asks for a pull wants what the tag means now, also where it has moved.
        if (wanted.force_pull) image_ids_[wanted.name] = found->second;
        return;
    }
    makes_image_[wanted.name] = add(Action::pull_image, wanted.key, wanted.name, "",
                                    here ? "is to be pulled again" : "is not there");
    step(makes_image_[wanted.name]).image = &wanted;
    step(makes_image_[wanted.name]).brings_image = !here;
}

// Whether it has been pulled since that was asked for. What comes from the cache may not know it.
bool Planner::is_fresh(const WantedImage& wanted) const {
    const auto& memory = observed_.memory;
    if (!wanted.force_pull || memory.from_cache || wanted.forced_pull == wanted.hash) return true;
    const auto pulled = memory.forced_pulls.find(wanted.key.id);
    return pulled != memory.forced_pulls.end() && pulled->second == wanted.hash;
}

Planner::BuiltImage Planner::built_image(const WantedImage& wanted) const {
    BuiltImage built;
    for (const auto& [id, image] : observed_.images) {
        if (label_of(image.labels, label::kId) != wanted.key.id) continue;
        const bool tagged =
            std::ranges::find(image.references, wanted.reference) != image.references.end();
        if (tagged && label_of(image.labels, label::kSpecHash) == wanted.hash) {
            return {.current = true, .id = id};
        }
        built.id = id;
    }
    return built;
}

bool Planner::needs(const WantedWorkspace& wanted, std::vector<Index>& before) {
    for (const auto& name : wanted.networks) {
        if (!need(wanted, Kind::network, name, has_network(name), makes_network_, before)) {
            return false;
        }
        names_one_network(name, before);
    }
    for (const auto& name : wanted.volumes) {
        if (!need(wanted, Kind::volume, name, observed_.volumes.contains(name), makes_volume_,
                  before)) {
            return false;
        }
    }
    return wanted.image.empty() || need(wanted, Kind::image, wanted.image,
                                        !makes_image_.contains(wanted.image), makes_image_, before);
}

void Planner::names_one_network(const std::string& name, std::vector<Index>& before) const {
    const auto [begin, end] = removes_double_.equal_range(name);
    for (auto each = begin; each != end; ++each) before.push_back(each->second);
}

bool Planner::need(const WantedWorkspace& wanted, Kind kind, const std::string& name, bool there,
                   const std::map<std::string, Index>& makes, std::vector<Index>& before) {
    if (const auto found = makes.find(name); found != makes.end()) {
        before.push_back(found->second);
        return true;
    }
    if (there) return true;
    std::string id;
    const auto find_id = [&](const auto& list) {
        for (const auto& each : list) {
            if (each.name == name) id = each.key.id;
        }
    };
    if (kind == Kind::network) find_id(wanted_.networks);
    if (kind == Kind::volume) find_id(wanted_.volumes);
    if (kind == Kind::image) find_id(wanted_.images);
    plan_.waits[wanted.key] = {Key{kind, id}, fmt::format("{} {}", protocol::noun(kind), name)};
    return false;
}

bool Planner::has_network(const std::string& name) const {
    return network_ids_.contains(name) && !makes_network_.contains(name) &&
           !held_networks_.contains(name);
}

}  // namespace trailer::reconcile
