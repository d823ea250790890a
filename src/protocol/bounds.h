// What a host lets its workspaces have: from its agent's own configuration file, out of any
// server's reach. The agent enforces it (reconcile/bounds.h); the server, which is told, refuses
// early.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "protocol/resources.h"

namespace trailer::protocol {

inline constexpr std::string_view kAnyParent = "*";

struct HostBounds {
    bool allow_privileged = false;
    bool allow_host_network = false;
    std::vector<std::string> allowed_bind_roots;
    std::vector<std::string> allowed_devices;
    std::vector<std::string> allowed_capabilities;
    // Interfaces that may carry macvlan and ipvlan networks; kAnyParent: all.
    std::vector<std::string> allowed_parents{std::string(kAnyParent)};

    bool operator==(const HostBounds&) const = default;
};
BOOST_DESCRIBE_STRUCT(HostBounds, (),
                      (allow_privileged, allow_host_network, allowed_bind_roots, allowed_devices,
                       allowed_capabilities, allowed_parents))

// What goes too far, each with its pointer ("/spec/cap_add/0") and the key that would allow it.
// Paths are taken as they are written: where links lead, only the host can say.
std::vector<FieldError> beyond_bounds(const WorkspaceSpec& spec, const HostBounds& bounds);
std::vector<FieldError> beyond_bounds(const VolumeSpec& spec, const HostBounds& bounds);
std::vector<FieldError> beyond_bounds(const NetworkSpec& spec, const HostBounds& bounds);

// The host's path that a volume is a bind mount of, by its driver's options; else empty.
std::string bound_path(const VolumeSpec& spec);

// By the words, with "." and ".." gone.
bool is_beneath(std::string_view path, std::string_view directory);
bool is_beneath_one(std::string_view path, const std::vector<std::string>& directories);
std::string bind_refusal(std::string_view path, const HostBounds& bounds);

}  // namespace trailer::protocol
