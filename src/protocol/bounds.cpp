#include "protocol/bounds.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/text.h"
#include "wire/json.h"

namespace trailer::protocol {
namespace {

namespace fs = std::filesystem;

std::string refused(std::string_view what, std::string_view key) {
    return fmt::format("this host does not let workspaces {}: {} in its agent's configuration file",
                       what, key);
}

std::string has_only(std::string_view key, const std::vector<std::string>& list,
                     std::string_view none) {
    return list.empty() ? fmt::format("{} has {}", key, none)
                        : fmt::format("{} has only {}", key, fmt::join(list, ", "));
}

bool has_word(const std::vector<std::string>& list, std::string_view word) {
    return std::ranges::find(list, word) != list.end();
}

// What the driver `local` hands to mount(2).
struct LocalMount {
    std::string type;
    std::string device;
    std::vector<std::string> options;

    // With these flags the kernel looks at no type.
    bool binds() const { return has_word(options, "bind") || has_word(options, "rbind"); }
};

LocalMount local_mount(const VolumeSpec& spec) {
    LocalMount mount;
    for (const auto& [name, value] : spec.driver_options) {
        if (lower(name) == "type") mount.type = lower(value);
        if (lower(name) == "device") mount.device = value;
        if (lower(name) != "o") continue;
        for (const auto word : split(value, ',')) mount.options.push_back(lower(word));
    }
    return mount;
}

// Of the file systems that mount(2) knows: those that show nothing of the host's own files.
constexpr std::array<std::string_view, 6> kHarmless{"tmpfs", "ramfs", "nfs",
                                                    "nfs4",  "cifs",  "smb3"};
// Those that show the device which is named, and nothing else.
constexpr std::array<std::string_view, 12> kOnDevices{"ext2",  "ext3",     "ext4",  "xfs",
                                                      "btrfs", "vfat",     "exfat", "iso9660",
                                                      "udf",   "squashfs", "f2fs",  "ntfs3"};

std::string device_refusal(std::string_view path, const HostBounds& bounds) {
    if (has_word(bounds.allowed_devices, path)) return "";
    return refused(fmt::format("have the device {}", path), "allowed_devices does not list it");
}

std::string volume_refusal(const LocalMount& mount, const HostBounds& bounds) {
    if (mount.binds()) return bind_refusal(mount.device, bounds);
    if (std::ranges::find(kHarmless, mount.type) != kHarmless.end()) return "";
    if (std::ranges::find(kOnDevices, mount.type) == kOnDevices.end()) {
        return fmt::format(
            "this host has no volumes of the type \"{}\": a volume may be in memory or on a file "
            "server ({}), on a device of its allowed_devices ({}), or a directory of its "
            "allowed_bind_roots (o: bind)",
            mount.type, fmt::join(kHarmless, ", "), fmt::join(kOnDevices, ", "));
    }
    // A journal or a log of its own is a second device.
    for (const auto& each : mount.options) {
        if (each.find("=/") != each.npos) {
            return fmt::format(
                "this host has no volumes with the option {}: it names a path of the "
                "host",
                each);
        }
    }
    return device_refusal(mount.device, bounds);
}

}  // namespace

bool is_beneath(std::string_view path, std::string_view directory) {
    const auto base = fs::path(directory).lexically_normal();
    const auto relative = fs::path(path).lexically_normal().lexically_relative(base);
    return !relative.empty() && *relative.begin() != "..";
}

bool is_beneath_one(std::string_view path, const std::vector<std::string>& directories) {
    return std::ranges::any_of(
        directories, [&](const std::string& directory) { return is_beneath(path, directory); });
}

std::string bind_refusal(std::string_view path, const HostBounds& bounds) {
    if (path.starts_with('/') && is_beneath_one(path, bounds.allowed_bind_roots)) return "";
    return refused(fmt::format("mount {}", path),
                   has_only("allowed_bind_roots", bounds.allowed_bind_roots, "no directory"));
}

std::vector<FieldError> beyond_bounds(const WorkspaceSpec& spec, const HostBounds& bounds) {
    std::vector<FieldError> faults;
    const auto check = [&](std::string pointer, std::string refusal) {
        if (!refusal.empty()) faults.push_back({std::move(pointer), std::move(refusal)});
    };
    if (spec.privileged && !bounds.allow_privileged) {
        check("/spec/privileged", refused("be privileged", "allow_privileged is false"));
    }
    if (spec.host_network && !bounds.allow_host_network) {
        check("/spec/host_network", refused("share its network", "allow_host_network is false"));
    }
    const auto& capabilities = bounds.allowed_capabilities;
    for (std::size_t i = 0; i < spec.cap_add.size(); ++i) {
        if (has_word(capabilities, spec.cap_add[i]) || has_word(capabilities, "ALL")) continue;
        check(fmt::format("/spec/cap_add/{}", i),
              refused(fmt::format("have the capability {}", spec.cap_add[i]),
                      "allowed_capabilities does not list it"));
    }
    for (std::size_t i = 0; i < spec.devices.size(); ++i) {
        check(fmt::format("/spec/devices/{}/host", i),
              device_refusal(spec.devices[i].host, bounds));
    }
    for (std::size_t i = 0; i < spec.mounts.size(); ++i) {
        if (spec.mounts[i].bind.empty()) continue;
        check(fmt::format("/spec/mounts/{}/bind", i), bind_refusal(spec.mounts[i].bind, bounds));
    }
    return faults;
}

std::vector<FieldError> beyond_bounds(const VolumeSpec& spec, const HostBounds& bounds) {
    if (spec.driver != "local") return {};
    const auto mount = local_mount(spec);
    if (mount.type.empty() && mount.device.empty() && mount.options.empty()) return {};
    auto refusal = volume_refusal(mount, bounds);
    if (refusal.empty()) return {};
    return {{"/spec/driver_options", std::move(refusal)}};
}

std::vector<FieldError> beyond_bounds(const NetworkSpec& spec, const HostBounds& bounds) {
    if (spec.driver == NetworkDriver::bridge || has_word(bounds.allowed_parents, kAnyParent) ||
        has_word(bounds.allowed_parents, spec.parent)) {
        return {};
    }
    const auto what =
        fmt::format("have a {} network on {}", wire::to_text(spec.driver), spec.parent);
    return {{"/spec/parent",
             refused(what, has_only("allowed_parents", bounds.allowed_parents, "no interface"))}};
}

std::string bound_path(const VolumeSpec& spec) {
    if (spec.driver != "local") return "";
    const auto mount = local_mount(spec);
    return mount.binds() ? mount.device : "";
}

}  // namespace trailer::protocol
