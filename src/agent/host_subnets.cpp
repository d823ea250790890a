#include "agent/host_subnets.h"

#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "metrics/host_routes.h"

namespace trailer::agent {
namespace {

// resolv.conf(5): "nameserver ADDRESS". They may lie behind the default route, which a network over
// their addresses would win from.
void add_name_servers(const std::filesystem::path& root,
                      std::vector<reconcile::TakenSubnet>& taken) {
    std::string text;
    try {
        text = read_file(root / "etc/resolv.conf");
    } catch (const Error&) {
        return;  // a host without it asks none
    }
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string key;
        std::string address;
        words >> key >> address;
        if (key != "nameserver" || address.empty()) continue;
        address.resize(std::min(address.find('%'), address.size()));
        const bool v6 = address.find(':') != address.npos;
        taken.push_back({address + (v6 ? "/128" : "/32"), "a name server of this host"});
    }
}

}  // namespace

std::vector<reconcile::TakenSubnet> host_subnets(const std::filesystem::path& root) {
    std::vector<reconcile::TakenSubnet> taken;
    try {
        for (const auto& route : metrics::host_routes()) {
            taken.push_back(
                {route.destination,
                 fmt::format("{} of this host{}", route.local ? "an address" : "a route",
                             route.interface.empty() ? "" : " by " + route.interface)});
        }
    } catch (const Error& e) {
        log::warning("{}: the engine picks the subnets of networks that name none", e.what());
        return {};
    }
    add_name_servers(root, taken);
    return taken;
}

}  // namespace trailer::agent
