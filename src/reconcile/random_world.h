// What the property tests and the fuzzer share: random desired states, drift and observed states,
// drawn from whatever makes the choices, and what must hold of every plan.
#pragma once

#include <algorithm>
#include <functional>
#include <numeric>

#include "reconcile/trial.h"
#include "wire/json.h"

namespace trailer::reconcile {

// Draws states in which few names come again and again, so that two of them have much in common:
// kept, changed in place, replaced, deleted, and made anew under a name that had another id.
class RandomWorld {
  public:
    // A number from 0 up to `end`, without it.
    using Below = std::function<int(int end)>;

    explicit RandomWorld(Below below) : below_(std::move(below)) {}

    // One that an engine can reach.
    protocol::DesiredState desired() {
        auto state = nothing_wanted();
        for (int i = 0; i < kNames; ++i) {
            if (coin()) add_network(state, name_of("net", i)).id += std::to_string(below_(2));
            if (coin()) add_volume(state, name_of("vol", i));
        }
        if (coin()) add_image(state, "tools").rebuilds = below_(2);
        for (int i = 0; i < kNames; ++i) {
            if (coin()) workspace(state, i);
        }
        for (auto& each : state.networks) each.deleting = unused(state, each.name) && one_in(4);
        for (auto& each : state.volumes) each.deleting = unused(state, each.name) && one_in(4);
        for (auto& each : state.images) each.deleting = unused(state, each.name) && one_in(4);
        return state;
    }

    // Also one that asks for what is not there, for what the host does not allow, for itself.
    protocol::DesiredState impossible() {
        auto state = desired();
        for (auto& each : state.workspaces) {
            if (one_in(4)) each.spec.networks.push_back({.network = name_of("net", below_(6))});
            if (one_in(4)) each.spec.depends_on.push_back({.workspace = name_of("ws", below_(6))});
            if (one_in(6)) each.spec.privileged = true;
            if (one_in(6)) each.spec.mounts.push_back({.bind = "/etc", .target = "/etc"});
        }
        for (auto& each : state.networks) each.deleting = each.deleting || one_in(6);
        for (auto& each : state.volumes) each.deleting = each.deleting || one_in(6);
        return state;
    }

    // What an engine might show: objects of ours in whatever state, twice, half replaced, of
    // resources that are no more, and of another Trailer host.
    Observed observed(const WantedState& wanted) {
        Observed seen;
        for (const auto& each : wanted.networks) {
            for (int copies = below_(3); copies > 0; --copies) {
                const auto id = next_id();
                seen.networks[id] = {.id = id, .name = each.name, .labels = some(each.spec.labels)};
            }
        }
        for (const auto& each : wanted.volumes) {
            if (!coin()) continue;
            seen.volumes[each.name] = {.name = each.name, .labels = some(each.spec.labels)};
        }
        for (const auto& each : wanted.images) {
            if (coin()) seen.references.emplace(each.reference, "sha256:" + next_id());
            if (!coin()) continue;
            const auto id = "sha256:" + next_id();
            seen.images[id] = {
                .id = id, .references = {each.reference}, .labels = some(each.build.labels)};
        }
        for (const auto& each : wanted.workspaces) {
            for (int copies = below_(4); copies > 0; --copies) container(each, seen);
        }
        return seen;
    }

    // A change behind the agent's back, by name, so that it can be done on several engines alike.
    struct Drift {
        int kind = 0;
        std::string workspace;
        std::string network;
    };
    std::vector<Drift> drift() {
        std::vector<Drift> all;
        for (int left = below_(4); left > 0; --left) {
            all.push_back(
                {below_(6), name_of("ws", below_(kNames)), name_of("net", below_(kNames))});
        }
        return all;
    }

    static void happen(FakeRuntime& engine, const Drift& drift) {
        const auto* found = engine.container(drift.workspace);
        const auto network_there = std::ranges::any_of(
            engine.networks(), [&](const auto& each) { return each.second.name == drift.network; });
        if (drift.kind == 4 && network_there) return engine.delete_network(drift.network);
        if (found == nullptr) return;
        if (drift.kind == 0 && found->state == ContainerState::running) {
            engine.kill_container(drift.workspace, 1);
        } else if (drift.kind == 1) {
            engine.delete_container(drift.workspace);
        } else if (drift.kind == 2) {
            engine.set_limits(drift.workspace, {.pids = 7});
        } else if (drift.kind == 3 && network_there) {
            engine.detach(drift.workspace, drift.network);
        } else if (drift.kind == 5 && found->state == ContainerState::running) {
            engine.pause_container(drift.workspace);
        }
    }

    std::vector<int> dice(int count) {
        std::vector<int> thrown;
        for (int i = 0; i < count; ++i) thrown.push_back(below_(1000));
        return thrown;
    }

  private:
    static constexpr int kNames = 4;

    static std::string name_of(const char* prefix, int index) {
        return prefix + std::to_string(index);
    }
    bool coin() { return below_(2) == 1; }
    bool one_in(int many) { return below_(many) == 0; }
    std::string next_id() { return fmt::format("{:064x}", 0xabc000 + ++last_id_); }

    static bool unused(const protocol::DesiredState& state, const std::string& name) {
        return std::ranges::none_of(state.workspaces, [&](const auto& workspace) {
            const auto& spec = workspace.spec;
            return spec.image == name ||
                   std::ranges::any_of(spec.networks,
                                       [&](const auto& each) { return each.network == name; }) ||
                   std::ranges::any_of(spec.mounts,
                                       [&](const auto& each) { return each.volume == name; });
        });
    }

    void workspace(protocol::DesiredState& state, int index) {
        std::vector<std::string> up;  // those that it may depend on
        for (const auto& each : state.workspaces) {
            if (each.running && !each.deleting) up.push_back(each.name);
        }
        auto& made = add_workspace(state, name_of("ws", index));
        made.id += std::to_string(below_(2));
        made.running = !one_in(4);
        made.deleting = one_in(8);
        made.redeploys = below_(2);
        if (one_in(6)) made.restart_before = now();
        auto& spec = made.spec;
        if (!state.images.empty() && coin()) spec.image = "tools";
        if (coin()) spec.env["A"] = std::to_string(below_(2));
        if (coin()) spec.labels["color"] = std::to_string(below_(2));
        if (coin()) spec.resources.memory = (64 + below_(2)) << 20;
        if (coin()) spec.resources.pids = 10 + below_(2);
        if (one_in(3))
            spec.ports.push_back(
                {.host = static_cast<std::uint16_t>(8000 + index), .container = 80});
        constexpr std::array kPolicies{
            protocol::RestartPolicy::unless_stopped, protocol::RestartPolicy::always,
            protocol::RestartPolicy::on_failure, protocol::RestartPolicy::no};
        spec.restart = kPolicies.at(static_cast<std::size_t>(below_(kPolicies.size())));
        for (const auto& each : state.networks) {
            if (!coin()) continue;
            auto& attachment = spec.networks.emplace_back();
            attachment.network = each.name;
            if (coin()) attachment.aliases = {"alias" + std::to_string(below_(2))};
        }
        for (const auto& each : state.volumes) {
            if (coin()) spec.mounts.push_back({.volume = each.name, .target = "/" + each.name});
        }
        for (const auto& each : up) {
            if (one_in(3)) spec.depends_on.push_back({.workspace = each});
        }
    }

    // The labels as they are, or another id's, another host's, another spec's.
    runtime::Labels some(runtime::Labels labels) {
        switch (below_(6)) {
            case 0:
                labels[runtime::label::kId] = "id-of-nothing";
                break;
            case 1:
                labels[runtime::label::kHost] = "host-2";
                labels[runtime::label::kId] = "id-elsewhere";
                break;
            case 2:
                labels[runtime::label::kSpecHash] = "0";
                labels[runtime::label::kSpec] = coin() ? R"({"image":"old","env":3})" : "not JSON";
                break;
            default:
                break;
        }
        return labels;
    }

    void container(const WantedWorkspace& wanted, Observed& seen) {
        const std::array names{wanted.name, wanted.name + kNextSuffix, wanted.name + "_renamed"};
        runtime::Container made;
        made.id = next_id();
        made.name = names.at(static_cast<std::size_t>(below_(names.size())));
        const auto taken = [&](const auto& each) { return each.second.name == made.name; };
        if (std::ranges::any_of(seen.containers, taken)) return;  // an engine's names are unique
        made.image = wanted.spec.image;
        made.labels = some(wanted.spec.labels);
        made.state = static_cast<ContainerState>(below_(7));
        made.exit_code = below_(2);
        if (coin()) made.started = now() - std::chrono::milliseconds{below_(2000)};
        made.limits = wanted.spec.limits;
        if (one_in(3)) made.limits.memory = below_(2) << 26;
        made.restart = wanted.spec.restart;
        for (const auto& mount : wanted.spec.mounts) made.volumes.push_back(mount.source);
        if (one_in(3)) made.anonymous_volumes["/data"] = next_id();
        if (one_in(6)) seen.memory.unstartable.insert(made.id);
        for (const auto& [id, network] : seen.networks) {
            if (!coin()) continue;
            made.networks.push_back({.network = network.name,
                                     .aliases = {wanted.name},
                                     .network_id = coin() ? id : "of-one-that-went"});
        }
        seen.containers[made.id] = std::move(made);
    }

    Below below_;
    int last_id_ = 0;
};

namespace detail {

using runtime::label_of;

// Made for this host, or for a resource that it is to have.
inline bool is_ours(const runtime::Labels& labels, const WantedState& wanted) {
    if (label_of(labels, runtime::label::kHost) == wanted.host_id) return true;
    const auto id = label_of(labels, runtime::label::kId);
    const auto has = [&](const auto& list) {
        return std::ranges::any_of(list, [&](const auto& each) { return each.key.id == id; });
    };
    return has(wanted.networks) || has(wanted.volumes) || has(wanted.images) ||
           has(wanted.workspaces);
}

template <typename Objects>
std::string rights_over(const Objects& objects, const std::string& id, const WantedState& wanted) {
    const auto found = objects.find(id);
    if (found == objects.end()) return "its object " + id + " is not there";
    return is_ours(found->second.labels, wanted) ? "" : "its object " + id + " is not ours";
}

// A pulled image carries no label: that our own pull brought it gives the right to take it away.
inline bool pulled_for_one_that_goes(const Step& step, const WantedState& wanted,
                                     const Observed& observed) {
    return std::ranges::any_of(wanted.images, [&](const WantedImage& each) {
        const bool brought = each.pulled || observed.memory.pulled.contains(each.key.id);
        return each.key == step.key && each.deleting && brought && each.reference == step.object;
    });
}

inline std::string rights(const Step& step, const WantedState& wanted, const Observed& observed) {
    if (!step.replaces.empty()) {
        auto why = rights_over(observed.containers, step.replaces, wanted);
        if (!why.empty()) return why;
    }
    if (step.object.empty()) return "";
    switch (step.action) {
        case Action::remove_network:
            return rights_over(observed.networks, step.object, wanted);
        case Action::remove_volume:
            return rights_over(observed.volumes, step.object, wanted);
        case Action::remove_image:
            return rights_over(observed.images, step.object, wanted);
        case Action::release_image:
            if (pulled_for_one_that_goes(step, wanted, observed)) return "";
            return rights_over(observed.images, step.object, wanted);
        default:
            return rights_over(observed.containers, step.object, wanted);
    }
}

// Each step with its number and those that it comes after, to read in a failure.
inline std::string text_of(const Plan& plan) {
    std::string text;
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        const auto& step = plan.steps[i];
        text +=
            fmt::format("\n  {}: {} {} {} ({}) after {}", i, wire::to_text(step.action), step.name,
                        step.object.substr(0, 70), step.reason.text, fmt::join(step.after, " "));
    }
    return text;
}

inline bool has_cycle(const Plan& plan) {
    std::vector<std::size_t> waits_for(plan.steps.size());
    std::vector<std::vector<std::size_t>> before(plan.steps.size());
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        waits_for[i] = plan.steps[i].after.size();
        for (const auto each : plan.steps[i].after) before[each].push_back(i);
        if (waits_for[i] == 0) ready.push_back(i);
    }
    std::size_t done = 0;
    while (!ready.empty()) {
        const auto next = ready.back();
        ready.pop_back();
        ++done;
        for (const auto each : before[next]) {
            if (--waits_for[each] == 0) ready.push_back(each);
        }
    }
    return done < plan.steps.size();
}

inline std::string broken_by(const Step& step, const WantedState& wanted,
                             const Observed& observed) {
    if (auto why = rights(step, wanted, observed); !why.empty()) return why;
    if (step.reason.text.empty()) return "it says no reason";
    const auto may_go = [&](const auto& list) {
        return std::ranges::any_of(
            list, [&](const auto& each) { return each.key == step.key && each.deleting; });
    };
    if (step.action == Action::remove_volume && !may_go(wanted.volumes)) {
        return "it removes a volume that nobody asked to delete";
    }
    for (const auto& each : wanted.workspaces) {
        const bool stops = step.action == Action::stop_container && !each.running;
        if (each.key == step.key && !each.fault.empty() && !stops) {
            return "it does more to a faulty workspace than to stop it";
        }
    }
    return "";
}

}  // namespace detail

// The rule that a plan breaks; empty where it keeps them all.
inline std::string broken_rule(const Plan& planned, const WantedState& wanted,
                               const Observed& observed) {
    std::set<std::string> made;
    for (const auto& step : planned.steps) {
        const auto named = [&](const std::string& why) {
            return fmt::format("{} {} ({}): {}", wire::to_text(step.action), step.name,
                               step.reason.text, why);
        };
        for (const auto each : step.after) {
            if (each >= planned.steps.size())
                return named("it comes after a step that is not there");
        }
        if (auto why = detail::broken_by(step, wanted, observed); !why.empty()) return named(why);
        if (step.action == Action::create_container && !made.insert(step.name).second) {
            return named("two containers of one name");
        }
    }
    if (detail::has_cycle(planned)) return "steps wait for each other:" + detail::text_of(planned);
    const auto again = plan(wanted, observed, {}, now());
    // Time alone makes a difference only to what waits for it.
    if (!planned.look_again && !again.look_again &&
        describe_plan(again, wanted) != describe_plan(planned, wanted)) {
        return "planning again gives another plan";
    }
    return "";
}

}  // namespace trailer::reconcile
