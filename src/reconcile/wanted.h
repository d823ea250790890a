// The desired state in the runtime's terms, compiled once when it comes.
#pragma once

#include <compare>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "protocol/agent.h"
#include "reconcile/bounds.h"
#include "reconcile/shared_list.h"
#include "runtime/runtime.h"

namespace trailer::reconcile {

namespace json = boost::json;

// A resource.
struct Key {
    protocol::Kind kind = protocol::Kind::workspace;
    std::string id;

    auto operator<=>(const Key&) const = default;
};

// What all kinds share. `desired` is what each was compiled from.
struct Wanted {
    Key key;
    std::string name;
    std::int64_t revision = 0;
    bool deleting = false;
    std::string fault;  // why this host will not make it; such a resource is at most stopped

    bool operator==(const Wanted&) const = default;
};

struct WantedNetwork : Wanted {
    runtime::NetworkSpec spec;
    protocol::DesiredNetwork desired;

    bool operator==(const WantedNetwork&) const = default;
};

struct WantedVolume : Wanted {
    runtime::VolumeSpec spec;
    protocol::DesiredVolume desired;

    bool operator==(const WantedVolume&) const = default;
};

struct WantedImage : Wanted {
    bool built = false;       // else pulled
    bool force_pull = false;  // of an image that is here already
    std::string reference;
    std::string hash;         // of all that it is made from
    bool pulled = false;      // our own pull brought it, as told by the server
    std::string forced_pull;  // the hash that was pulled by force last, as told by the server
    runtime::BuildSpec build;

    bool operator==(const WantedImage&) const = default;
};

struct WantedWorkspace : Wanted {
    runtime::ContainerSpec spec;
    // What can't change in place, with hashes in the place of secrets, and its hash. Members that
    // have their defaults are left out, so that a new version of Trailer with more members replaces
    // no container.
    json::object fixed;
    std::string hash;
    bool running = true;
    std::optional<Timestamp> restart_before;
    std::vector<std::string> networks;  // names
    std::vector<std::string> volumes;   // names
    std::string image;                  // an Image's name; empty: the spec's is a reference
    protocol::PullPolicy pull = protocol::PullPolicy::missing;
    std::vector<protocol::Dependency> depends_on;
    std::chrono::milliseconds stop_grace{10'000};
    protocol::ReplacePolicy replace;
    protocol::DriftPolicy drift = protocol::DriftPolicy::repair;
    std::int64_t applied_revision = 0;  // as told by the server
    protocol::DesiredWorkspace desired;

    bool operator==(const WantedWorkspace&) const = default;
};

struct WantedState {
    std::string host_id;
    std::int64_t revision = 0;
    std::vector<std::string> network_pools;
    int network_pool_prefix = 24;
    SharedList<WantedNetwork> networks;
    SharedList<WantedVolume> volumes;
    std::vector<WantedImage> images;
    SharedList<WantedWorkspace> workspaces;

    bool operator==(const WantedState&) const = default;
};

// Of pulled images, also of those that are to go.
std::set<std::string> references_of(const WantedState& wanted);

// Reads nothing but its arguments and, for bind mounts, the host's symbolic links.
WantedState compile(const protocol::DesiredState& desired, const Bounds& bounds);
// The same, when `before` was compiled with these bounds: what comes out as it did is shared with
// it.
WantedState compile(const protocol::DesiredState& desired, const Bounds& bounds,
                    const WantedState& before);

}  // namespace trailer::reconcile
