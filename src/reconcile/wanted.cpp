#include "reconcile/wanted.h"

#include <algorithm>
#include <boost/asio/ip/address_v6.hpp>
#include <cmath>

#include "base/crypto.h"
#include "wire/json.h"

namespace trailer::reconcile {
namespace {

namespace label = runtime::label;
using protocol::Kind;

constexpr std::size_t kHashLetters = 32;

std::string hash_of(std::string_view text) {
    return to_hex(sha256(text)).substr(0, kHashLetters);
}

bool is_default(const json::value& value) {
    switch (value.kind()) {
        case json::kind::null:
            return true;
        case json::kind::bool_:
            return !value.get_bool();
        case json::kind::int64:
            return value.get_int64() == 0;
        case json::kind::uint64:
            return value.get_uint64() == 0;
        case json::kind::string:
            return value.get_string().empty();
        case json::kind::array:
            return value.get_array().empty();
        case json::kind::object:
            return value.get_object().empty();
        default:
            return false;
    }
}

json::value without_defaults(const json::value& value) {
    if (const auto* object = value.if_object()) {
        json::object kept;
        for (const auto& [name, member] : *object) {
            auto inner = without_defaults(member);
            if (!is_default(inner)) kept.emplace(name, std::move(inner));
        }
        return kept;
    }
    if (const auto* array = value.if_array()) {
        json::array kept;
        for (const auto& each : *array) kept.push_back(without_defaults(each));
        return kept;
    }
    return value;
}

template <typename T>
std::vector<T> sorted(std::vector<T> list) {
    std::ranges::sort(list);
    return list;
}

template <typename Wants, typename Desired>
Wants wanted_of(Kind kind, const Desired& desired) {
    Wants wanted;
    wanted.key = {kind, desired.id};
    wanted.name = desired.name;
    wanted.revision = desired.revision;
    wanted.deleting = desired.deleting;
    return wanted;
}

runtime::Labels labels_of(const std::map<std::string, std::string>& users, const Wanted& wanted,
                          const std::string& host_id) {
    runtime::Labels labels = users;
    labels[label::kManaged] = "true";
    labels[label::kHost] = host_id;
    labels[label::kId] = wanted.key.id;
    labels[label::kName] = wanted.name;
    return labels;
}

WantedNetwork network_of(const protocol::DesiredNetwork& desired, const Bounds& bounds,
                         const std::string& host_id) {
    auto wanted = wanted_of<WantedNetwork>(Kind::network, desired);
    const auto& spec = desired.spec;
    if (!wanted.deleting) wanted.fault = fault_of(spec, bounds);
    wanted.spec = {
        .name = desired.name,
        .driver = wire::to_text(spec.driver),
        .subnet = spec.subnet,
        .gateway = spec.gateway,
        .ip_range = spec.ip_range,
        .ipv6 = spec.ipv6,
        .subnet6 = spec.ipv6_subnet,
        .gateway6 = spec.ipv6_gateway,
        // The engine makes the VLAN's interface of such a name, and removes it.
        .parent = spec.vlan == 0 ? spec.parent : fmt::format("{}.{}", spec.parent, spec.vlan),
        .mode = spec.mode ? wire::to_text(*spec.mode) : "",
        .internal = spec.internal,
        .labels = labels_of(spec.labels, wanted, host_id)};
    wanted.desired = desired;
    return wanted;
}

WantedVolume volume_of(const protocol::DesiredVolume& desired, const Bounds& bounds,
                       const std::string& host_id) {
    auto wanted = wanted_of<WantedVolume>(Kind::volume, desired);
    if (!wanted.deleting) wanted.fault = fault_of(desired.spec, bounds);
    wanted.spec = {.name = desired.name,
                   .driver = desired.spec.driver,
                   .driver_options = desired.spec.driver_options,
                   .labels = labels_of(desired.spec.labels, wanted, host_id)};
    wanted.desired = desired;
    return wanted;
}

WantedImage image_of(const protocol::DesiredImage& desired, const std::string& host_id) {
    auto wanted = wanted_of<WantedImage>(Kind::image, desired);
    const auto& spec = desired.spec;
    wanted.reference = protocol::with_tag(spec.reference);
    wanted.built = !spec.dockerfile.empty();
    wanted.pulled = desired.pulled;
    wanted.forced_pull = desired.forced_pull;
    wanted.force_pull = spec.pull || desired.rebuilds > 0;
    auto made_from = without_defaults(wire::to_json(spec)).as_object();
    if (desired.rebuilds != 0) made_from["rebuilds"] = desired.rebuilds;
    wanted.hash = hash_of(json::serialize(made_from));
    wanted.build = {.reference = wanted.reference,
                    .dockerfile = spec.dockerfile,
                    .build_args = spec.build_args,
                    .pull = spec.pull,
                    .labels = labels_of({}, wanted, host_id)};
    wanted.build.labels[label::kSpecHash] = wanted.hash;
    return wanted;
}

// Names of what this workspace needs and the host is not to have, or not for long.
class Index {
  public:
    // `state` has its networks and volumes already, and outlives the index.
    Index(const protocol::DesiredState& desired, const WantedState& state) {
        for (const auto& each : state.networks) networks_[each.name] = &each;
        for (const auto& each : state.volumes) volumes_[each.name] = &each;
        for (const auto& each : desired.images) images_[each.name] = &each;
        for (const auto& each : desired.workspaces) workspaces_[each.name] = !each.deleting;
    }

    std::string fault(const protocol::WorkspaceSpec& spec) const {
        std::string text;
        for (const auto& each : spec.networks) {
            if (text.empty()) text = fault_in(networks_, "network", each.network);
        }
        for (const auto& each : spec.mounts) {
            if (text.empty() && !each.volume.empty()) {
                text = fault_in(volumes_, "volume", each.volume);
            }
        }
        if (!text.empty()) return text;
        for (const auto& each : spec.depends_on) {
            const auto found = workspaces_.find(each.workspace);
            if (found == workspaces_.end() || !found->second) {
                return missing("workspace", each.workspace);
            }
        }
        const auto* found = image(spec.image);
        return found != nullptr && found->deleting ? missing("image", spec.image) : "";
    }

    std::optional<runtime::VolumeSpec> volume_spec(const std::string& name) const {
        const auto found = volumes_.find(name);
        if (found == volumes_.end()) return std::nullopt;
        return found->second->spec;
    }

    const protocol::DesiredImage* image(const std::string& name) const {
        const auto found = images_.find(name);
        return found == images_.end() ? nullptr : found->second;
    }

  private:
    // What the host will not make, or no longer, nobody is to use either.
    template <typename Map>
    static std::string fault_in(const Map& map, std::string_view noun, const std::string& name) {
        const auto found = map.find(name);
        if (found == map.end() || found->second->deleting) return missing(noun, name);
        const auto& fault = found->second->fault;
        return fault.empty() ? "" : fmt::format("{} {}: {}", noun, name, fault);
    }
    static std::string missing(std::string_view noun, const std::string& name) {
        return fmt::format("{} {} is not (or not for long) on this host", noun, name);
    }

    std::map<std::string, const WantedNetwork*> networks_;
    std::map<std::string, const WantedVolume*> volumes_;
    std::map<std::string, bool> workspaces_;
    std::map<std::string, const protocol::DesiredImage*> images_;
};

// As engines write it back, so that another way of writing it is no change.
std::string canonical(const std::string& ipv6) {
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address_v6(ipv6, error);
    return error ? ipv6 : address.to_string();
}

runtime::Limits limits_of(const protocol::Resources& resources) {
    constexpr double kNano = 1e9;
    return {.nano_cpus = std::llround(resources.cpus.value_or(0) * kNano),
            .memory = resources.memory.value_or(0),
            .pids = resources.pids.value_or(0)};
}

json::object fixed_part(const protocol::DesiredWorkspace& desired, const std::string& reference) {
    const auto& spec = desired.spec;
    json::object env;
    for (const auto& [name, value] : spec.env) {
        env[name] = hash_of(fmt::format("{}\n{}\n{}", desired.id, name, value));
    }
    json::object fixed{{"image", reference},
                       {"entrypoint", wire::to_json(spec.entrypoint)},
                       {"command", wire::to_json(spec.command)},
                       {"env", std::move(env)},
                       {"user", spec.user},
                       {"working_dir", spec.working_dir},
                       {"hostname", spec.hostname},
                       {"ports", without_defaults(wire::to_json(sorted(spec.ports)))},
                       {"mounts", without_defaults(wire::to_json(sorted(spec.mounts)))},
                       {"shm_size", spec.resources.shm_size.value_or(0)},
                       {"gpus", wire::to_json(spec.resources.gpus)},
                       {"health_check", without_defaults(wire::to_json(spec.health_check))},
                       {"dns", wire::to_json(spec.dns)},
                       {"extra_hosts", wire::to_json(spec.extra_hosts)},
                       {"init", spec.init},
                       {"stop_signal", spec.stop_signal},
                       {"read_only", spec.read_only},
                       {"ulimits", wire::to_json(spec.ulimits)},
                       {"sysctls", wire::to_json(spec.sysctls)},
                       {"logging", without_defaults(wire::to_json(spec.logging))},
                       {"cap_add", wire::to_json(sorted(spec.cap_add))},
                       {"cap_drop", wire::to_json(sorted(spec.cap_drop))},
                       {"devices", without_defaults(wire::to_json(sorted(spec.devices)))},
                       {"privileged", spec.privileged},
                       {"host_network", spec.host_network},
                       {"tty", spec.tty},
                       {"stdin_open", spec.stdin_open},
                       {"labels", wire::to_json(spec.labels)},
                       {"redeploys", desired.redeploys}};
    json::object kept;
    for (auto& [name, member] : fixed) {
        if (!is_default(member)) kept.emplace(name, std::move(member));
    }
    return kept;
}

void copy_options(const protocol::WorkspaceSpec& spec, runtime::ContainerSpec& container) {
    container.entrypoint = spec.entrypoint;
    container.command = spec.command;
    container.env = spec.env;
    container.user = spec.user;
    container.working_dir = spec.working_dir;
    container.ports = spec.ports;
    container.dns = spec.dns;
    container.extra_hosts = spec.extra_hosts;
    container.init = spec.init;
    container.stop_signal = spec.stop_signal;
    container.read_only = spec.read_only;
    container.ulimits = spec.ulimits;
    container.sysctls = spec.sysctls;
    container.logging = spec.logging;
    container.cap_add = spec.cap_add;
    container.cap_drop = spec.cap_drop;
    container.devices = spec.devices;
    container.privileged = spec.privileged;
    container.host_network = spec.host_network;
    container.tty = spec.tty;
    container.stdin_open = spec.stdin_open;
}

WantedWorkspace workspace_of(const protocol::DesiredWorkspace& desired, const Index& index,
                             const Bounds& bounds, const std::string& host_id) {
    auto wanted = wanted_of<WantedWorkspace>(Kind::workspace, desired);
    const auto& spec = desired.spec;
    wanted.running = desired.running;
    wanted.restart_before = desired.restart_before;
    wanted.pull = spec.pull;
    wanted.depends_on = spec.depends_on;
    wanted.stop_grace = std::chrono::milliseconds{spec.stop_grace_ms};
    wanted.replace = spec.replace;
    wanted.drift = spec.drift;
    wanted.applied_revision = desired.applied_revision;
    wanted.fault = index.fault(spec);
    if (wanted.fault.empty()) wanted.fault = fault_of(spec, bounds);
    auto& container = wanted.spec;
    container.name = desired.name;
    container.hostname = spec.hostname.empty() ? desired.name : spec.hostname;
    copy_options(spec, container);
    const auto* image = index.image(spec.image);
    if (image != nullptr) wanted.image = spec.image;
    container.image = image == nullptr ? spec.image : image->spec.reference;
    for (const auto& mount : spec.mounts) {
        using Type = runtime::ContainerMount::Type;
        container.mounts.push_back({.type = mount.tmpfs            ? Type::tmpfs
                                            : mount.volume.empty() ? Type::bind
                                                                   : Type::volume,
                                    .source = mount.volume.empty() ? mount.bind : mount.volume,
                                    .size = mount.size,
                                    .target = mount.target,
                                    .read_only = mount.read_only});
        if (!mount.volume.empty()) {
            wanted.volumes.push_back(mount.volume);
            container.mounts.back().volume = index.volume_spec(mount.volume);
        }
    }
    for (const auto& each : spec.networks) {
        auto aliases = each.aliases;
        // The engine knows a container by its name too, but not while it is being replaced.
        if (std::ranges::find(aliases, desired.name) == aliases.end()) {
            aliases.push_back(desired.name);
        }
        container.networks.push_back({.network = each.network,
                                      .aliases = sorted(aliases),
                                      .ipv4 = each.ipv4,
                                      .ipv6 = canonical(each.ipv6)});
        wanted.networks.push_back(each.network);
    }
    container.shm_size = spec.resources.shm_size.value_or(0);
    container.gpus = spec.resources.gpus;
    container.limits = limits_of(spec.resources);
    container.restart = spec.restart;
    container.health_check = spec.health_check;
    // What is to go needs nothing any more.
    if (wanted.deleting) wanted.fault.clear();
    wanted.fixed = fixed_part(desired, container.image);
    const auto text = json::serialize(wanted.fixed);
    wanted.hash = hash_of(text);
    container.labels = labels_of(spec.labels, wanted, host_id);
    container.labels[label::kSpecHash] = wanted.hash;
    container.labels[label::kSpec] = text;
    container.labels[label::kRevision] = std::to_string(desired.revision);
    wanted.desired = desired;
    return wanted;
}

// Whether all that workspaces are compiled from beside themselves is as it was.
bool same_surroundings(const protocol::DesiredState& desired, const WantedState& state,
                       const WantedState& before) {
    const auto same_name = [](const auto& one, const auto& other) {
        return one.id == other.key.id && one.name == other.name && one.deleting == other.deleting;
    };
    return state.host_id == before.host_id && state.networks == before.networks &&
           state.volumes == before.volumes && state.images == before.images &&
           std::ranges::equal(desired.workspaces, before.workspaces, same_name);
}

// Its links may lead elsewhere by now.
bool follows_links(const protocol::DesiredNetwork&) {
    return false;
}
bool follows_links(const protocol::DesiredVolume& volume) {
    return !volume.spec.driver_options.empty();
}
bool follows_links(const protocol::DesiredWorkspace& workspace) {
    return std::ranges::any_of(workspace.spec.mounts,
                               [](const auto& mount) { return !mount.bind.empty(); });
}

// Each comes out of `make`, but for those that did so already when `before` was compiled, where
// nothing else that they are made from has changed (`alike`). Both lists are in the order of ids.
template <typename Wants, typename Desired, typename Make>
SharedList<Wants> compile_each(const std::vector<Desired>& desired, const SharedList<Wants>& before,
                               bool alike, Make make) {
    SharedList<Wants> list;
    list.reserve(desired.size());
    std::size_t place = 0;
    for (const auto& each : desired) {
        while (place < before.size() && before[place].key.id < each.id) ++place;
        const bool same = alike && place < before.size() && before[place].desired == each;
        if (same && !follows_links(each)) {
            list.push_back_shared(before, place);
        } else {
            list.push_back(make(each));
        }
    }
    return list;
}

}  // namespace

std::set<std::string> references_of(const WantedState& wanted) {
    std::set<std::string> references;
    for (const auto& image : wanted.images) {
        if (!image.built) references.insert(image.reference);
    }
    return references;
}

WantedState compile(const protocol::DesiredState& desired, const Bounds& bounds) {
    return compile(desired, bounds, {});
}

WantedState compile(const protocol::DesiredState& desired, const Bounds& bounds,
                    const WantedState& before) {
    WantedState state{.host_id = desired.host_id,
                      .revision = desired.revision,
                      .network_pools = bounds.network_pools,
                      .network_pool_prefix = bounds.network_pool_prefix};
    const auto& host = desired.host_id;
    const bool same_host = host == before.host_id;
    state.networks = compile_each(desired.networks, before.networks, same_host,
                                  [&](const auto& each) { return network_of(each, bounds, host); });
    state.volumes = compile_each(desired.volumes, before.volumes, same_host,
                                 [&](const auto& each) { return volume_of(each, bounds, host); });
    for (const auto& each : desired.images) state.images.push_back(image_of(each, host));
    const Index index(desired, state);
    state.workspaces = compile_each(
        desired.workspaces, before.workspaces, same_surroundings(desired, state, before),
        [&](const auto& each) { return workspace_of(each, index, bounds, host); });
    return state;
}

}  // namespace trailer::reconcile
