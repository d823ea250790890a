#include "agent/own_container.h"

#include <algorithm>
#include <array>
#include <optional>
#include <ranges>

#include "base/error.h"
#include "base/file.h"

namespace trailer::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> kEngineMounts{"/etc/hostname", "/etc/hosts",
                                                        "/etc/resolv.conf"};

bool present(const fs::path& path) {
    std::error_code missing;
    return fs::exists(path, missing);
}

// "" where the file is not there or can't be read: then it tells nothing.
std::string text_of(const fs::path& file) {
    try {
        return read_file(file);
    } catch (const Error&) {
        return {};
    }
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const auto end = std::min(text.find(separator), text.size());
        if (end > 0) parts.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

bool is_hex(std::string_view text) {
    return std::ranges::all_of(
        text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

struct Mount {
    std::string root;  // the path within the file system that is mounted
    std::string point;
};

// proc(5): "36 35 98:0 /root /point options… - type source options". Blanks stand as \040.
std::vector<Mount> mounts(const fs::path& root) {
    std::vector<Mount> all;
    const auto text = text_of(root / "proc/self/mountinfo");
    for (const auto line : split(text, '\n')) {
        const auto words = split(line, ' ');
        if (words.size() > 4) all.push_back({std::string(words[3]), std::string(words[4])});
    }
    return all;
}

// The last part of a path that is a container's ID, bare or as a systemd scope
// ("docker-ID.scope", "libpod-ID.scope"). The last, because containers nest.
std::optional<std::string> id_in(std::string_view path) {
    for (auto name : split(path, '/') | std::views::reverse) {
        if (name.ends_with(".scope")) {
            name.remove_suffix(6);
            if (const auto dash = name.rfind('-'); dash != name.npos) name.remove_prefix(dash + 1);
        }
        if (is_container_id(name)) return std::string(name);
    }
    return std::nullopt;
}

std::optional<std::string> id_in_cgroups(const fs::path& root) {
    const auto text = text_of(root / "proc/self/cgroup");
    for (const auto line : split(text, '\n')) {
        // "4:memory:/docker/ID", "0::/…"
        const auto path = line.find(":/");
        if (path == line.npos) continue;
        if (auto id = id_in(line.substr(path + 1))) return id;
    }
    return std::nullopt;
}

// Something is mounted there or above, but for the container's own root.
bool is_from_outside(const fs::path& path, const fs::path& root) {
    for (auto each = path.lexically_normal(); each != each.parent_path();
         each = each.parent_path()) {
        if (is_mount_point(each, root)) return true;
    }
    return false;
}

}  // namespace

bool is_container_id(std::string_view text) {
    return text.size() == 64 && is_hex(text);
}

bool is_mount_point(const fs::path& path, const fs::path& root) {
    return std::ranges::any_of(mounts(root),
                               [&](const Mount& mount) { return mount.point == path.native(); });
}

bool in_container(const fs::path& root) {
    if (present(root / "run/.containerenv") || id_in_cgroups(root)) return true;
    if (!present(root / ".dockerenv")) return false;
    return std::ranges::any_of(mounts(root), [](const Mount& mount) {
        return std::ranges::find(kEngineMounts, mount.point) != kEngineMounts.end();
    });
}

std::vector<std::string> unseen_directories(const std::vector<std::string>& directories,
                                            const std::string& docker_host, const fs::path& root) {
    constexpr std::string_view kUnix = "unix://";
    std::vector<std::string> unseen;
    if (!in_container(root)) return unseen;
    const bool beside =
        docker_host.starts_with(kUnix) && !is_from_outside(docker_host.substr(kUnix.size()), root);
    if (beside) return unseen;
    for (const auto& each : directories) {
        // All of the host is allowed anyway.
        const bool whole = fs::path(each).lexically_normal() == "/";
        if (!whole && !is_from_outside(each, root)) unseen.push_back(each);
    }
    return unseen;
}

std::vector<std::string> own_container_candidates(const fs::path& root) {
    std::vector<std::string> candidates;
    if (!in_container(root)) return candidates;
    const auto add = [&](std::string id) {
        if (std::ranges::find(candidates, id) == candidates.end()) {
            candidates.push_back(std::move(id));
        }
    };
    for (const auto& mount : mounts(root)) {
        if (std::ranges::find(kEngineMounts, mount.point) == kEngineMounts.end()) continue;
        // Docker: …/containers/ID/hostname; Podman: …/overlay-containers/ID/userdata/hostname.
        if (auto id = id_in(mount.root)) add(std::move(*id));
    }
    if (auto id = id_in_cgroups(root)) add(std::move(*id));
    auto name = text_of(root / "etc/hostname");
    while (!name.empty() && name.back() == '\n') name.pop_back();
    if (name.size() >= 12 && name.size() <= 64 && is_hex(name)) add(std::move(name));
    return candidates;
}

}  // namespace trailer::agent
