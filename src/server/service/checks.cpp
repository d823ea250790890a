#include "server/service/checks.h"

#include <algorithm>

#include "wire/json.h"

namespace trailer::server {
namespace {

namespace json = boost::json;

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
        if constexpr (requires { each.second.name; }) {
            return each.second.name == name;
        } else {
            return each.second.first == name;
        }
    });
}

std::string text_member(const json::object& object, std::string_view name) {
    const auto* member = object.if_contains(name);
    return member != nullptr && member->is_string() ? std::string(member->get_string()) : "";
}

}  // namespace

HostPlan::HostPlan(const store::Host& host, const State& state) : host_(host) {
    for (const auto* entry : state.resources_on(host.id)) {
        const auto& record = entry->record;
        if (record.kind != Kind::workspace) {
            put(record);
        } else if (!record.deleting) {
            workspaces_[record.id] = {record.name, record.running, entry->workspace};
        }
    }
}

void HostPlan::put(const store::Resource& resource) {
    if (resource.deleting) return take(resource);
    switch (resource.kind) {
        case Kind::workspace:
            workspaces_[resource.id] = {
                .name = resource.name,
                .running = resource.running,
                .spec = std::make_shared<const protocol::WorkspaceSpec>(
                    wire::from_json<protocol::WorkspaceSpec>(resource.spec))};
            break;
        case Kind::network:
            networks_[resource.id] = {
                .name = resource.name,
                .spec = wire::from_json<protocol::NetworkSpec>(resource.spec),
                .subnet_seen = text_member(resource.observed, "subnet"),
                .ipv6_subnet_seen = text_member(resource.observed, "ipv6_subnet")};
            break;
        case Kind::volume:
            volumes_[resource.id] = {resource.name,
                                     wire::from_json<protocol::VolumeSpec>(resource.spec)};
            break;
        case Kind::image:
            images_[resource.id] = {resource.name,
                                    wire::from_json<protocol::ImageSpec>(resource.spec)};
            break;
    }
}

void HostPlan::take(const store::Resource& resource) {
    workspaces_.erase(resource.id);
    networks_.erase(resource.id);
    volumes_.erase(resource.id);
    images_.erase(resource.id);
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
            return check_bounds(beyond_bounds(volumes_.at(resource.id).second, host_.capabilities),
                                prefix, faults);
    }
}

std::vector<std::string> HostPlan::users_of(const store::Resource& resource) const {
    std::vector<std::string> users;
    for (const auto& [id, workspace] : workspaces_) {
        const auto& spec = *workspace.spec;
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

void HostPlan::check_bounds(std::vector<FieldError> beyond, const std::string& prefix,
                            std::vector<FieldError>& faults) {
    for (auto& each : beyond) {
        faults.push_back({prefix + each.pointer, std::move(each.detail)});
    }
}

void HostPlan::check_workspace(const std::string& id, const Workspace& workspace,
                               const std::string& prefix, std::vector<FieldError>& faults) const {
    check_bounds(beyond_bounds(*workspace.spec, host_.capabilities), prefix, faults);
    check_references(workspace, prefix, faults);
    check_dependencies(workspace, prefix, faults);
    check_ports(id, workspace, prefix, faults);
    check_addresses(id, workspace, prefix, faults);
    check_limits(workspace, prefix, faults);
}

void HostPlan::check_references(const Workspace& workspace, const std::string& prefix,
                                std::vector<FieldError>& faults) const {
    const auto& networks = workspace.spec->networks;
    for (std::size_t i = 0; i < networks.size(); ++i) {
        if (has_name(networks_, networks[i].network)) continue;
        faults.push_back({fmt::format("{}/spec/networks/{}/network", prefix, i),
                          lacks(Kind::network, networks[i].network)});
    }
    const auto& mounts = workspace.spec->mounts;
    for (std::size_t i = 0; i < mounts.size(); ++i) {
        if (mounts[i].volume.empty() || has_name(volumes_, mounts[i].volume)) continue;
        faults.push_back({fmt::format("{}/spec/mounts/{}/volume", prefix, i),
                          lacks(Kind::volume, mounts[i].volume)});
    }
}

void HostPlan::check_dependencies(const Workspace& workspace, const std::string& prefix,
                                  std::vector<FieldError>& faults) const {
    const auto& dependencies = workspace.spec->depends_on;
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
        for (const auto& each : workspace.spec->depends_on) {
            if (leads_to(each.workspace, to, seen)) return true;
        }
    }
    return false;
}

void HostPlan::check_ports(const std::string& id, const Workspace& workspace,
                           const std::string& prefix, std::vector<FieldError>& faults) const {
    if (!workspace.running) return;  // it holds none; starting it is checked then
    const auto& ports = workspace.spec->ports;
    for (std::size_t i = 0; i < ports.size(); ++i) {
        for (const auto& [other_id, other] : workspaces_) {
            if (other_id == id || !other.running) continue;
            const bool taken = std::ranges::any_of(
                other.spec->ports, [&](const auto& each) { return same_port(each, ports[i]); });
            if (!taken) continue;
            faults.push_back(
                {fmt::format("{}/spec/ports/{}/host", prefix, i),
                 fmt::format("port {}/{} of host {} is workspace {}'s", ports[i].host,
                             wire::to_text(ports[i].protocol), host_.name, other.name)});
            break;
        }
    }
}

void HostPlan::check_limits(const Workspace& workspace, const std::string& prefix,
                            std::vector<FieldError>& faults) const {
    const auto& resources = workspace.spec->resources;
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
    if (resources.gpus && !has.gpus.empty()) check_gpus(*resources.gpus, prefix, faults);
}

// A host that tells of none may have some that its agent can't see.
void HostPlan::check_gpus(const protocol::Gpus& gpus, const std::string& prefix,
                          std::vector<FieldError>& faults) const {
    const auto& has = host_.capabilities.gpus;
    const auto pointer = prefix + "/spec/resources/gpus";
    if (gpus.count > has.size()) {
        faults.push_back(
            {pointer, fmt::format("host {} has {} GPU{}, {} are asked for", host_.name, has.size(),
                                  has.size() == 1 ? "" : "s", gpus.count)});
    }
    for (std::size_t i = 0; i < gpus.uuids.size(); ++i) {
        const auto& uuid = gpus.uuids[i];
        if (std::ranges::any_of(has, [&](const auto& each) { return each.uuid == uuid; })) continue;
        faults.push_back({fmt::format("{}/{}", pointer, i),
                          fmt::format("host {} has no GPU {}", host_.name, uuid)});
    }
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
