// What this host lets its workspaces have (protocol/bounds.h), and where links lead. No server can
// widen it, so every way from a document to the host comes by here.
//
// Each function gives why the host refuses, with the key that would allow it; empty: it does not.
#pragma once

#include <string>
#include <vector>

#include "protocol/bounds.h"

namespace trailer::reconcile {

struct Bounds : protocol::HostBounds {
    // Of the roots, those that this process does not see as the host does: in a container they are
    // the container's own, and a link on the host could lead anywhere.
    std::vector<std::string> unseen_bind_roots;
    // Where bridge networks that name no subnet get theirs from. None: the engine picks.
    std::vector<std::string> network_pools;  // CIDR, IPv4 and IPv6
    int network_pool_prefix = 24;            // of an IPv4 network's piece
};

std::string fault_of(const protocol::WorkspaceSpec& spec, const Bounds& bounds);
std::string fault_of(const protocol::VolumeSpec& spec, const Bounds& bounds);
std::string fault_of(const protocol::NetworkSpec& spec, const Bounds& bounds);
// Follows symbolic links as they are now: a path that was good may lead elsewhere later.
std::string fault_of_binds(const std::vector<std::string>& paths, const Bounds& bounds);

}  // namespace trailer::reconcile
