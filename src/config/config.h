// Flags and a flat YAML file -> one Config value. product.md, rows A10 and A11 and the flag table.
//
// Flags win over the file, the file over the defaults; no environment variable binds a flag. A key
// of the file is the flag's name with '_'. A missing file is created with the values in force
// (0600, atomically). An unknown key or a wrong type is refused with file, line and column.
//
// One file may serve server and agent: every role takes every key, and a file that is created holds
// the keys that its role uses.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace trailer::config {

// What the host itself allows its workspaces; in the agent's file alone, out of the server's reach.
struct HostBounds {
    bool allow_privileged = false;
    std::vector<std::string> allowed_bind_roots;
    bool allow_host_network = false;
    std::vector<std::string> allowed_devices;
    std::vector<std::string> allowed_capabilities;
    // Interfaces that may carry macvlan and ipvlan networks; "*": all.
    std::vector<std::string> allowed_parents{"*"};
    // Where networks that name no subnet get theirs from. The second serves where the first lies in
    // a route of the host, as 10.0.0.0/8 does in many a company.
    std::vector<std::string> network_pools{"10.200.0.0/15", "172.28.0.0/14"};
    std::int64_t network_pool_prefix = 24;

    bool operator==(const HostBounds&) const = default;
};

struct Config {
    std::string server_url = "http://localhost:8090";
    std::string deployment_name;  // default: the host name
    std::filesystem::path build_directory = "/tmp";
    bool delete_build_context_after_build = true;
    std::filesystem::path data_directory = "trailer_data";
    std::filesystem::path log_directory;  // default: XDG state dir, trailer.dev
    std::string workspace_domain;         // empty: no subdomains
    std::int64_t audit_retention_days = 90;
    std::int64_t log_max_size = 10'485'760;
    std::string runtime = "docker";
    std::string docker_host = "unix:///var/run/docker.sock";
    std::filesystem::path state_directory;  // default: XDG state dir, trailer.dev
    HostBounds bounds;

    bool operator==(const Config&) const = default;
};

// $XDG_CONFIG_HOME/trailer.dev or ~/.config/trailer.dev; $XDG_STATE_HOME/trailer.dev or
// ~/.local/state/trailer.dev. Throw Error where neither variable nor a home directory is known.
std::filesystem::path config_directory();
std::filesystem::path state_directory();

// config.yml in config_directory().
std::filesystem::path default_config_file();

enum class Role { server, agent, standalone };

// A flag as it was given on the command line: "log-max-size" and "20000000".
struct Override {
    std::string flag;
    std::string value;
};
using Overrides = std::vector<Override>;

// Reads `file` (default_config_file() where none is given), applies the overrides, checks every
// value. Creates a file that is missing: one that was named and can't be created is an Error, the
// default one a warning in the log. Throws Error(invalid) "FILE:LINE:COLUMN: …" for what the file
// says, "--flag: …" for what a flag says.
Config load(const std::optional<std::filesystem::path>& file, const Overrides& overrides,
            Role role);

}  // namespace trailer::config
