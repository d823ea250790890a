// The host's network interfaces that can carry macvlan networks.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "protocol/agent.h"

namespace trailer::metrics {

// By interface, in CIDR form.
using Addresses = std::map<std::string, std::vector<std::string>>;

// What getifaddrs(3) tells, without link-local IPv6. Empty where it fails.
Addresses interface_addresses();

// Ethernet interfaces below `sys`/class/net that may be a macvlan's parent: physical ones, bonds,
// VLANs, bridges that no container engine made, and eth* or en* (a container's own). Not: members
// of a bond or bridge, Wi-Fi (it does not pass foreign MAC addresses), lo, the engines' own bridges
// and the containers' ends. Sorted by name.
std::vector<protocol::NetworkInterface> network_interfaces(
    const Addresses& addresses, const std::filesystem::path& sys = "/sys");

}  // namespace trailer::metrics
