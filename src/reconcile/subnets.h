// Which subnets the networks get that name none: free pieces of the host's pools.
//
// Pure. A network's place in a pool comes from its name, so that one that is made anew gets its
// former subnet where that is still free; of two that want one place, the older (by id) has it. A
// choice matters only until the network is there: what an engine has is never changed for it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/runtime.h"

namespace trailer::reconcile {

struct Observed;
struct WantedState;

// Addresses that are someone's already.
struct TakenSubnet {
    std::string subnet;  // CIDR
    std::string by;      // "a route of this host by eth0"
};

// An empty text: the engine picks, or the network names its own.
struct SubnetChoice {
    std::string ipv4;
    std::string ipv6;
    std::string fault;  // why there is none, and what to do

    bool operator==(const SubnetChoice&) const = default;
};

// By network id, for those that are not there yet and name no subnet. Nothing of IPv4 is chosen
// where the agent does not see the engine's host (sees_engine_host): the engine picks then, which
// does see its routes. IPv6 has no default of the engine's: without a pool of the file's it comes
// from the host's own /48 of unique local addresses (RFC 4193).
std::map<std::string, SubnetChoice> choose_subnets(const WantedState& wanted,
                                                   const Observed& observed);
// Whether there is anything to choose, which needs Observed::host_subnets to be fresh.
bool lacks_subnets(const WantedState& wanted, const Observed& observed);

// Whether `host_subnets` are of the host that the engine runs on: the gateway of one of its bridges
// is among them. They are not where the agent runs in a container without the host's network, or
// the engine is on another machine.
bool sees_engine_host(const Observed& observed);

void give(const SubnetChoice& choice, runtime::NetworkSpec& network);

// fdxx:xxxx:xxxx::/48, another for each host.
std::string unique_local_pool(const std::string& host_id);

}  // namespace trailer::reconcile
