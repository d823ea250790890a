// The routes of this network namespace, of all its tables.
#pragma once

#include <string>
#include <vector>

namespace trailer::metrics {

struct HostRoute {
    std::string destination;  // CIDR: "10.0.0.0/8"; an address of the host's own: "10.0.0.5/32"
    std::string interface;    // empty: by several, or by none (blackhole)
    bool local = false;       // an address of the host's own

    bool operator==(const HostRoute&) const = default;
};

// Without default routes (nor the halves and eighths of all addresses by which VPNs write them),
// multicast, broadcast and link-local ones. Throws Error where the kernel does not tell.
std::vector<HostRoute> host_routes();

}  // namespace trailer::metrics
