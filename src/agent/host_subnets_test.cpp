#include "agent/host_subnets.h"

#include <gmock/gmock.h>

#include "agent/host_tree.h"

namespace {

using namespace trailer;
using namespace trailer::agent;

std::map<std::string, std::string> by_subnet(const HostTree& host) {
    std::map<std::string, std::string> taken;
    for (const auto& each : host_subnets(host.root())) taken[each.subnet] = each.by;
    return taken;
}

TEST(HostSubnets, AreItsAddressesItsRoutesAndItsNameServers) {
    HostTree host;
    EXPECT_EQ(by_subnet(host).at("127.0.0.1/32"), "an address of this host by lo");
    EXPECT_FALSE(by_subnet(host).contains("10.200.0.53/32"));
    host.put("etc/resolv.conf",
             "# nameserver 10.0.0.1\nsearch example.org\nnameserver 10.200.0.53\n"
             "nameserver\tfe80::1%eth0\nnameserver\noptions ndots:1\n");
    const auto taken = by_subnet(host);
    EXPECT_EQ(taken.at("10.200.0.53/32"), "a name server of this host");
    EXPECT_TRUE(taken.contains("fe80::1/128"));
    EXPECT_FALSE(taken.contains("10.0.0.1/32"));
}

}  // namespace
