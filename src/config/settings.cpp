#include "config/settings.h"

#include <algorithm>
#include <array>

namespace trailer::config {
namespace {

constexpr auto kFlag = Source::flag_and_file;
constexpr auto kFile = Source::file_only;

// product.md's flag table, row by row, then the keys of the file alone.
const std::array kSettings{
    Setting{"config-file", 'C', Source::flag_only, kBoth, "FILE",
            "$XDG_CONFIG_HOME/trailer.dev/config.yml",
            "The configuration file; created with the values in force when it is missing",
            std::monostate{}},
    Setting{"server-url", 'S', kFlag, kBoth, "URL", "http://localhost:8090",
            "Agent: the server to connect to. Server: the address to bind", &Config::server_url},
    Setting{"deployment-name", 'D', kFlag, kAgent, "NAME", "the host name",
            "The name shown for this host", &Config::deployment_name},
    Setting{"build-directory", 'b', kFlag, kAgent, "DIR", "/tmp", "Where images are built",
            &Config::build_directory},
    Setting{"delete-build-context-after-build", 'B', kFlag, kAgent, "BOOL", "true",
            "Remove an image's build context once it is built",
            &Config::delete_build_context_after_build},
    Setting{"data-directory", 'd', kFlag, kServer, "DIR", "trailer_data",
            "Where the server keeps its database", &Config::data_directory},
    Setting{
        "workspace-domain", 0, kFlag, kServer, "DOMAIN", "none",
        "Show workspaces at PORT--NAME.DOMAIN, each an origin of its own; *.DOMAIN must lead here",
        &Config::workspace_domain},
    Setting{"audit-retention-days", 0, kFlag, kServer, "DAYS", "90",
            "How long the audit log remembers a session", &Config::audit_retention_days},
    Setting{"log-directory", 0, kFlag, kBoth, "DIR", "$XDG_STATE_HOME/trailer.dev",
            "Where log files are written", &Config::log_directory},
    Setting{"log-max-size", 0, kFlag, kBoth, "BYTES", "10485760",
            "Bound on the total size of the log files; the oldest go first", &Config::log_max_size},
    Setting{"runtime", 0, kFlag, kAgent, "NAME", "docker", "The container runtime: docker",
            &Config::runtime},
    Setting{"docker-host", 0, kFlag, kAgent, "ADDRESS", "unix:///var/run/docker.sock",
            "Where the engine listens: unix:///PATH or tcp://HOST:PORT", &Config::docker_host},
    Setting{"state-directory", 0, kFlag, kAgent, "DIR", "$XDG_STATE_HOME/trailer.dev",
            "Where the agent keeps its key and the last desired state", &Config::state_directory},
    Setting{"allow-privileged", 0, kFile, kAgent, "BOOL", "false",
            "Whether workspaces may be privileged on this host; no server can widen it",
            &HostBounds::allow_privileged},
    Setting{"allowed-bind-roots", 0, kFile, kAgent, "LIST", "[]",
            "Directories of this host under which workspaces may bind-mount",
            &HostBounds::allowed_bind_roots},
    Setting{"allow-host-network", 0, kFile, kAgent, "BOOL", "false",
            "Whether workspaces may share the host's network", &HostBounds::allow_host_network},
    Setting{"allowed-devices", 0, kFile, kAgent, "LIST", "[]",
            "Devices of this host that workspaces may be given, such as /dev/kvm",
            &HostBounds::allowed_devices},
    Setting{"allowed-capabilities", 0, kFile, kAgent, "LIST", "[]",
            "Kernel capabilities that workspaces may be given, such as NET_ADMIN",
            &HostBounds::allowed_capabilities},
    Setting{"allowed-parents", 0, kFile, kAgent, "LIST", "[\"*\"]",
            "Interfaces of this host that may carry macvlan and ipvlan networks; *: every one",
            &HostBounds::allowed_parents},
    Setting{"network-pools", 0, kFile, kAgent, "LIST", "[10.200.0.0/15, 172.28.0.0/14]",
            "Subnets out of which networks that name none get theirs; empty: the engine picks",
            &HostBounds::network_pools},
    Setting{"network-pool-prefix", 0, kFile, kAgent, "BITS", "24",
            "The prefix length of each network's piece of an IPv4 pool",
            &HostBounds::network_pool_prefix},
};

}  // namespace

std::string Setting::key() const {
    std::string key(flag);
    std::ranges::replace(key, '-', '_');
    return key;
}

bool Setting::used_by(Role role) const {
    switch (role) {
        case Role::server:
            return (roles & kServer) != 0;
        case Role::agent:
            return (roles & kAgent) != 0;
        case Role::standalone:
            return roles != 0;
    }
    return false;
}

std::string_view Setting::type_text() const {
    constexpr std::array<std::string_view, std::variant_size_v<Member>> kTexts{
        "text",           "text",          "a path",         "true or false",
        "a whole number", "true or false", "a list of text", "a whole number"};
    return kTexts[member.index()];
}

std::span<const Setting> settings() {
    return kSettings;
}

const Setting* find_flag(std::string_view flag) {
    const auto found = std::ranges::find_if(
        kSettings, [&](const Setting& each) { return each.is_flag() && each.flag == flag; });
    return found == kSettings.end() ? nullptr : &*found;
}

const Setting* find_key(std::string_view key) {
    const auto found = std::ranges::find_if(
        kSettings, [&](const Setting& each) { return each.in_file() && each.key() == key; });
    return found == kSettings.end() ? nullptr : &*found;
}

}  // namespace trailer::config
