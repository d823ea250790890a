#include "reconcile/subnets.h"

#include <rapidcheck.h>

#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include "reconcile/trial.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

namespace ip = boost::asio::ip;

template <typename Network>
bool overlapping(const Network& a, const Network& b) {
    return a.canonical() == b.canonical() || a.is_subnet_of(b) || b.is_subnet_of(a);
}

bool overlap(const std::string& a, const std::string& b) {
    const bool v6 = a.find(':') != a.npos;
    if (v6 != (b.find(':') != b.npos)) return false;
    if (v6) return overlapping(ip::make_network_v6(a), ip::make_network_v6(b));
    return overlapping(ip::make_network_v4(a), ip::make_network_v4(b));
}

class SubnetsTest : public testing::Test {
  protected:
    SubnetsTest() {
        bounds.network_pools = {"10.200.0.0/16"};
        others("docker0", "172.17.0.0/16");
        host("172.17.0.1/32", "an address of this host by docker0");
    }

    void others(const std::string& name, const std::string& subnet) {
        observed.others_networks["id-" + name] = {.id = "id-" + name,
                                                  .name = name,
                                                  .driver = "bridge",
                                                  .subnet = subnet,
                                                  .subnets = {subnet}};
    }
    void ours(const std::string& name, const std::string& subnet) {
        observed.networks["net-" + name] = {.id = "net-" + name,
                                            .name = name,
                                            .driver = "bridge",
                                            .subnet = subnet,
                                            .subnets = {subnet},
                                            .labels = {{runtime::label::kId, "id-" + name}}};
    }
    void host(const std::string& subnet, const std::string& by = "a route of this host by eth0") {
        observed.host_subnets.push_back({subnet, by});
    }
    std::map<std::string, SubnetChoice> choose() {
        return choose_subnets(compile(desired, bounds), observed);
    }
    SubnetChoice of(const std::string& name) {
        const auto choices = choose();
        const auto found = choices.find("id-" + name);
        return found == choices.end() ? SubnetChoice() : found->second;
    }

    protocol::DesiredState desired = nothing_wanted();
    Bounds bounds;
    Observed observed;
};

TEST_F(SubnetsTest, ANetworkThatNamesNoneGetsAPieceOfThePool) {
    add_network(desired, "lab");
    EXPECT_THAT(of("lab").ipv4, AllOf(StartsWith("10.200."), testing::EndsWith(".0/24")));
    EXPECT_EQ(of("lab").ipv6, "");
    EXPECT_EQ(of("lab").fault, "");
    bounds.network_pool_prefix = 27;
    EXPECT_THAT(of("lab").ipv4, testing::EndsWith("/27"));
}

TEST_F(SubnetsTest, OneThatIsMadeAnewGetsItsFormerSubnet) {
    add_network(desired, "lab");
    const auto before = of("lab").ipv4;
    desired.networks[0].id = "another";
    for (int i = 0; i < 20; ++i) add_network(desired, "other" + std::to_string(i));
    EXPECT_EQ(choose().at("another").ipv4, before);
}

TEST_F(SubnetsTest, WhatIsThereOrNamesItsOwnIsLeftAlone) {
    add_network(desired, "there");
    ours("there", "192.168.5.0/24");  // picked by the engine, in a former version
    add_network(desired, "named").spec.subnet = "10.200.3.0/24";
    auto& macvlan = add_network(desired, "lan");
    macvlan.spec.driver = protocol::NetworkDriver::macvlan;
    macvlan.spec.subnet = "192.168.1.0/24";
    add_network(desired, "going").deleting = true;
    EXPECT_THAT(choose(), IsEmpty());
    EXPECT_FALSE(lacks_subnets(compile(desired, bounds), observed));
}

TEST_F(SubnetsTest, AvoidsTheHostTheEngineAndWhatOthersName) {
    bounds.network_pools = {"10.200.0.0/21"};  // eight pieces
    host("10.200.0.0/23");
    host("10.200.3.7/32", "an address of this host by eth0");
    others("compose_default", "10.200.4.128/25");
    ours("mine", "10.200.5.0/24");
    add_network(desired, "mine");
    add_network(desired, "named").spec.subnet = "10.200.6.0/24";
    add_network(desired, "lab");
    add_network(desired, "lap");
    const std::set<std::string> chosen{of("lab").ipv4, of("lap").ipv4};
    EXPECT_EQ(chosen, (std::set<std::string>{"10.200.2.0/24", "10.200.7.0/24"}));
}

TEST_F(SubnetsTest, OfTwoThatWantOnePlaceTheOlderHasIt) {
    bounds.network_pools = {"10.200.0.0/23"};
    add_network(desired, "a").id = "id-1";
    const auto alone = choose().at("id-1").ipv4;
    add_network(desired, "a").id = "id-0";
    EXPECT_EQ(choose().at("id-0").ipv4, alone);
    EXPECT_NE(choose().at("id-1").ipv4, alone);
}

TEST_F(SubnetsTest, TheNextPoolServesWhereARouteCoversTheFirst) {
    bounds.network_pools = {"10.200.0.0/16", "172.28.0.0/14"};
    host("10.0.0.0/8");
    add_network(desired, "lab");
    EXPECT_THAT(of("lab").ipv4, testing::MatchesRegex("172\\.(28|29|30|31)\\..*/24"));
}

TEST_F(SubnetsTest, FullPoolsAreToldWithTheirKeyAndWhoCoversThem) {
    bounds.network_pools = {"10.200.0.0/23", "10.9.0.0/24"};
    host("10.9.0.0/16");
    add_network(desired, "a");
    add_network(desired, "b");
    add_network(desired, "c");
    EXPECT_EQ(of("a").fault, "");
    EXPECT_EQ(of("b").fault, "");
    EXPECT_EQ(of("c").ipv4, "");
    EXPECT_THAT(of("c").fault,
                AllOf(HasSubstr("no free subnet of /24"), HasSubstr("10.200.0.0/23, 10.9.0.0/24"),
                      HasSubstr("10.9.0.0/24 lies in 10.9.0.0/16, a route of this host by eth0"),
                      HasSubstr("network_pools"), HasSubstr("network_pool_prefix")));
}

TEST_F(SubnetsTest, TheEnginePicksWhereItsHostIsNotSeenOrThereIsNoPool) {
    add_network(desired, "lab");
    auto& dual = add_network(desired, "dual");
    dual.spec.ipv6 = true;
    observed.host_subnets = {{"172.17.0.2/32", "an address of this host by eth0"}};  // a container
    EXPECT_FALSE(sees_engine_host(observed));
    EXPECT_EQ(of("lab"), SubnetChoice());
    EXPECT_EQ(of("dual").ipv4, "");
    EXPECT_THAT(of("dual").ipv6, StartsWith("fd"));
    host("172.17.0.1/32");
    EXPECT_TRUE(sees_engine_host(observed));
    EXPECT_NE(of("lab").ipv4, "");
    bounds.network_pools.clear();
    EXPECT_EQ(of("lab"), SubnetChoice());
}

TEST_F(SubnetsTest, Ipv6ComesFromThePoolOrTheHostsOwnUniqueLocalAddresses) {
    auto& dual = add_network(desired, "dual");
    dual.spec.ipv6 = true;
    dual.spec.subnet = "10.1.0.0/24";
    const auto own = ip::make_network_v6(unique_local_pool(kHost));
    EXPECT_EQ(own.prefix_length(), 48);
    EXPECT_THAT(own.to_string(), StartsWith("fd"));
    EXPECT_NE(unique_local_pool("host-2"), unique_local_pool(kHost));
    EXPECT_EQ(of("dual").ipv4, "");
    EXPECT_TRUE(ip::make_network_v6(of("dual").ipv6).is_subnet_of(own)) << of("dual").ipv6;
    bounds.network_pools = {"10.200.0.0/16", "fd12:3456::/63"};
    host("fd12:3456::1/128", "an address of this host by eth0");
    EXPECT_EQ(of("dual").ipv6, "fd12:3456:0:1::/64");
    others("six", "fd12:3456:0:1::/80");
    EXPECT_THAT(of("dual").fault, AllOf(HasSubstr("/64"), HasSubstr("`ipv6_subnet`")));
    dual.spec.ipv6_subnet = "fd99::/64";
    EXPECT_THAT(choose(), IsEmpty());
}

TEST_F(SubnetsTest, ThreeHundredNetworksFitTheDefaults) {
    bounds.network_pools = {"10.200.0.0/15", "172.28.0.0/14"};
    std::set<std::string> chosen;
    for (int i = 0; i < 300; ++i) add_network(desired, "net" + std::to_string(i));
    for (const auto& [id, choice] : choose()) {
        EXPECT_EQ(choice.fault, "");
        EXPECT_THAT(choice.ipv4, StartsWith("10.20"));
        chosen.insert(choice.ipv4);
    }
    EXPECT_EQ(chosen.size(), 300U);
}

TEST_F(SubnetsTest, ThePlanCarriesTheChoiceAndMakesItOnce) {
    Loop loop;
    FakeRuntime engine(loop.executor());
    engine.put_network({.name = "foreign", .subnet = "10.200.0.0/24", .gateway = "10.200.0.1"});
    bounds.network_pools = {"10.200.0.0/23"};
    add_network(desired, "lab");
    add_network(desired, "lap");
    const auto wanted = compile(desired, bounds);
    const auto reach = [](FakeRuntime* engine, const WantedState* wanted, Plan* again) -> Task<> {
        Observer observer(*engine, "");
        observer.set_host_subnets({{"10.200.0.1/32", "an address of this host by br-1"}});
        const auto first = co_await plan_now(*wanted, observer);
        for (const auto& step : first.steps) {
            Touched touched;
            try {
                co_await execute(*engine, step, {}, {}, touched);
            } catch (const Error& e) {
                EXPECT_THAT(e.what(), HasSubstr("network_pools"));
                EXPECT_EQ(e.kind(), ErrorKind::conflict);
            }
        }
        *again = co_await plan_now(*wanted, observer);
    };
    Plan again;
    loop.run(reach(&engine, &wanted, &again));
    std::vector<std::string> subnets;
    for (const auto& [id, each] : engine.networks()) {
        if (!each.subnet.empty()) subnets.push_back(each.subnet);
    }
    EXPECT_THAT(subnets, testing::UnorderedElementsAre("10.200.0.0/24", "10.200.1.0/24"));
    ASSERT_EQ(again.steps.size(), 1U) << "only the one that found no place is left";
    EXPECT_THAT(again.steps[0].subnets.fault, HasSubstr("no free subnet"));
}

// --- for any pools, any host and any networks

std::string random_subnet() {
    const auto prefix = *rc::gen::inRange(18, 30);
    const auto address = 0x0AC80000U + *rc::gen::inRange(0U, 0x20000U);  // in 10.200.0.0/15
    return ip::network_v4(ip::address_v4(address), static_cast<unsigned short>(prefix))
        .canonical()
        .to_string();
}

TEST(SubnetProperties, NoTwoOverlapAndNoneIsGivenUpWhileThereIsRoom) {
    EXPECT_TRUE(rc::check([] {
        auto desired = nothing_wanted();
        Bounds bounds;
        bounds.network_pool_prefix = *rc::gen::inRange(22, 30);
        const auto pools = *rc::gen::inRange(1, 3);
        for (int i = 0; i < pools; ++i) bounds.network_pools.push_back(random_subnet());
        Observed observed;
        observed.host_subnets.push_back({"172.17.0.1/32", "docker0"});
        observed.others_networks["bridge"] = {
            .driver = "bridge", .subnet = "172.17.0.0/16", .subnets = {"172.17.0.0/16"}};
        std::vector<std::string> taken;
        for (int i = *rc::gen::inRange(0, 6); i > 0; --i) {
            taken.push_back(random_subnet());
            observed.host_subnets.push_back({taken.back(), "a route"});
        }
        for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
            const auto name = "other" + std::to_string(i);
            taken.push_back(random_subnet());
            observed.others_networks[name] = {.name = name, .subnets = {taken.back()}};
        }
        for (int i = *rc::gen::inRange(0, 40); i > 0; --i) {
            add_network(desired, "net" + std::to_string(i));
        }
        const auto choices = choose_subnets(compile(desired, bounds), observed);
        RC_ASSERT(choices.size() == desired.networks.size());
        for (const auto& [id, choice] : choices) {
            if (!choice.fault.empty()) continue;
            const auto inside = [&](const std::string& pool) { return overlap(pool, choice.ipv4); };
            RC_ASSERT(std::ranges::any_of(bounds.network_pools, inside));
            for (const auto& each : taken) RC_ASSERT(!overlap(each, choice.ipv4));
            taken.push_back(choice.ipv4);
        }
        // By the slow and plain way: is there a piece that nobody has?
        bool room = false;
        for (const auto& text : bounds.network_pools) {
            const auto pool = ip::make_network_v4(text);
            const auto prefix = std::max<int>(pool.prefix_length(), bounds.network_pool_prefix);
            const std::uint64_t size = std::uint64_t{1} << (32 - prefix);
            const std::uint64_t end =
                pool.network().to_uint() + (std::uint64_t{1} << (32 - pool.prefix_length()));
            for (std::uint64_t at = pool.network().to_uint(); at < end; at += size) {
                const auto piece = ip::network_v4(ip::address_v4(static_cast<std::uint32_t>(at)),
                                                  static_cast<unsigned short>(prefix))
                                       .to_string();
                room = room || std::ranges::none_of(
                                   taken, [&](const auto& each) { return overlap(each, piece); });
            }
        }
        const bool refused = std::ranges::any_of(
            choices, [](const auto& each) { return !each.second.fault.empty(); });
        RC_ASSERT(!(refused && room));
        RC_ASSERT(choose_subnets(compile(desired, bounds), observed) == choices);
    }));
}

}  // namespace
