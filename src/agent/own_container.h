// Whether this process runs in a container, and in which.
//
// Everything is read from /proc/self and marker files below `root` (injected by tests).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace trailer::agent {

// True where a container engine has made this process' surroundings: its cgroup is a container's,
// /run/.containerenv is there, or /.dockerenv is and the engine's own mounts (/etc/hostname and its
// like) bear it out. The marker alone is not enough: machines booted from an image that was once a
// container have it too.
bool in_container(const std::filesystem::path& root = "/");

// Whether something is mounted exactly at `path`.
bool is_mount_point(const std::filesystem::path& path, const std::filesystem::path& root = "/");

// Of directories of the engine's host: those that this process, in a container, does not see as
// they are there, because nothing is mounted at them or above. None outside a container, and none
// where the engine's socket is no mount either: then the engine runs beside it. `docker_host` as in
// the configuration.
std::vector<std::string> unseen_directories(const std::vector<std::string>& directories,
                                            const std::string& docker_host,
                                            const std::filesystem::path& root = "/");

// What may be this container's ID, best first: full IDs from the sources of the engine's mounts and
// from the cgroup's path, then the host name, which is the ID's beginning unless it was chosen
// otherwise. Empty outside a container. The caller asks the engine which of them is one.
std::vector<std::string> own_container_candidates(const std::filesystem::path& root = "/");

// True for a full container ID: 64 hex letters.
bool is_container_id(std::string_view text);

}  // namespace trailer::agent
