// The checks of HostPlan that are about addresses and interfaces.
#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include "protocol/validate.h"
#include "server/service/checks.h"
#include "wire/json.h"

namespace trailer::server {
namespace {

namespace ip = boost::asio::ip;
using protocol::NetworkDriver;

// However they are written: fd00::9 and FD00:0::9 are one.
bool same_address(const std::string& a, const std::string& b) {
    boost::system::error_code error;
    return !a.empty() && !b.empty() && ip::make_address(a, error) == ip::make_address(b, error);
}

// "10.40.0.0/24" -> "10.40.0.1"; empty where there is no subnet.
std::string first_address(const std::string& subnet) {
    const auto next = [](auto address) {
        auto bytes = address.to_bytes();
        ++bytes.back();
        return decltype(address)(bytes).to_string();
    };
    boost::system::error_code error;
    const auto v4 = ip::make_network_v4(subnet, error);
    if (!error) return next(v4.network());
    const auto v6 = ip::make_network_v6(subnet, error);
    return error ? "" : next(v6.network());
}

// The interface that carries a network: the engine's name for a VLAN of the parent.
std::string interface_of(const protocol::NetworkSpec& spec) {
    return spec.vlan == 0 ? spec.parent : fmt::format("{}.{}", spec.parent, spec.vlan);
}

// What the engine takes where none is named. Out of an `ip_range` it is the engine's to choose.
std::string gateway_of(const protocol::NetworkSpec& spec) {
    if (!spec.gateway.empty() || !spec.ip_range.empty()) return spec.gateway;
    return first_address(spec.subnet);
}

std::string ipv6_gateway_of(const protocol::NetworkSpec& spec) {
    return spec.ipv6_gateway.empty() ? first_address(spec.ipv6_subnet) : spec.ipv6_gateway;
}

bool is_first_or_last(const std::string& ipv4, const std::string& subnet) {
    boost::system::error_code error;
    const auto address = ip::make_address_v4(ipv4, error);
    const auto network = ip::make_network_v4(subnet, error);
    return !error && (address == network.network() || address == network.broadcast());
}

// Why a workspace can't have this address of that network; empty when it can.
std::string address_fault(const std::string& address, const std::string& subnet,
                          const std::string& gateway, const std::string& network) {
    const bool v6 = address.find(':') != address.npos;
    if (subnet.empty()) {
        return fmt::format("network {} has no {} of its own: a fixed address needs one", network,
                           v6 ? "`ipv6_subnet`" : "subnet");
    }
    if (!protocol::subnets_overlap(address + (v6 ? "/128" : "/32"), subnet)) {
        return fmt::format("is not inside the subnet {} of network {}", subnet, network);
    }
    if (!v6 && is_first_or_last(address, subnet)) {
        return fmt::format(
            "is the first or last address of network {}'s subnet, which no machine can have",
            network);
    }
    if (same_address(address, gateway)) {
        return fmt::format("is the gateway of network {}", network);
    }
    return "";
}

}  // namespace

const HostPlan::Network* HostPlan::network_named(const std::string& name) const {
    for (const auto& [id, network] : networks_) {
        if (network.name == name) return &network;
    }
    return nullptr;
}

void HostPlan::check_addresses(const std::string& id, const Workspace& workspace,
                               const std::string& prefix, std::vector<FieldError>& faults) const {
    const auto& networks = workspace.spec->networks;
    for (std::size_t i = 0; i < networks.size(); ++i) {
        const auto& wanted = networks[i];
        const auto check = [&](const char* member, std::string protocol::NetworkAttachment::* of,
                               const std::string& subnet, const std::string& gateway) {
            if ((wanted.*of).empty()) return;
            const auto pointer = fmt::format("{}/spec/networks/{}/{}", prefix, i, member);
            auto fault = address_fault(wanted.*of, subnet, gateway, wanted.network);
            if (!fault.empty()) faults.push_back({pointer, std::move(fault)});
            for (const auto& [other_id, other] : workspaces_) {
                if (other_id == id) continue;
                const bool taken = std::ranges::any_of(other.spec->networks, [&](const auto& each) {
                    return each.network == wanted.network && same_address(each.*of, wanted.*of);
                });
                if (taken) faults.push_back({pointer, "is workspace " + other.name + "'s"});
            }
        };
        const auto* network = network_named(wanted.network);
        if (network == nullptr) continue;  // told as such
        const auto& spec = network->spec;
        check("ipv4", &protocol::NetworkAttachment::ipv4, spec.subnet, gateway_of(spec));
        check("ipv6", &protocol::NetworkAttachment::ipv6, spec.ipv6_subnet, ipv6_gateway_of(spec));
    }
}

void HostPlan::check_network(const store::Resource& resource, const std::string& prefix,
                             std::vector<FieldError>& faults) const {
    const auto& network = networks_.at(resource.id);
    const auto& drivers = host_.capabilities.network_drivers;
    const auto driver = wire::to_text(network.spec.driver);
    if (!drivers.empty() && std::ranges::find(drivers, driver) == drivers.end()) {
        faults.push_back({prefix + "/spec/driver",
                          fmt::format("the engine of host {} has no {} networks; it has: {}",
                                      host_.name, driver, fmt::join(drivers, ", "))});
    }
    check_bounds(beyond_bounds(network.spec, host_.capabilities), prefix, faults);
    check_subnets(resource.id, network, prefix, faults);
    if (network.spec.driver == NetworkDriver::bridge) {
        check_interfaces(network, prefix, faults);
    } else {
        check_parent(resource.id, network, prefix, faults);
    }
}

// No engine gives one subnet to two networks, whatever their drivers.
void HostPlan::check_subnets(const std::string& id, const Network& network,
                             const std::string& prefix, std::vector<FieldError>& faults) const {
    const auto check = [&](const char* member, const std::string& subnet, const Network& other,
                           const std::string& named, const std::string& seen) {
        const auto& theirs = named.empty() ? seen : named;
        if (subnet.empty() || !protocol::subnets_overlap(subnet, theirs)) return;
        faults.push_back({fmt::format("{}/spec/{}", prefix, member),
                          fmt::format("overlaps {} of network {}", theirs, other.name)});
    };
    for (const auto& [other_id, other] : networks_) {
        if (other_id == id) continue;
        check("subnet", network.spec.subnet, other, other.spec.subnet, other.subnet_seen);
        check("ipv6_subnet", network.spec.ipv6_subnet, other, other.spec.ipv6_subnet,
              other.ipv6_subnet_seen);
    }
}

// A bridge over the addresses of the host's own link would cut the host off from it.
void HostPlan::check_interfaces(const Network& network, const std::string& prefix,
                                std::vector<FieldError>& faults) const {
    for (const auto& each : host_.capabilities.network_interfaces) {
        for (const auto& address : each.addresses) {
            for (const auto& [member, subnet] :
                 {std::pair("subnet", &network.spec.subnet),
                  std::pair("ipv6_subnet", &network.spec.ipv6_subnet)}) {
                if (subnet->empty() || !protocol::subnets_overlap(*subnet, address)) continue;
                faults.push_back({fmt::format("{}/spec/{}", prefix, member),
                                  fmt::format("overlaps {}, which interface {} of host {} has",
                                              address, each.name, host_.name)});
            }
        }
    }
}

void HostPlan::check_parent(const std::string& id, const Network& network,
                            const std::string& prefix, std::vector<FieldError>& faults) const {
    const auto& spec = network.spec;
    const auto& interfaces = host_.capabilities.network_interfaces;
    const bool known =
        std::ranges::any_of(interfaces, [&](const auto& each) { return each.name == spec.parent; });
    if (!known) {
        std::vector<std::string> names;
        for (const auto& each : interfaces) names.push_back(each.name);
        faults.push_back(
            {prefix + "/spec/parent",
             fmt::format("host {} has no interface \"{}\" that can carry {}; it has: {}",
                         host_.name, spec.parent, wire::to_text(spec.driver),
                         names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")))});
    }
    // One network an interface, in the engine (20.10) and, between the two drivers, in the kernel.
    for (const auto& [other_id, other] : networks_) {
        if (other_id == id || other.spec.driver == NetworkDriver::bridge) continue;
        if (interface_of(other.spec) != interface_of(spec)) continue;
        faults.push_back(
            {fmt::format("{}/spec/{}", prefix, spec.vlan == 0 ? "parent" : "vlan"),
             fmt::format("interface {} carries network {} already: an interface carries "
                         "one, a VLAN tag gives it more",
                         interface_of(spec), other.name)});
    }
}

}  // namespace trailer::server
