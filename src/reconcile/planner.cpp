#include <algorithm>

#include "reconcile/plan.h"
#include "wire/json.h"

namespace trailer::reconcile {
namespace {

namespace label = runtime::label;
using protocol::Kind;
using protocol::RestartPolicy;
using runtime::Container;
using runtime::ContainerState;

constexpr const char* kDefaultNetwork = "bridge";
constexpr std::size_t kShortId = 12;

std::string label_of(const runtime::Labels& labels, const char* name) {
    const auto found = labels.find(name);
    return found == labels.end() ? "" : found->second;
}

std::string short_id(std::string id) {
    if (id.starts_with("sha256:")) id.erase(0, 7);
    return id.substr(0, kShortId);
}

std::string text_of(const json::value& value) {
    if (const auto* text = value.if_string()) return std::string(*text);
    return value.is_null() ? "none" : json::serialize(value);
}

std::string amount(std::int64_t value) {
    return value == 0 ? "none" : std::to_string(value);
}

bool is_running(const Container& container) {
    return container.state == ContainerState::running ||
           container.state == ContainerState::paused ||
           container.state == ContainerState::restarting;
}

// Members of `to` that differ from `from`. A level deep where both are objects: "env/EDITOR".
void compare(const std::string& prefix, const json::object& from, const json::object& to,
             std::vector<Change>& changes) {
    std::set<std::string> names;
    for (const auto& [name, value] : from) names.emplace(name);
    for (const auto& [name, value] : to) names.emplace(name);
    const json::value none;
    for (const auto& name : names) {
        const auto* was = from.if_contains(name);
        const auto* is = to.if_contains(name);
        if (was == nullptr) was = &none;
        if (is == nullptr) is = &none;
        if (*was == *is) continue;
        if (prefix.empty() && (name == "env" || name == "labels")) {
            const json::object empty;
            compare(name + "/", was->is_object() ? was->get_object() : empty,
                    is->is_object() ? is->get_object() : empty, changes);
        } else if (prefix == "env/") {  // their hashes say nothing to people
            changes.push_back({prefix + name, was->is_null() ? "none" : "set",
                               is->is_null() ? "none" : "another value"});
        } else {
            changes.push_back({prefix + name, text_of(*was), text_of(*is)});
        }
    }
}

std::string join(const std::vector<Change>& changes) {
    std::string text;
    for (const auto& each : changes) text += (text.empty() ? "" : ", ") + to_string(each);
    return text;
}

class Planner {
  public:
    Planner(const WantedState& wanted, const Observed& observed, Timestamp now)
        : wanted_(wanted), observed_(observed), now_(now), containers_(observed) {
        choose_networks();
        for (const auto& each : wanted.networks) known_[each.key.id] = &each;
        for (const auto& each : wanted.volumes) known_[each.key.id] = &each;
        for (const auto& each : wanted.images) known_[each.key.id] = &each;
        for (const auto& each : wanted.workspaces) known_[each.key.id] = &each;
    }

    Plan make() {
        leftover_containers();
        for (const auto& each : wanted_.networks) network(each);
        for (const auto& each : wanted_.volumes) volume(each);
        for (const auto& each : wanted_.images) image(each);
        for (const auto& each : wanted_.workspaces) by_name_[each.name] = &each;
        for (const auto& each : wanted_.workspaces) in_order(each);
        removals();
        return std::move(plan_);
    }

  private:
    using Index = std::size_t;
    // The steps of one object that follow each other.
    using Chain = std::optional<Index>;

    Step& step(Index index) { return plan_.steps[index]; }

    Index add(Action action, const Key& key, std::string name, std::string object,
              std::string reason) {
        Step made;
        made.action = action;
        made.key = key;
        made.name = std::move(name);
        made.object = std::move(object);
        made.reason = std::move(reason);
        plan_.steps.push_back(std::move(made));
        return plan_.steps.size() - 1;
    }

    void comes_after(Index index, Chain before) {
        if (before && *before != index) step(index).after.push_back(*before);
    }

    // Adds a step to the end of a chain.
    Index follow(Chain& chain, Action action, const Key& key, std::string name, std::string object,
                 std::string reason) {
        const auto index = add(action, key, std::move(name), std::move(object), std::move(reason));
        comes_after(index, chain);
        chain = index;
        return index;
    }

    bool ours(const runtime::Labels& labels) const {
        return label_of(labels, label::kHost) == wanted_.host_id;
    }

    // --- what nobody wants any more

    void leftover_containers() {
        for (const auto& [id, container] : observed_.containers) {
            const auto owner = label_of(container.labels, label::kId);
            if (known_.contains(owner) || !ours(container.labels)) continue;
            remove_container({Kind::workspace, owner}, container, "belongs to nothing wanted", {});
        }
    }

    // Gracefully: it is stopped first.
    Index remove_container(const Key& key, const Container& container, const std::string& reason,
                           Chain chain, std::chrono::milliseconds grace = kGrace) {
        if (is_running(container)) {
            const auto index =
                follow(chain, Action::stop_container, key, container.name, container.id, reason);
            step(index).grace = grace;
        }
        const auto removal =
            follow(chain, Action::remove_container, key, container.name, container.id, reason);
        freed_names_[container.name] = removal;
        releases(container, removal);
        removed_of_[key.id].push_back(removal);
        return removal;
    }

    // `index` takes the container off its networks.
    void releases(const Container& container, Index index) {
        for (const auto& each : container.networks) {
            released_[each.network_id].push_back(index);
        }
    }

    // --- networks, volumes, images: what workspaces need

    // An engine makes a second network of a name when two requests cross: ours, and one that was
    // under way when we were killed. The one that more containers are on stays.
    void choose_networks() {
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

    static bool same_resource(const runtime::Network& a, const runtime::Network& b) {
        return label_of(a.labels, label::kId) == label_of(b.labels, label::kId);
    }

    void network(const WantedNetwork& wanted) {
        if (wanted.deleting || !wanted.fault.empty()) return;
        for (const auto& [id, name] : doubles_) {
            if (name != wanted.name) continue;
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
        const auto index = add(Action::create_network, wanted.key, wanted.name, "", "is not there");
        step(index).network = wanted.spec;
        makes_network_[wanted.name] = index;
    }

    void volume(const WantedVolume& wanted) {
        if (wanted.deleting || !wanted.fault.empty() || has_volume(wanted)) return;
        const auto index = add(Action::create_volume, wanted.key, wanted.name, "", "is not there");
        step(index).volume = wanted.spec;
        makes_volume_[wanted.name] = index;
    }

    bool has_volume(const WantedVolume& wanted) const {
        const auto found = observed_.volumes.find(wanted.name);
        return found != observed_.volumes.end() &&
               label_of(found->second.labels, label::kId) == wanted.key.id;
    }

    void image(const WantedImage& wanted) {
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
        const bool here = observed_.references.contains(wanted.reference);
        const auto pulled = observed_.forced_pulls.find(wanted.key.id);
        const bool fresh = !wanted.force_pull || (pulled != observed_.forced_pulls.end() &&
                                                  pulled->second == wanted.hash);
        if (here && fresh) return;
        makes_image_[wanted.name] = add(Action::pull_image, wanted.key, wanted.name, "",
                                        here ? "is to be pulled again" : "is not there");
        step(makes_image_[wanted.name]).image = &wanted;
    }

    struct BuiltImage {
        bool current = false;
        std::string id;
    };
    BuiltImage built_image(const WantedImage& wanted) const {
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

    // --- workspaces

    // Collects what must be there before a container of this workspace can be made. False when one
    // of them will not come.
    bool needs(const WantedWorkspace& wanted, std::vector<Index>& before) {
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
        return wanted.image.empty() ||
               need(wanted, Kind::image, wanted.image, !makes_image_.contains(wanted.image),
                    makes_image_, before);
    }

    // The engine refuses a name that two networks have.
    void names_one_network(const std::string& name, std::vector<Index>& before) const {
        const auto [begin, end] = removes_double_.equal_range(name);
        for (auto each = begin; each != end; ++each) before.push_back(each->second);
    }

    bool need(const WantedWorkspace& wanted, Kind kind, const std::string& name, bool there,
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

    bool has_network(const std::string& name) const {
        return network_ids_.contains(name) && !makes_network_.contains(name);
    }

    // What others depend on first, so that the step that starts it is known.
    void in_order(const WantedWorkspace& wanted) {
        if (!planned_.insert(wanted.key.id).second) return;
        for (const auto& each : wanted.depends_on) {
            const auto found = by_name_.find(each.workspace);
            if (found != by_name_.end()) in_order(*found->second);
        }
        workspace(wanted);
    }

    // Adds the step that starts a container, unless what it depends on is not there yet.
    void start(const WantedWorkspace& wanted, const std::string& object, const std::string& reason,
               Chain& chain) {
        std::vector<Index> before;
        for (const auto& each : wanted.depends_on) {
            if (!is_up(wanted, each, before)) return;
        }
        for (const auto& name : wanted.networks) names_one_network(name, before);
        const auto index =
            follow(chain, Action::start_container, wanted.key, wanted.name, object, reason);
        for (const auto each : before) comes_after(index, each);
        starts_[wanted.key.id] = index;
    }

    // True where the dependency is met, or will be by the step that is added to `before`.
    bool is_up(const WantedWorkspace& wanted, const protocol::Dependency& dependency,
               std::vector<Index>& before) {
        const auto found = by_name_.find(dependency.workspace);
        if (found == by_name_.end()) return true;  // a fault, told as such
        const auto& other = *found->second;
        const bool healthy = dependency.condition == protocol::DependencyCondition::healthy;
        const auto* container = containers_.of(other).current;
        if (container != nullptr && container->state == ContainerState::running &&
            (!healthy || container->health == runtime::ContainerHealth::none ||
             container->health == runtime::ContainerHealth::healthy)) {
            return true;
        }
        if (const auto starts = starts_.find(other.key.id); starts != starts_.end() && !healthy) {
            before.push_back(starts->second);
            return true;
        }
        plan_.waits[wanted.key] = {other.key, fmt::format("workspace {} to be {}", other.name,
                                                          healthy ? "healthy" : "up")};
        return false;
    }

    void workspace(const WantedWorkspace& wanted) {
        auto found = containers_.of(wanted);
        if (wanted.deleting) return remove_all(wanted, found);
        if (!wanted.fault.empty()) return;
        Chain chain;
        if (found.current == nullptr && found.next == nullptr && !found.others.empty()) {
            found.current = found.others.front();
            found.others.erase(found.others.begin());
            give_name(wanted, *found.current, "was renamed", chain);
        }
        for (const auto* each : found.others) {
            remove_container(wanted.key, *each, "is one too many", {});
        }
        if (found.current == nullptr && found.next != nullptr) {
            give_name(wanted, *found.next, "has replaced the former one", chain);
            found.current = std::exchange(found.next, nullptr);
        }
        if (found.current != nullptr && found.current->state == ContainerState::removing) return;
        if (found.current != nullptr && found.current->state == ContainerState::dead) {
            chain = remove_container(wanted.key, *found.current, "is dead", chain);
            found.current = nullptr;
        }
        if (found.current == nullptr) return create(wanted, chain);
        const auto why = why_replace(wanted, *found.current);
        if (found.next != nullptr && (why.empty() || !why_replace(wanted, *found.next).empty())) {
            chain = remove_container(wanted.key, *found.next, "is no longer wanted", chain);
            found.next = nullptr;
        }
        if (why.empty()) return keep(wanted, *found.current, chain);
        replace(wanted, *found.current, found.next, join(why), chain);
    }

    void remove_all(const WantedWorkspace& wanted, const Incarnation& found) {
        auto all = found.others;
        if (found.current != nullptr) all.push_back(found.current);
        if (found.next != nullptr) all.push_back(found.next);
        for (const auto* each : all) {
            remove_container(wanted.key, *each, "is deleted", {}, wanted.stop_grace);
        }
    }

    void give_name(const WantedWorkspace& wanted, const Container& container,
                   const std::string& reason, Chain& chain) {
        const auto index =
            follow(chain, Action::rename_container, wanted.key, wanted.name, container.id, reason);
        waits_for_name(wanted.name, index);
    }

    void waits_for_name(const std::string& name, Index index) {
        if (const auto freed = freed_names_.find(name); freed != freed_names_.end()) {
            comes_after(index, freed->second);
        }
    }

    void create(const WantedWorkspace& wanted, Chain chain) {
        std::vector<Index> before;
        if (!needs(wanted, before)) return;
        const auto index = make_container(wanted, wanted.name, "is not there", before, chain);
        waits_for_name(wanted.name, index);
        if (wanted.running) start(wanted, "", "is to run", chain);
    }

    Index make_container(const WantedWorkspace& wanted, const std::string& name,
                         const std::string& reason, const std::vector<Index>& before,
                         Chain& chain) {
        const auto index = follow(chain, Action::create_container, wanted.key, name, "", reason);
        for (const auto each : before) comes_after(index, each);
        step(index).spec = wanted.spec;
        step(index).spec.name = name;
        step(index).running = wanted.running;
        using protocol::PullPolicy;
        step(index).may_pull = wanted.image.empty() && wanted.pull != PullPolicy::never;
        step(index).pull_first = wanted.image.empty() && wanted.pull == PullPolicy::always;
        return index;
    }

    std::vector<Change> why_replace(const WantedWorkspace& wanted, const Container& seen) const {
        std::vector<Change> changes;
        if (label_of(seen.labels, label::kSpecHash) != wanted.hash) {
            boost::system::error_code error;
            const auto was = json::parse(label_of(seen.labels, label::kSpec), error);
            compare("", !error && was.is_object() ? was.get_object() : json::object(), wanted.fixed,
                    changes);
            if (changes.empty()) changes.push_back({"spec", "another", "the wanted one"});
        }
        // The same reference, but it means another image now.
        if (const auto image = image_ids_.find(wanted.image);
            image != image_ids_.end() && image->second != seen.image_id && changes.empty()) {
            changes.push_back({"image", short_id(seen.image_id), short_id(image->second)});
        }
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

    void replace(const WantedWorkspace& wanted, const Container& current, const Container* next,
                 const std::string& why, Chain chain) {
        detach_stale(wanted, current, chain);
        if (next == nullptr) {
            std::vector<Index> before;
            if (!needs(wanted, before)) return;
            const auto name = wanted.name + kNextSuffix;
            waits_for_name(name, make_container(wanted, name, why, before, chain));
        } else if (next->state == ContainerState::restarting ||
                   (next->state == ContainerState::exited && next->exit_code != 0)) {
            const auto index =
                follow(chain, Action::roll_back, wanted.key, wanted.name, next->id,
                       fmt::format("the new container ended with exit code {}{}", next->exit_code,
                                   next->error.empty() ? "" : ": " + next->error));
            step(index).replaces = current.id;
            step(index).running = wanted.running;
            return;
        } else if (next->state == ContainerState::running &&
                   next->started.value_or(now_) + kVerify > now_) {
            const auto verified = next->started.value_or(now_) + kVerify;
            plan_.look_again = std::min(plan_.look_again.value_or(verified), verified);
            return;
        }
        if (is_running(current)) {
            const auto index =
                follow(chain, Action::stop_container, wanted.key, wanted.name, current.id, why);
            step(index).grace = wanted.stop_grace;
        }
        const std::string id = next == nullptr ? "" : next->id;
        if (wanted.running && (next == nullptr || next->state == ContainerState::created)) {
            const auto index =
                follow(chain, Action::start_replacement, wanted.key, wanted.name, id, why);
            step(index).replaces = current.id;
        }
        const auto index =
            follow(chain, Action::finish_replacement, wanted.key, wanted.name, id, why);
        step(index).replaces = current.id;
        releases(current, index);
    }

    // Off networks that are to go, or have gone: else they could not be made anew under their
    // names.
    void detach_stale(const WantedWorkspace& wanted, const Container& seen, Chain& chain) {
        for (const auto& each : seen.networks) {
            if (!is_stale(each)) continue;
            detach(wanted, seen, each, "the network has gone", chain);
        }
    }

    bool is_stale(const runtime::Attachment& seen) const {
        if (seen.network == kDefaultNetwork || seen.network_id.empty()) return false;
        if (makes_network_.contains(seen.network)) return true;
        const auto found = network_ids_.find(seen.network);
        return found != network_ids_.end() && found->second != seen.network_id;
    }

    Index detach(const WantedWorkspace& wanted, const Container& seen,
                 const runtime::Attachment& attachment, const std::string& reason, Chain& chain) {
        const auto index = follow(chain, Action::disconnect_network, wanted.key, wanted.name,
                                  seen.id, fmt::format("{}: {}", attachment.network, reason));
        step(index).attachment = attachment;
        released_[attachment.network_id].push_back(index);
        return index;
    }

    // --- a container that stays: what can change in place

    void keep(const WantedWorkspace& wanted, const Container& seen, Chain chain) {
        networks_in_place(wanted, seen, chain);
        limits_in_place(wanted, seen, chain);
        if (plan_.waits.contains(wanted.key)) return;
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
                const auto index = follow(chain, Action::restart_container, wanted.key, wanted.name,
                                          seen.id, "is to be restarted");
                step(index).grace = wanted.stop_grace;
            }
        } else if (restart || starts_again(wanted, seen)) {
            start(wanted, seen.id,
                  seen.state == ContainerState::created ? "is to run" : "has stopped", chain);
        }
    }

    void networks_in_place(const WantedWorkspace& wanted, const Container& seen, Chain& chain) {
        auto targets = wanted.spec.networks;
        if (targets.empty()) targets.push_back({.network = kDefaultNetwork});
        for (const auto& each : seen.networks) {
            const auto target = std::ranges::find_if(
                targets, [&](const auto& t) { return t.network == each.network; });
            if (target == targets.end()) {
                if (each.network == kDefaultNetwork || network_ids_.contains(each.network)) {
                    detach(wanted, seen, each, "is not wanted", chain);
                }
                continue;
            }
            if (is_stale(each)) {
                detach(wanted, seen, each, "the network has gone", chain);
            } else if (const auto why = how_attached(*target, each); !why.empty()) {
                detach(wanted, seen, each, why, chain);
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
            const auto index = follow(chain, Action::connect_network, wanted.key, wanted.name,
                                      seen.id, target.network + ": is not connected");
            for (const auto each : before) comes_after(index, each);
            step(index).attachment = target;
        }
    }

    // Why an attachment is to be made anew; empty when it is as wanted.
    static std::string how_attached(const runtime::Attachment& target,
                                    const runtime::Attachment& seen) {
        if (target.network == kDefaultNetwork) return "";  // it knows neither
        if (target.ipv4 != seen.ipv4) {
            return to_string({"ipv4", seen.ipv4.empty() ? "any" : seen.ipv4,
                              target.ipv4.empty() ? "any" : target.ipv4});
        }
        const std::set<std::string> wanted(target.aliases.begin(), target.aliases.end());
        const std::set<std::string> is(seen.aliases.begin(), seen.aliases.end());
        if (wanted == is) return "";
        return to_string({"aliases", fmt::format("{}", fmt::join(is, " ")),
                          fmt::format("{}", fmt::join(wanted, " "))});
    }

    void limits_in_place(const WantedWorkspace& wanted, const Container& seen, Chain& chain) {
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
        const auto index = follow(chain, Action::update_container, wanted.key, wanted.name, seen.id,
                                  join(changes));
        step(index).spec = wanted.spec;
    }

    // --- networks, volumes and images that are to go, after what uses them

    void removals() {
        for (const auto& [id, index] : doubles_removed_) {
            for (const auto each : released_[id]) comes_after(index, each);
        }
        for (const auto& [id, network] : observed_.networks) {
            const auto owner = label_of(network.labels, label::kId);
            const auto known = known_.find(owner);
            const bool deleting = known != known_.end() && known->second->deleting;
            const bool leftover = known == known_.end() && ours(network.labels);
            if (!deleting && !leftover) continue;
            const auto index = add(Action::remove_network, {Kind::network, owner}, network.name, id,
                                   deleting ? "is deleted" : "belongs to nothing wanted");
            for (const auto each : released_[id]) comes_after(index, each);
            if (const auto makes = makes_network_.find(network.name);
                makes != makes_network_.end()) {
                comes_after(makes->second, index);
            }
        }
        for (const auto& each : wanted_.volumes) {
            if (!each.deleting || !has_volume(each)) continue;
            const auto index =
                add(Action::remove_volume, each.key, each.name, each.name, "is deleted");
            for (const auto& workspace : wanted_.workspaces) {
                if (std::ranges::find(workspace.volumes, each.name) != workspace.volumes.end()) {
                    after_removal_of(workspace, index);
                }
            }
        }
        for (const auto& each : wanted_.images) {
            if (each.deleting) remove_image(each);
        }
    }

    void after_removal_of(const WantedWorkspace& workspace, Index index) {
        for (const auto removal : removed_of_[workspace.key.id]) comes_after(index, removal);
    }

    // A pulled image carries no label: it is the host's, and stays.
    void remove_image(const WantedImage& wanted) {
        for (const auto& [id, image] : observed_.images) {
            if (label_of(image.labels, label::kId) != wanted.key.id) continue;
            const auto index = add(Action::remove_image, wanted.key, wanted.name, id, "is deleted");
            for (const auto& workspace : wanted_.workspaces) {
                if (workspace.image == wanted.name) after_removal_of(workspace, index);
            }
        }
    }

    const WantedState& wanted_;
    const Observed& observed_;
    Timestamp now_;
    Containers containers_;
    Plan plan_;
    std::map<std::string, const Wanted*> known_;  // by id
    std::map<std::string, const WantedWorkspace*> by_name_;
    std::set<std::string> planned_;                     // workspaces' ids
    std::map<std::string, Index> starts_;               // by workspace id: the step that starts it
    std::map<std::string, std::string> network_ids_;    // by name, those there
    std::map<std::string, std::string> doubles_;        // further networks of a name: id -> name
    std::multimap<std::string, Index> removes_double_;  // by name
    std::map<std::string, Index> doubles_removed_;      // by id
    std::map<std::string, std::string> image_ids_;      // by resource's name, those as wanted
    std::map<std::string, Index> makes_network_;        // by name
    std::map<std::string, Index> makes_volume_;
    std::map<std::string, Index> makes_image_;
    std::map<std::string, Index> freed_names_;              // by container name
    std::map<std::string, std::vector<Index>> released_;    // by network id
    std::map<std::string, std::vector<Index>> removed_of_;  // by workspace id
};

}  // namespace

std::string to_string(const Change& change) {
    return fmt::format("{}: {} -> {}", change.field, change.from, change.to);
}

Containers::Containers(const Observed& observed) {
    for (const auto& [id, container] : observed.containers) {
        by_resource_.emplace(label_of(container.labels, label::kId), &container);
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

protocol::HostPlan describe_plan(const Plan& plan, const WantedState& wanted) {
    protocol::HostPlan described;
    for (const auto& step : plan.steps) {
        protocol::PlanStep made{.kind = step.key.kind,
                                .name = step.name,
                                .action = wire::to_text(step.action),
                                .reason = step.reason};
        made.replaces = !step.replaces.empty() || step.name.ends_with(kNextSuffix);
        made.after.assign(step.after.begin(), step.after.end());
        described.steps.push_back(std::move(made));
    }
    const auto stands = [&](const Wanted& wanted_one) {
        if (!wanted_one.fault.empty() && !wanted_one.deleting) {
            described.obstacles.push_back({wanted_one.key.kind, wanted_one.name, wanted_one.fault});
        }
        if (const auto waits = plan.waits.find(wanted_one.key); waits != plan.waits.end()) {
            described.obstacles.push_back(
                {wanted_one.key.kind, wanted_one.name, "waits for " + waits->second.second});
        }
    };
    for (const auto& each : wanted.networks) stands(each);
    for (const auto& each : wanted.volumes) stands(each);
    for (const auto& each : wanted.images) stands(each);
    for (const auto& each : wanted.workspaces) stands(each);
    return described;
}

Plan plan(const WantedState& wanted, const Observed& observed, Timestamp now) {
    return Planner(wanted, observed, now).make();
}

}  // namespace trailer::reconcile
