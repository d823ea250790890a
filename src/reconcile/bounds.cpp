#include "reconcile/bounds.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace trailer::reconcile {
namespace {

namespace fs = std::filesystem;
using protocol::is_beneath;

// Where the path leads, as far as it is there; empty where that can't be told.
std::string real_path(const fs::path& path) {
    std::error_code error;
    auto real = fs::weakly_canonical(path, error);
    return error ? "" : real.string();
}

std::string bind_fault(const std::string& path, const Bounds& bounds) {
    if (auto refusal = protocol::bind_refusal(path, bounds); !refusal.empty()) return refusal;
    if (protocol::is_beneath_one(path, bounds.unseen_bind_roots)) {
        return fmt::format(
            "this agent runs in a container and does not see {} as its host does: give its "
            "container the directory of allowed_bind_roots at the same path (read-only will do)",
            path);
    }
    const auto real = real_path(fs::path(path).lexically_normal());
    const bool inside = std::ranges::any_of(
        bounds.allowed_bind_roots,
        [&](const std::string& root) { return is_beneath(real, real_path(root)); });
    if (!real.empty() && inside) return "";
    return fmt::format(
        "this host does not let workspaces mount {}: it leads to {}, which is in no directory of "
        "allowed_bind_roots in its agent's configuration file",
        path, real.empty() ? "where its agent can't look" : real);
}

template <typename Spec>
std::string first_beyond(const Spec& spec, const Bounds& bounds) {
    auto faults = protocol::beyond_bounds(spec, bounds);
    return faults.empty() ? "" : std::move(faults.front().detail);
}

}  // namespace

std::string fault_of(const protocol::WorkspaceSpec& spec, const Bounds& bounds) {
    auto fault = first_beyond(spec, bounds);
    if (!fault.empty()) return fault;
    std::vector<std::string> binds;
    for (const auto& each : spec.mounts) {
        if (!each.bind.empty()) binds.push_back(each.bind);
    }
    return fault_of_binds(binds, bounds);
}

std::string fault_of(const protocol::VolumeSpec& spec, const Bounds& bounds) {
    auto fault = first_beyond(spec, bounds);
    const auto bound = protocol::bound_path(spec);
    return !fault.empty() || bound.empty() ? fault : bind_fault(bound, bounds);
}

std::string fault_of(const protocol::NetworkSpec& spec, const Bounds& bounds) {
    return first_beyond(spec, bounds);
}

std::string fault_of_binds(const std::vector<std::string>& paths, const Bounds& bounds) {
    for (const auto& each : paths) {
        if (auto fault = bind_fault(each, bounds); !fault.empty()) return fault;
    }
    return "";
}

}  // namespace trailer::reconcile
