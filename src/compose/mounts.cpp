#include "compose/mounts.h"

#include <filesystem>

#include "base/text.h"
#include "compose/fields.h"
#include "compose/units.h"

namespace trailer::compose {
namespace {

bool is_path(std::string_view source) {
    return source.starts_with('/') || source.starts_with('.') || source.starts_with('~');
}

std::string without_slash(std::string path) {
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    return path;
}

std::string absolute(const std::string& path, const MountSurroundings& surroundings) {
    namespace fs = std::filesystem;
    if (path == "~" || path.starts_with("~/")) {
        return without_slash((surroundings.home + path.substr(1)));
    }
    const auto whole = fs::path(surroundings.directory) / path;
    return without_slash(whole.lexically_normal().string());
}

// "ro", "z", "cached": behind the second colon.
void read_option(std::string_view option, PlacedMount& made, Findings& findings) {
    if (option == "ro") {
        made.mount.read_only = true;
    } else if (option == "rw" || option == "cached" || option == "delegated" ||
               option == "consistent") {
        // The default, and what means nothing on Linux.
    } else {
        findings.leave_out(*made.node,
                           fmt::format("the mount option \"{}\" is not supported", option));
    }
}

std::optional<PlacedMount> read_short(const Node& node, const MountSurroundings& surroundings,
                                      Findings& findings) {
    const auto parts = split(node.text, ':');
    PlacedMount made{.node = &node};
    if (parts.size() > 3 || node.text.empty() || parts[0].empty()) {
        findings.fault(node, "expected [SOURCE:]TARGET[:OPTIONS]");
        return std::nullopt;
    }
    if (parts.size() == 1) {
        made.anonymous = true;
        made.mount.target = without_slash(std::string(parts[0]));
        return made;
    }
    if (is_path(parts[0])) {
        made.mount.bind = absolute(std::string(parts[0]), surroundings);
    } else {
        made.mount.volume = parts[0];
    }
    made.mount.target = without_slash(std::string(parts[1]));
    if (parts.size() == 3) {
        for (const auto option : split(parts[2], ',')) read_option(option, made, findings);
    }
    return made;
}

void read_tmpfs_options(const Node& node, protocol::Mount& mount, Findings& findings) {
    Fields fields(node, findings);
    if (const auto* size = fields.take("size")) {
        mount.size = read_bytes(*size, findings).value_or(0);
    }
    fields.leave_out({"mode"});
    fields.finish();
}

void read_bind_options(const Node& node, Findings& findings) {
    Fields fields(node, findings);
    if (const auto* create = fields.take("create_host_path")) {
        if (read_bool(*create, findings).value_or(false)) {
            findings.leave_out(*create, "is not supported: make the directory on the host");
        }
    }
    fields.leave_out({"propagation", "selinux", "recursive"});
    fields.finish();
}

std::optional<PlacedMount> read_long(const Node& node, const MountSurroundings& surroundings,
                                     Findings& findings) {
    PlacedMount made{.node = &node};
    auto& mount = made.mount;
    Fields fields(node, findings);
    const auto* type_node = fields.take("type");
    const auto type = type_node == nullptr ? "volume" : read_text(*type_node, findings);
    const auto* source = fields.take("source");
    const auto* target = fields.take("target");
    const auto* read_only = fields.take("read_only");
    if (read_only != nullptr) mount.read_only = read_bool(*read_only, findings).value_or(false);
    if (target != nullptr) mount.target = without_slash(read_text(*target, findings));
    if (const auto* tmpfs = fields.take("tmpfs")) read_tmpfs_options(*tmpfs, mount, findings);
    if (const auto* bind = fields.take("bind")) read_bind_options(*bind, findings);
    if (const auto* volume = fields.take("volume")) {
        Fields of_volume(*volume, findings);
        of_volume.leave_out({"nocopy", "subpath", "labels"});
        of_volume.finish();
    }
    fields.accept({"consistency"});
    fields.finish();
    if (target == nullptr) {
        findings.fault(node, "needs `target`");
        return std::nullopt;
    }
    if (type == "tmpfs") {
        mount.tmpfs = true;
    } else if (type == "volume") {
        made.anonymous = source == nullptr;
        if (source != nullptr) mount.volume = read_text(*source, findings);
    } else if (type == "bind" && source != nullptr) {
        mount.bind = absolute(read_text(*source, findings), surroundings);
    } else if (type == "bind") {
        findings.fault(node, "needs `source`, a path of the host");
        return std::nullopt;
    } else {
        findings.leave_out(*type_node, fmt::format("a mount of type {} is not supported", type));
        return std::nullopt;
    }
    return made;
}

}  // namespace

std::vector<PlacedMount> read_volumes(const Node& node, const MountSurroundings& surroundings,
                                      Findings& findings) {
    std::vector<PlacedMount> mounts;
    if (!node.is_list()) {
        findings.fault(node, "expected a list");
        return mounts;
    }
    for (const auto& item : node.items) {
        if (!item.is_map() && !item.is_scalar()) {
            findings.fault(item, "expected [SOURCE:]TARGET[:OPTIONS], or a map");
            continue;
        }
        auto made = item.is_map() ? read_long(item, surroundings, findings)
                                  : read_short(item, surroundings, findings);
        if (made) mounts.push_back(std::move(*made));
    }
    return mounts;
}

std::vector<PlacedMount> read_tmpfs(const Node& node, Findings& findings) {
    std::vector<PlacedMount> mounts;
    const auto read = [&](const Node& item) {
        const auto text = read_text(item, findings);
        const auto colon = text.find(':');
        PlacedMount made{.node = &item};
        made.mount.tmpfs = true;
        made.mount.target = without_slash(text.substr(0, colon));
        if (colon != text.npos) {
            for (const auto option : split(std::string_view(text).substr(colon + 1), ',')) {
                const auto size =
                    option.starts_with("size=") ? parse_bytes(option.substr(5)) : std::nullopt;
                if (size) {
                    made.mount.size = *size;
                } else {
                    read_option(option, made, findings);
                }
            }
        }
        mounts.push_back(std::move(made));
    };
    if (node.is_list()) {
        for (const auto& item : node.items) read(item);
    } else {
        read(node);
    }
    return mounts;
}

}  // namespace trailer::compose
