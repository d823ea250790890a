#include "server/service/checks.h"

#include <algorithm>
#include <boost/asio/ip/network_v4.hpp>

#include "wire/json.h"

namespace trailer::server {
namespace {

namespace ip = boost::asio::ip;

std::optional<ip::network_v4> subnet_of(const std::string& text) {
    if (text.empty()) return std::nullopt;
    boost::system::error_code error;
    const auto network = ip::make_network_v4(text, error);
    return error ? std::nullopt : std::optional(network);
}

bool overlap(const ip::network_v4& a, const ip::network_v4& b) {
    return a == b || a.is_subnet_of(b) || b.is_subnet_of(a);
}

bool same_port(const protocol::Port& a, const protocol::Port& b) {
    const auto any = [](const std::string& address) {
        return address.empty() || address == "0.0.0.0" || address == "::";
    };
    return a.host != 0 && a.host == b.host && a.protocol == b.protocol &&
           (any(a.address) || any(b.address) || a.address == b.address);
}

template <typename Map>
bool has_name(const Map& map, const std::string& name) {
    return std::ranges::any_of(map, [&](const auto& each) {
        if constexpr (requires { each.second.first; }) {
            return each.second.first == name;
        } else {
            return each.second == name;
        }
    });
}

}  // namespace

HostPlan::HostPlan(const store::Host& host, const State& state) : host_(host) {
    for (const auto* entry : state.resources_on(host.id)) put(entry->record);
}

void HostPlan::put(const store::Resource& resource) {
    if (resource.deleting) return;
    switch (resource.kind) {
        case Kind::workspace:
            workspaces_[resource.id] = {
                .name = resource.name,
                .running = resource.running,
                .spec = wire::from_json<protocol::WorkspaceSpec>(resource.spec)};
            break;
        case Kind::network:
            networks_[resource.id] = {resource.name,
                                      wire::from_json<protocol::NetworkSpec>(resource.spec)};
            break;
        case Kind::volume:
            volumes_[resource.id] = resource.name;
            break;
        case Kind::image:
            images_[resource.id] = {resource.name,
                                    wire::from_json<protocol::ImageSpec>(resource.spec)};
            break;
    }
}

void HostPlan::check(const store::Resource& resource, const std::string& prefix,
                     std::vector<FieldError>& faults) const {
    switch (resource.kind) {
        case Kind::workspace:
            return check_workspace(resource.id, workspaces_.at(resource.id), prefix, faults);
        case Kind::network:
            return check_network(resource, prefix, faults);
        case Kind::image:
            return check_image(resource, prefix, faults);
        case Kind::volume:
            return;
    }
}

std::vector<std::string> HostPlan::users_of(const store::Resource& resource) const {
    std::vector<std::string> users;
    for (const auto& [id, workspace] : workspaces_) {
        const auto& spec = workspace.spec;
        const bool uses =
            (resource.kind == Kind::network &&
             std::ranges::any_of(spec.networks,
                                 [&](const auto& n) { return n.network == resource.name; })) ||
            (resource.kind == Kind::volume &&
             std::ranges::any_of(spec.mounts,
                                 [&](const auto& m) { return m.volume == resource.name; })) ||
            (resource.kind == Kind::image && spec.image == resource.name) ||
            (resource.kind == Kind::workspace &&
             std::ranges::any_of(spec.depends_on,
                                 [&](const auto& d) { return d.workspace == resource.name; }));
        if (uses) users.push_back(workspace.name);
    }
    std::ranges::sort(users);
    return users;
}

std::string HostPlan::lacks(Kind kind, const std::string& name) const {
    return fmt::format("host {0} has no {1} \"{2}\": make it first, or in the same request",
                       host_.name, protocol::noun(kind), name);
}

void HostPlan::check_workspace(const std::string& id, const Workspace& workspace,
                               const std::string& prefix, std::vector<FieldError>& faults) const {
    check_references(workspace, prefix, faults);
    check_dependencies(workspace, prefix, faults);
    check_ports(id, workspace, prefix, faults);
    check_addresses(id, workspace, prefix, faults);
    check_limits(workspace, prefix, faults);
}

void HostPlan::check_references(const Workspace& workspace, const std::string& prefix,
                                std::vector<FieldError>& faults) const {
    const auto& networks = workspace.spec.networks;
    for (std::size_t i = 0; i < networks.size(); ++i) {
        if (has_name(networks_, networks[i].network)) continue;
        faults.push_back({fmt::format("{}/spec/networks/{}/network", prefix, i),
                          lacks(Kind::network, networks[i].network)});
    }
    const auto& mounts = workspace.spec.mounts;
    for (std::size_t i = 0; i < mounts.size(); ++i) {
        if (mounts[i].volume.empty() || has_name(volumes_, mounts[i].volume)) continue;
        faults.push_back({fmt::format("{}/spec/mounts/{}/volume", prefix, i),
                          lacks(Kind::volume, mounts[i].volume)});
    }
}

void HostPlan::check_dependencies(const Workspace& workspace, const std::string& prefix,
                                  std::vector<FieldError>& faults) const {
    const auto& dependencies = workspace.spec.depends_on;
    for (std::size_t i = 0; i < dependencies.size(); ++i) {
        const auto& name = dependencies[i].workspace;
        const auto pointer = fmt::format("{}/spec/depends_on/{}/workspace", prefix, i);
        const bool known = std::ranges::any_of(
            workspaces_, [&](const auto& each) { return each.second.name == name; });
        std::set<std::string> seen;
        if (!known) {
            faults.push_back({pointer, lacks(Kind::workspace, name)});
        } else if (leads_to(name, workspace.name, seen)) {
            faults.push_back(
                {pointer, fmt::format("workspace {} depends on this one in turn", name)});
        }
    }
}

// Whether `from` depends on `to`, over whatever others.
bool HostPlan::leads_to(const std::string& from, const std::string& to,
                        std::set<std::string>& seen) const {
    if (from == to) return true;
    if (!seen.insert(from).second) return false;
    for (const auto& [id, workspace] : workspaces_) {
        if (workspace.name != from) continue;
        for (const auto& each : workspace.spec.depends_on) {
            if (leads_to(each.workspace, to, seen)) return true;
        }
    }
    return false;
}

void HostPlan::check_ports(const std::string& id, const Workspace& workspace,
                           const std::string& prefix, std::vector<FieldError>& faults) const {
    if (!workspace.running) return;  // it holds none; starting it is checked then
    const auto& ports = workspace.spec.ports;
    for (std::size_t i = 0; i < ports.size(); ++i) {
        for (const auto& [other_id, other] : workspaces_) {
            if (other_id == id || !other.running) continue;
            const bool taken = std::ranges::any_of(
                other.spec.ports, [&](const auto& each) { return same_port(each, ports[i]); });
            if (!taken) continue;
            faults.push_back(
                {fmt::format("{}/spec/ports/{}/host", prefix, i),
                 fmt::format("port {}/{} of host {} is workspace {}'s", ports[i].host,
                             wire::to_text(ports[i].protocol), host_.name, other.name)});
            break;
        }
    }
}

void HostPlan::check_addresses(const std::string& id, const Workspace& workspace,
                               const std::string& prefix, std::vector<FieldError>& faults) const {
    const auto& networks = workspace.spec.networks;
    for (std::size_t i = 0; i < networks.size(); ++i) {
        const auto& attachment = networks[i];
        if (attachment.ipv4.empty()) continue;
        const auto pointer = fmt::format("{}/spec/networks/{}/ipv4", prefix, i);
        for (const auto& [network_id, network] : networks_) {
            if (network.first != attachment.network) continue;
            const auto subnet = subnet_of(network.second.subnet);
            boost::system::error_code error;
            const auto address = ip::make_address_v4(attachment.ipv4, error);
            if (!subnet) {
                faults.push_back({pointer, fmt::format("network {} has no subnet of its own: a "
                                                       "fixed address needs one",
                                                       network.first)});
            } else if (!error && (address.to_uint() & subnet->netmask().to_uint()) !=
                                     subnet->network().to_uint()) {
                faults.push_back({pointer, fmt::format("is not inside the subnet {} of network {}",
                                                       network.second.subnet, network.first)});
            }
        }
        for (const auto& [other_id, other] : workspaces_) {
            if (other_id == id) continue;
            const bool taken = std::ranges::any_of(other.spec.networks, [&](const auto& each) {
                return each.network == attachment.network && each.ipv4 == attachment.ipv4;
            });
            if (taken) faults.push_back({pointer, "is workspace " + other.name + "'s"});
        }
    }
}

void HostPlan::check_limits(const Workspace& workspace, const std::string& prefix,
                            std::vector<FieldError>& faults) const {
    const auto& resources = workspace.spec.resources;
    const auto& has = host_.capabilities;
    if (resources.memory && has.memory_total > 0 && *resources.memory > has.memory_total) {
        faults.push_back({prefix + "/spec/resources/memory",
                          fmt::format("host {} has {} bytes of memory, {} are asked for",
                                      host_.name, has.memory_total, *resources.memory)});
    }
    if (resources.cpus && has.cpus > 0 && *resources.cpus > static_cast<double>(has.cpus)) {
        faults.push_back(
            {prefix + "/spec/resources/cpus", fmt::format("host {} has {} CPUs, {} are asked for",
                                                          host_.name, has.cpus, *resources.cpus)});
    }
}

void HostPlan::check_network(const store::Resource& resource, const std::string& prefix,
                             std::vector<FieldError>& faults) const {
    const auto& [name, spec] = networks_.at(resource.id);
    if (const auto subnet = subnet_of(spec.subnet)) {
        for (const auto& [id, other] : networks_) {
            const auto others = id == resource.id ? std::nullopt : subnet_of(other.second.subnet);
            if (!others || !overlap(*subnet, *others)) continue;
            faults.push_back(
                {prefix + "/spec/subnet",
                 fmt::format("overlaps {} of network {}", other.second.subnet, other.first)});
        }
    }
    if (spec.driver != protocol::NetworkDriver::macvlan) return;
    const auto& interfaces = host_.capabilities.network_interfaces;
    const bool known =
        std::ranges::any_of(interfaces, [&](const auto& each) { return each.name == spec.parent; });
    if (known) return;
    std::string names;
    for (const auto& each : interfaces) names += (names.empty() ? "" : ", ") + each.name;
    faults.push_back({prefix + "/spec/parent",
                      fmt::format("host {} has no interface \"{}\" that can carry macvlan; it has: "
                                  "{}",
                                  host_.name, spec.parent, names.empty() ? "none" : names)});
}

void HostPlan::check_image(const store::Resource& resource, const std::string& prefix,
                           std::vector<FieldError>& faults) const {
    const auto& [name, spec] = images_.at(resource.id);
    for (const auto& [id, other] : images_) {
        if (id == resource.id || other.second.reference != spec.reference) continue;
        faults.push_back({prefix + "/spec/reference",
                          fmt::format("is image {}'s on this host already", other.first)});
    }
}

}  // namespace trailer::server
