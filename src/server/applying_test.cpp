// What is wanted: documents that are taken, refused or changed, and what comes of them.
#include <sqlite3.h>

#include "server/trial.h"

namespace {

using namespace trailer;
using namespace trailer::server;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ApplyingTest : public WorldTest {};

Task<> applies(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    auto answer = co_await world.apply(kDocuments);
    EXPECT_EQ(answer.status, 200) << answer.text;
    const auto workspace = co_await world.call("GET", "/api/workspaces/dev");
    EXPECT_EQ(workspace.text_at("status"), "deployment_pending");
    EXPECT_EQ(workspace.text_at("host"), "host-1");
    const auto first = co_await world.desired(-1);
    const auto state = wire::from_json<protocol::DesiredState>(first.value);
    EXPECT_EQ(state.revision, 1);
    EXPECT_EQ(state.host_id, world.host_id);
    EXPECT_EQ(state.workspaces.at(0).spec.env.at("A"), "1");
    EXPECT_EQ((co_await world.desired(state.revision)).status, 304);
    // The same again.
    answer = co_await world.apply(kDocuments);
    for (const auto& item : answer.at("items").as_array()) {
        EXPECT_EQ(item.as_object().at("result").as_string(), "unchanged");
    }
    EXPECT_EQ((co_await world.desired(state.revision)).status, 304);
    // One member.
    std::string changed = kDocuments;
    changed.replace(changed.find(R"("A": "1")"), 8, R"("A": "2")");
    answer = co_await world.apply(changed);
    const auto& item = answer.at("items").as_array().at(2).as_object();
    EXPECT_EQ(item.at("result").as_string(), "updated");
    EXPECT_THAT(wire::from_json<std::vector<std::string>>(item.at("changes")),
                ElementsAre("/spec/env/A"));
    EXPECT_EQ((co_await world.desired(1)).status, 200);
}

protocol::DesiredAnswer answer_of(const Answer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.text;
    return wire::from_json<protocol::DesiredAnswer>(answer.value);
}

Task<> changes_since(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    co_await world.apply(kDocuments);
    const auto whole = answer_of(co_await world.desired(-1));
    EXPECT_EQ(whole.since, std::nullopt);
    EXPECT_EQ(whole.networks.size() + whole.volumes.size() + whole.workspaces.size(), 3U);
    std::string changed = kDocuments;
    changed.replace(changed.find(R"("A": "1")"), 8, R"("A": "2")");
    co_await world.apply(changed);
    const auto news = answer_of(co_await world.desired(whole.revision, whole.history));
    EXPECT_EQ(news.since, whole.revision);
    EXPECT_EQ(news.workspaces.at(0).spec.env.at("A"), "2");
    EXPECT_THAT(news.networks, IsEmpty());
    EXPECT_THAT(news.volumes, IsEmpty());
    EXPECT_THAT(news.removed, IsEmpty());
    // A status is no change of what is wanted.
    const auto id = news.workspaces.at(0).id;
    co_await world.report("Workspace", id, news.workspaces.at(0).revision, "running");
    EXPECT_EQ((co_await world.desired(news.revision, news.history)).status, 304);
    co_await world.call("DELETE", "/api/workspaces/dev");
    const auto going = answer_of(co_await world.desired(news.revision, news.history));
    EXPECT_TRUE(going.workspaces.at(0).deleting);
    co_await world.report("Workspace", id, going.workspaces.at(0).revision, "deleted");
    const auto gone = answer_of(co_await world.desired(going.revision, going.history));
    EXPECT_THAT(gone.workspaces, IsEmpty());
    EXPECT_THAT(gone.removed, ElementsAre(id));
    // All that happened since the first, in one answer.
    EXPECT_THAT(answer_of(co_await world.desired(whole.revision, whole.history)).removed,
                ElementsAre(id));
    // Of another process, or another host, the numbers mean something else.
    EXPECT_EQ(answer_of(co_await world.desired(whole.revision, "another")).since, std::nullopt);
    EXPECT_EQ(answer_of(co_await world.desired(whole.revision)).since, std::nullopt);
    EXPECT_EQ(answer_of(co_await world.desired(gone.revision + 1, gone.history)).since,
              std::nullopt)
        << "a revision that has yet to come";
}

TEST_F(ApplyingTest, AnAgentThatSaysWhatItHasIsToldWhatHasChanged) {
    play(changes_since);
}

TEST_F(ApplyingTest, WhatIsAppliedReachesTheAgentAndOnlyChangesDo) {
    play(applies);
}

Task<> dry_run(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    const auto documents = wire::parse(kDocuments);
    const auto answer = co_await world.call("POST", "/api/apply?dry_run=true", documents);
    EXPECT_EQ(answer.status, 200);
    EXPECT_THAT((co_await world.call("GET", "/api/workspaces")).names(), IsEmpty());
    EXPECT_EQ((co_await world.call("POST", "/api/apply?dry_run=maybe", documents)).status, 422);
}

TEST_F(ApplyingTest, ADryRunChangesNothing) {
    play(dry_run);
}

Task<> all_or_nothing(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    const auto answer = co_await world.apply(R"([
      {"kind": "Network", "name": "lab"},
      {"kind": "Workspace", "name": "one", "spec": {"image": "x", "networks": [{"network": "no"}],
       "mounts": [{"volume": "no", "target": "/x"}], "resources": {"memory": 99999999999999}}},
      {"kind": "Workspace", "name": "lab", "host": "elsewhere", "spec": {"image": "x"}},
      {"kind": "Workspace", "name": "two", "color": "red", "spec": {}}])");
    EXPECT_EQ(answer.status, 422);
    EXPECT_THAT(answer.pointers(), testing::IsSupersetOf({"/2/host", "/3/color"}));
    const auto deeper = co_await world.apply(R"([
      {"kind": "Network", "name": "lab"},
      {"kind": "Workspace", "name": "one", "spec": {"image": "x", "networks": [{"network": "no"}],
       "mounts": [{"volume": "no", "target": "/x"}], "resources": {"memory": 99999999999999,
       "cpus": 64}}}])");
    EXPECT_THAT(deeper.pointers(), testing::UnorderedElementsAre(
                                       "/1/spec/networks/0/network", "/1/spec/mounts/0/volume",
                                       "/1/spec/resources/memory", "/1/spec/resources/cpus"));
    EXPECT_THAT((co_await world.call("GET", "/api/networks")).names(), IsEmpty());
}

TEST_F(ApplyingTest, EachFaultIsNamedAndNothingIsHalfApplied) {
    play(all_or_nothing);
}

Task<> what_is_taken(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    co_await world.apply(kDocuments);
    auto answer = co_await world.apply(R"([{"kind": "Workspace", "name": "web", "spec":
        {"image": "x", "ports": [{"host": 80, "container": 8080}]}}])");
    EXPECT_THAT(answer.pointers(), ElementsAre("/0/spec/ports/0/host"));
    EXPECT_THAT(answer.text, HasSubstr("workspace dev's"));
    answer = co_await world.apply(R"([{"kind": "Workspace", "name": "web", "running": false,
        "spec": {"image": "x", "ports": [{"host": 80, "container": 8080}]}}])");
    EXPECT_EQ(answer.status, 200) << "a stopped one holds no port";
    EXPECT_EQ((co_await world.call("POST", "/api/workspaces/web/start")).status, 409);
    answer = co_await world.apply(
        R"([{"kind": "Network", "name": "lab2", "spec": {"subnet": "10.1.0.128/25"}}])");
    EXPECT_THAT(answer.pointers(), ElementsAre("/0/spec/subnet"));
    answer = co_await world.apply(
        R"([{"kind": "Network", "name": "lab", "spec": {"subnet": "10.2.0.0/24"}}])");
    EXPECT_THAT(answer.pointers(), ElementsAre("/0/spec/subnet"));
    EXPECT_THAT(answer.text, HasSubstr("fixed once"));
    answer = co_await world.apply(R"([{"kind": "Workspace", "name": "far", "spec": {"image": "x",
        "networks": [{"network": "lab", "ipv4": "10.9.0.1"}]}}])");
    EXPECT_THAT(answer.pointers(), ElementsAre("/0/spec/networks/0/ipv4"));
}

Task<> refused_network(World& world, std::string spec, std::string member, std::string words) {
    const auto answer = co_await world.apply(
        fmt::format(R"([{{"kind": "Network", "name": "new", "spec": {{{}}}}}])", spec));
    EXPECT_THAT(answer.pointers(), ElementsAre("/0/spec/" + member)) << spec;
    EXPECT_THAT(answer.text, HasSubstr(words));
}

Task<> network_in_the_way(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    co_await world.apply(R"([
        {"kind": "Network", "name": "auto", "spec": {"ipv6": true}},
        {"kind": "Network", "name": "lan", "spec": {"driver": "macvlan", "subnet": "10.5.0.0/24",
         "gateway": "10.5.0.1", "parent": "eth0", "vlan": 10}}])");
    auto networks = co_await world.call("GET", "/api/networks/auto");
    json::array reports;
    reports.emplace_back(
        json::object{{"kind", "Network"},
                     {"id", networks.text_at("id")},
                     {"revision", 1},
                     {"status", "created"},
                     {"observed", {{"subnet", "10.200.7.0/24"}, {"ipv6_subnet", "fd12::/64"}}}});
    json::object body{{"reports", std::move(reports)}};
    co_await world.call("POST", "/api/agent/status", std::move(body), world.as_agent());
    co_await refused_network(world, R"("subnet": "10.200.0.0/16")", "subnet",
                             "overlaps 10.200.7.0/24 of network auto");
    co_await refused_network(world, R"("ipv6": true, "ipv6_subnet": "fd12::/48")", "ipv6_subnet",
                             "of network auto");
    co_await refused_network(world, R"("subnet": "192.168.1.0/25")", "subnet",
                             "overlaps 192.168.1.5/24, which interface eth0 of host host-1 has");
    co_await refused_network(world,
                             R"("driver": "ipvlan", "subnet": "10.6.0.0/24", "parent": "eth0")",
                             "driver", "has no ipvlan networks; it has: bridge, macvlan");
    co_await refused_network(world,
                             R"("driver": "macvlan", "subnet": "10.6.0.0/24", "parent": "eth1")",
                             "parent", "that can carry macvlan; it has: eth0");
    co_await refused_network(
        world, R"("driver": "macvlan", "subnet": "10.6.0.0/24", "parent": "eth0", "vlan": 10)",
        "vlan", "interface eth0.10 carries network lan already");
    co_await refused_network(world,
                             R"("driver": "macvlan", "subnet": "10.5.0.0/25", "parent": "eth0")",
                             "subnet", "of network lan");
    const auto lan = co_await world.apply(R"([{"kind": "Network", "name": "lan2", "spec": {
        "driver": "macvlan", "subnet": "192.168.1.0/24", "parent": "eth0", "vlan": 11}}])");
    EXPECT_EQ(lan.status, 200) << lan.text;  // on the host's own link, with a tag of its own
    const auto gateway = co_await world.apply(R"([{"kind": "Workspace", "name": "dev", "spec": {
        "image": "x", "networks": [{"network": "lan", "ipv4": "10.5.0.1"},
                                   {"network": "auto", "ipv6": "fd12::9"}]}}])");
    EXPECT_THAT(gateway.pointers(),
                ElementsAre("/0/spec/networks/0/ipv4", "/0/spec/networks/1/ipv6"));
}

TEST_F(ApplyingTest, NetworksThatGetInEachOthersOrTheHostsWayAreRefused) {
    play(network_in_the_way);
}

Task<> address_of_the_network_itself(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    co_await world.apply(R"([
        {"kind": "Network", "name": "dual", "spec": {"subnet": "10.3.0.0/24", "ipv6": true,
         "ipv6_subnet": "fd00:3::/64"}},
        {"kind": "Network", "name": "named", "spec": {"subnet": "10.4.0.0/24",
         "gateway": "10.4.0.9"}},
        {"kind": "Network", "name": "ranged", "spec": {"subnet": "10.5.0.0/24",
         "ip_range": "10.5.0.128/25"}}])");
    const auto with = [&](std::string network, std::string member, std::string address) {
        return world.apply(
            fmt::format(R"([{{"kind": "Workspace", "name": "dev", "spec": {{"image": "x",
                            "networks": [{{"network": "{}", "{}": "{}"}}]}}}}])",
                        network, member, address));
    };
    for (const auto& [member, address, words] :
         {std::tuple("ipv4", "10.3.0.0", "which no machine can have"),
          std::tuple("ipv4", "10.3.0.255", "which no machine can have"),
          std::tuple("ipv4", "10.3.0.1", "is the gateway of network dual"),
          std::tuple("ipv6", "fd00:3::1", "is the gateway of network dual")}) {
        const auto answer = co_await with("dual", member, address);
        EXPECT_THAT(answer.text, HasSubstr(words)) << address;
        EXPECT_EQ(answer.status, 422) << address;
        if (answer.status != 422) continue;
        EXPECT_THAT(answer.pointers(), ElementsAre(fmt::format("/0/spec/networks/0/{}", member)));
    }
    for (const auto& [network, member, address] :
         {std::tuple("dual", "ipv4", "10.3.0.2"), std::tuple("dual", "ipv6", "fd00:3::2"),
          std::tuple("named", "ipv4", "10.4.0.1"), std::tuple("ranged", "ipv4", "10.5.0.1")}) {
        EXPECT_EQ((co_await with(network, member, address)).status, 200) << address;
    }
}

TEST_F(ApplyingTest, AFixedAddressThatTheNetworkItselfNeedsIsRefused) {
    play(address_of_the_network_itself);
}

Task<> used_network(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    co_await world.apply(R"([{"kind": "Network", "name": "lab"},
        {"kind": "Workspace", "name": "one", "spec": {"image": "x", "networks": [{"network": "lab"}]}},
        {"kind": "Workspace", "name": "two", "running": false,
         "spec": {"image": "x", "networks": [{"network": "lab"}]}}])");
    const auto answer = co_await world.call("DELETE", "/api/networks/lab");
    EXPECT_EQ(answer.status, 409);
    EXPECT_THAT(answer.text, HasSubstr("network lab is used by one, two"));
}

TEST_F(ApplyingTest, ANetworkInUseIsNotDeletedAndAllWhoUseItAreNamed) {
    play(used_network);
}

// A network that an older version kept has fewer members: it is the same nevertheless.
Task<> kept_by_an_older_version(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    co_await world.apply(R"([{"kind": "Network", "name": "lab"}])");
    sqlite3* database = nullptr;
    EXPECT_EQ(sqlite3_open((world.directory() / "trailer.db").c_str(), &database), SQLITE_OK);
    EXPECT_EQ(
        sqlite3_exec(database,
                     "UPDATE resources SET spec = json_remove(spec, '$.ipv6', '$.vlan', '$.mode')",
                     nullptr, nullptr, nullptr),
        SQLITE_OK);
    sqlite3_close(database);
    co_await world.restart();
    const auto answer = co_await world.apply(R"([{"kind": "Network", "name": "lab"}])");
    EXPECT_EQ(answer.status, 200) << answer.text;
    EXPECT_THAT(answer.text, HasSubstr("unchanged"));
}

TEST_F(ApplyingTest, ANewVersionsMembersChangeNoResource) {
    play(kept_by_an_older_version);
}

TEST_F(ApplyingTest, PortsAndAddressesThatAreTakenAreRefused) {
    play(what_is_taken);
}

Task<> dependencies(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    auto answer = co_await world.apply(R"([{"kind": "Workspace", "name": "web", "spec":
        {"image": "x", "depends_on": [{"workspace": "db"}]}}])");
    EXPECT_THAT(answer.pointers(), ElementsAre("/0/spec/depends_on/0/workspace"));
    answer = co_await world.apply(R"([
        {"kind": "Workspace", "name": "web", "spec": {"image": "x",
         "depends_on": [{"workspace": "db", "condition": "healthy"}]}},
        {"kind": "Workspace", "name": "db", "spec": {"image": "x"}}])");
    EXPECT_EQ(answer.status, 200) << answer.text;
    answer = co_await world.apply(R"([{"kind": "Workspace", "name": "db", "spec":
        {"image": "x", "depends_on": [{"workspace": "web"}]}}])");
    EXPECT_THAT(answer.text, HasSubstr("workspace web depends on this one in turn"));
    const auto used = co_await world.call("DELETE", "/api/workspaces/db");
    EXPECT_EQ(used.status, 409);
    EXPECT_THAT(used.text_at("detail"), HasSubstr("web"));
}

TEST_F(ApplyingTest, DependenciesAreThereAndDontGoInCircles) {
    play(dependencies);
}

Task<> life(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    co_await world.apply(kDocuments);
    const auto id = (co_await world.call("GET", "/api/workspaces/dev")).text_at("id");
    co_await world.report("Workspace", id, 1, "running");
    EXPECT_EQ((co_await world.call("GET", "/api/workspaces/dev")).text_at("status"), "running");
    EXPECT_EQ((co_await world.call("POST", "/api/workspaces/dev/stop")).text_at("status"),
              "stopping");
    co_await world.report("Workspace", id, 1, "running");  // of before
    EXPECT_EQ((co_await world.call("GET", "/api/workspaces/dev")).text_at("status"), "stopping");
    EXPECT_EQ((co_await world.call("POST", "/api/workspaces/dev/restart")).status, 409);
    co_await world.call("POST", "/api/workspaces/dev/start");
    co_await world.call("POST", "/api/workspaces/dev/restart");
    co_await world.call("POST", "/api/workspaces/dev/redeploy");
    const auto state = wire::from_json<protocol::DesiredState>((co_await world.desired(-1)).value);
    EXPECT_TRUE(state.workspaces.at(0).restart_before.has_value());
    EXPECT_EQ(state.workspaces.at(0).redeploys, 1);
    const auto used = co_await world.call("DELETE", "/api/networks/lab");
    EXPECT_EQ(used.status, 409);
    EXPECT_THAT(used.text_at("detail"), HasSubstr("dev"));
    const auto deleted = co_await world.call("DELETE", "/api/workspaces/dev");
    EXPECT_EQ(deleted.status, 202);
    EXPECT_EQ(deleted.text_at("status"), "deleting");
    EXPECT_EQ((co_await world.call("DELETE", "/api/networks/lab")).status, 202);
    co_await world.report("Workspace", id, 99, "deleted");
    EXPECT_EQ((co_await world.call("GET", "/api/workspaces/dev")).status, 404);
}

TEST_F(ApplyingTest, AWorkspaceFromStartToDeletion) {
    play(life);
}

Task<> patches(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    co_await world.apply(kDocuments);
    auto patch = wire::parse(R"({"spec": {"env": {"A": null, "B": "2"}}, "running": false})");
    const auto answer = co_await world.call("PATCH", "/api/workspaces/dev", patch);
    EXPECT_EQ(answer.status, 200) << answer.text;
    EXPECT_EQ(json::serialize(answer.at("spec").as_object().at("env")), R"({"B":"2"})");
    patch = wire::parse(R"({"name": "other"})");
    EXPECT_THAT((co_await world.call("PATCH", "/api/workspaces/dev", patch)).pointers(),
                ElementsAre("/name"));
    patch = wire::parse(R"({"spec": {"imagee": "x"}})");
    EXPECT_THAT((co_await world.call("PATCH", "/api/workspaces/dev", patch)).pointers(),
                ElementsAre("/spec/imagee"));
    patch = wire::parse(R"({"settings": {"heartbeat_interval_ms": 1}})");
    EXPECT_THAT((co_await world.call("PATCH", "/api/hosts/host-1", patch)).pointers(),
                ElementsAre("/settings/heartbeat_interval_ms"));
    patch = wire::parse(R"({"name": "renamed", "settings": {"heartbeat_interval_ms": 700}})");
    EXPECT_EQ((co_await world.call("PATCH", "/api/hosts/host-1", patch)).status, 200);
    EXPECT_EQ((co_await world.call("GET", "/api/workspaces/dev")).text_at("host"), "renamed");
    const auto beat =
        co_await world.call("POST", "/api/agent/heartbeat", json::object(), world.as_agent());
    EXPECT_EQ(beat.at("settings").as_object().at("heartbeat_interval_ms").as_int64(), 700);
}

TEST_F(ApplyingTest, PatchesAreMergedAndChecked) {
    play(patches);
}

Task<> lights(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    const auto patch = wire::parse(R"({"settings": {"heartbeat_interval_ms": 100}})");
    co_await world.call("PATCH", "/api/hosts/host-1", patch);
    const auto body = wire::parse(
        R"({"clock": "2026-01-01T00:00:00Z", "engine": {"status": "ok"},
            "reconcile": {"status": "failing", "reason": "no disk"}})");
    co_await world.call("POST", "/api/agent/heartbeat", body, world.as_agent());
    auto host = co_await world.call("GET", "/api/hosts/host-1");
    EXPECT_EQ(host.text_at("status"), "online");
    EXPECT_EQ(host.at("engine").as_object().at("status").as_string(), "ok");
    EXPECT_EQ(host.at("reconcile").as_object().at("reason").as_string(), "no disk");
    EXPECT_NE(host.at("realtime").as_object().at("status").as_string(), "ok");
    for (int i = 0; i < 100 && host.text_at("status") == "online"; ++i) {
        co_await aio::sleep(50ms);
        host = co_await world.call("GET", "/api/hosts/host-1");
    }
    EXPECT_EQ(host.text_at("status"), "offline");
    EXPECT_EQ(host.at("engine").as_object().at("status").as_string(), "unknown");
    EXPECT_EQ((co_await world.call("DELETE", "/api/hosts/host-1")).status, 409);
    co_await world.call("PATCH", "/api/hosts/host-1", wire::parse(R"({"enabled": false})"));
    EXPECT_EQ((co_await world.call("DELETE", "/api/hosts/host-1")).status, 204);
    EXPECT_EQ((co_await world.desired(-1)).status, 401);
}

TEST_F(ApplyingTest, AHostThatFallsSilentShowsNoGreenLight) {
    play(lights);
}

}  // namespace
