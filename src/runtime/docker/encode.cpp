#include <cmath>

#include "runtime/docker/codec.h"
#include "wire/json.h"

namespace trailer::runtime::docker {
namespace {

std::string port_key(const protocol::Port& port) {
    return fmt::format("{}/{}", port.container, wire::to_text(port.protocol));
}

json::object to_object(const std::map<std::string, std::string>& map) {
    json::object object;
    for (const auto& [key, value] : map) object.emplace(key, value);
    return object;
}

json::array to_array(const std::vector<std::string>& list) {
    json::array array;
    for (const auto& each : list) array.emplace_back(each);
    return array;
}

json::object restart_policy(protocol::RestartPolicy policy) {
    return {{"Name", wire::to_text(policy)}, {"MaximumRetryCount", 0}};
}

json::object health_check(const protocol::HealthCheck& check) {
    if (check.disabled) {
        json::object none;
        none["Test"] = to_array({"NONE"});
        return none;
    }
    json::array test{"CMD"};
    for (const auto& word : check.command) test.emplace_back(word);
    constexpr std::int64_t kNanosecondsPerMs = 1'000'000;
    return {{"Test", std::move(test)},
            {"Interval", check.interval_ms * kNanosecondsPerMs},
            {"Timeout", check.timeout_ms * kNanosecondsPerMs},
            {"StartPeriod", check.start_period_ms * kNanosecondsPerMs},
            {"Retries", check.retries}};
}

json::array device_requests(const protocol::Gpus& gpus) {
    json::array capabilities;  // a list of lists: any of them, all in it
    capabilities.emplace_back(to_array({"gpu"}));
    json::object request{{"Driver", "nvidia"}, {"Count", gpus.count}};
    if (gpus.all) request["Count"] = -1;
    if (!gpus.uuids.empty()) {
        request["Count"] = 0;
        request["DeviceIDs"] = to_array(gpus.uuids);
    }
    request["Capabilities"] = std::move(capabilities);
    json::array requests;
    requests.emplace_back(std::move(request));
    return requests;
}

json::object mount_of(const ContainerMount& mount) {
    static constexpr std::array kTypes{"volume", "bind", "tmpfs"};
    json::object made{{"Type", kTypes.at(static_cast<std::size_t>(mount.type))},
                      {"Target", mount.target},
                      {"ReadOnly", mount.read_only}};
    if (mount.type != ContainerMount::Type::tmpfs) {
        made["Source"] = mount.source;
    } else if (mount.size > 0) {
        made["TmpfsOptions"] = json::object{{"SizeBytes", mount.size}};
    }
    if (mount.volume) {
        made["VolumeOptions"] = json::object{
            {"Labels", to_object(mount.volume->labels)},
            {"DriverConfig", json::object{{"Name", mount.volume->driver},
                                          {"Options", to_object(mount.volume->driver_options)}}}};
    }
    return made;
}

json::object pool(const std::string& subnet, const std::string& gateway,
                  const std::string& ip_range) {
    json::object made{{"Subnet", subnet}};
    if (!gateway.empty()) made["Gateway"] = gateway;
    if (!ip_range.empty()) made["IPRange"] = ip_range;
    return made;
}

// What a container finds around it. Members that are not asked for are left to the engine.
void add_environment(const ContainerSpec& spec, json::object& host) {
    if (!spec.dns.empty()) host["Dns"] = to_array(spec.dns);
    json::array hosts;
    for (const auto& [name, address] : spec.extra_hosts) {
        hosts.emplace_back(fmt::format("{}:{}", name, address));
    }
    if (!hosts.empty()) host["ExtraHosts"] = std::move(hosts);
    if (spec.init) host["Init"] = true;
    if (spec.read_only) host["ReadonlyRootfs"] = true;
    json::array ulimits;
    for (const auto& [name, limit] : spec.ulimits) {
        ulimits.push_back(json::object{{"Name", name}, {"Soft", limit.soft}, {"Hard", limit.hard}});
    }
    if (!ulimits.empty()) host["Ulimits"] = std::move(ulimits);
    if (!spec.sysctls.empty()) host["Sysctls"] = to_object(spec.sysctls);
    if (!spec.logging.driver.empty() || !spec.logging.options.empty()) {
        host["LogConfig"] = json::object{{"Type", spec.logging.driver},
                                         {"Config", to_object(spec.logging.options)}};
    }
}

// What a container may do to the host.
void add_rights(const ContainerSpec& spec, json::object& host) {
    if (!spec.cap_add.empty()) host["CapAdd"] = to_array(spec.cap_add);
    if (!spec.cap_drop.empty()) host["CapDrop"] = to_array(spec.cap_drop);
    json::array devices;
    for (const auto& device : spec.devices) {
        devices.push_back(json::object{
            {"PathOnHost", device.host},
            {"PathInContainer", device.container.empty() ? device.host : device.container},
            {"CgroupPermissions", device.permissions}});
    }
    if (!devices.empty()) host["Devices"] = std::move(devices);
    if (spec.privileged) host["Privileged"] = true;
}

json::object host_config(const ContainerSpec& spec) {
    json::object host;
    host["RestartPolicy"] = restart_policy(spec.restart);
    if (spec.limits.nano_cpus > 0) host["NanoCpus"] = spec.limits.nano_cpus;
    if (spec.limits.memory > 0) {
        host["Memory"] = spec.limits.memory;
        host["MemorySwap"] = spec.limits.memory;  // the sum of both: no swap on top
    }
    if (spec.limits.pids > 0) host["PidsLimit"] = spec.limits.pids;
    if (spec.shm_size > 0) host["ShmSize"] = spec.shm_size;
    if (spec.gpus && spec.gpus->any()) host["DeviceRequests"] = device_requests(*spec.gpus);

    json::object bindings;
    for (const auto& port : spec.ports) {
        auto& list = bindings[port_key(port)];
        if (!list.is_array()) list = json::array();
        list.as_array().push_back(
            json::object{{"HostIp", port.address},
                         {"HostPort", port.host == 0 ? std::string() : std::to_string(port.host)}});
    }
    host["PortBindings"] = std::move(bindings);

    // `Mounts`, not `Binds`: the engine then refuses a host path that is not there, where `Binds`
    // would make a directory of root's in its place.
    json::array mounts;
    for (const auto& mount : spec.mounts) mounts.push_back(mount_of(mount));
    host["Mounts"] = std::move(mounts);
    if (spec.host_network) {
        host["NetworkMode"] = "host";
    } else if (!spec.networks.empty()) {
        host["NetworkMode"] = spec.networks.front().network;
    }
    add_environment(spec, host);
    add_rights(spec, host);
    return host;
}

}  // namespace

json::object endpoint_settings(const Attachment& attachment) {
    json::object settings;
    if (!attachment.aliases.empty()) settings["Aliases"] = to_array(attachment.aliases);
    json::object fixed;
    if (!attachment.ipv4.empty()) fixed["IPv4Address"] = attachment.ipv4;
    if (!attachment.ipv6.empty()) fixed["IPv6Address"] = attachment.ipv6;
    if (!fixed.empty()) settings["IPAMConfig"] = std::move(fixed);
    return settings;
}

json::object container_create_body(const ContainerSpec& spec) {
    json::object body;
    body["Image"] = spec.image;
    if (!spec.command.empty()) body["Cmd"] = to_array(spec.command);
    json::array env;
    for (const auto& [name, value] : spec.env) env.emplace_back(fmt::format("{}={}", name, value));
    body["Env"] = std::move(env);
    body["Labels"] = to_object(spec.labels);
    if (!spec.entrypoint.empty()) body["Entrypoint"] = to_array(spec.entrypoint);
    if (!spec.user.empty()) body["User"] = spec.user;
    if (!spec.working_dir.empty()) body["WorkingDir"] = spec.working_dir;
    if (!spec.stop_signal.empty()) body["StopSignal"] = spec.stop_signal;
    if (spec.tty) body["Tty"] = true;
    if (spec.stdin_open) body["OpenStdin"] = true;
    if (!spec.hostname.empty() && !spec.host_network) body["Hostname"] = spec.hostname;
    if (spec.health_check) body["Healthcheck"] = health_check(*spec.health_check);
    json::object exposed;
    for (const auto& port : spec.ports) exposed[port_key(port)] = json::object();
    body["ExposedPorts"] = std::move(exposed);
    body["HostConfig"] = host_config(spec);
    if (!spec.networks.empty()) {
        // API 1.41 takes one endpoint here; the others are connected afterwards.
        const auto& first = spec.networks.front();
        body["NetworkingConfig"] = json::object{
            {"EndpointsConfig", json::object{{first.network, endpoint_settings(first)}}}};
    }
    return body;
}

json::object container_update_body(const Limits& limits, protocol::RestartPolicy restart) {
    // 0 leaves CPUs and memory as they are (20.10 refuses -1 for memory); -1 takes a pids limit
    // away.
    json::object body{{"PidsLimit", limits.pids > 0 ? limits.pids : -1},
                      {"RestartPolicy", restart_policy(restart)}};
    if (limits.nano_cpus > 0) body["NanoCpus"] = limits.nano_cpus;
    if (limits.memory > 0) {
        body["Memory"] = limits.memory;
        body["MemorySwap"] = limits.memory;
    }
    return body;
}

json::object network_create_body(const NetworkSpec& spec) {
    json::object body{{"Name", spec.name},
                      {"Driver", spec.driver},
                      {"CheckDuplicate", true},
                      {"Internal", spec.internal},
                      {"Labels", to_object(spec.labels)},
                      {"Options", json::object()}};
    auto& options = body["Options"].as_object();
    if (!spec.parent.empty()) options["parent"] = spec.parent;
    if (!spec.mode.empty()) options[spec.driver + "_mode"] = spec.mode;
    if (spec.ipv6) body["EnableIPv6"] = true;
    json::array pools;
    if (!spec.subnet.empty()) pools.push_back(pool(spec.subnet, spec.gateway, spec.ip_range));
    if (!spec.subnet6.empty()) pools.push_back(pool(spec.subnet6, spec.gateway6, ""));
    if (!pools.empty()) {
        body["IPAM"] = json::object{{"Driver", "default"}, {"Config", std::move(pools)}};
    }
    return body;
}

json::object volume_create_body(const VolumeSpec& spec) {
    return {{"Name", spec.name},
            {"Driver", spec.driver},
            {"DriverOpts", to_object(spec.driver_options)},
            {"Labels", to_object(spec.labels)}};
}

std::pair<std::string, std::string> split_reference(const std::string& reference) {
    const auto digest = reference.find('@');
    const auto tagged = reference.substr(0, digest);
    const auto slash = tagged.rfind('/');
    const auto colon = tagged.find(':', slash == std::string::npos ? 0 : slash);
    auto name = tagged.substr(0, colon);
    if (digest != std::string::npos) return {std::move(name), reference.substr(digest + 1)};
    return {std::move(name), colon == std::string::npos ? "latest" : tagged.substr(colon + 1)};
}

}  // namespace trailer::runtime::docker
