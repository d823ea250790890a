#include <sqlite3.h>

#include "server/trial.h"

namespace {

using namespace trailer;
using namespace trailer::server;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class ServerTest : public testing::Test {
  protected:
    void play(Task<> (*script)(World&)) { world.play(script(world)); }

    World world;
};

constexpr const char* kDocuments = R"([
  {"kind": "Network", "name": "lab", "spec": {"subnet": "10.1.0.0/24"}},
  {"kind": "Volume", "name": "data"},
  {"kind": "Workspace", "name": "dev", "spec": {"image": "busybox", "env": {"A": "1"},
   "networks": [{"network": "lab"}], "mounts": [{"volume": "data", "target": "/data"}],
   "ports": [{"host": 80, "container": 80}]}}])";

// --- who may

Task<> needs_login(World& world) {
    for (const auto* path : {"/api/hosts", "/api/workspaces", "/api/events", "/metrics"}) {
        const auto answer = co_await world.call("GET", path);
        EXPECT_EQ(answer.status, 401) << path;
        EXPECT_EQ(answer.headers.get("Content-Type"), "application/problem+json");
    }
    EXPECT_EQ((co_await world.call("GET", "/healthz")).status, 200);
    EXPECT_EQ((co_await world.call("GET", "/readyz")).status, 200);
    co_await world.log_in();
    const auto me = co_await world.call("GET", "/api/auth/me");
    EXPECT_EQ(me.text_at("username"), "admin");
    co_await world.call("POST", "/api/auth/logout");
    EXPECT_EQ((co_await world.call("GET", "/api/auth/me")).status, 401);
}

TEST_F(ServerTest, NothingIsShownToStrangers) {
    play(needs_login);
}

Task<> guesses(World& world) {
    json::object wrong{{"username", "admin"}, {"password", "wrong"}};
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ((co_await world.call("POST", "/api/auth/login", wrong)).status, 401);
    }
    const auto refused = co_await world.call("POST", "/api/auth/login", wrong);
    EXPECT_EQ(refused.status, 429);
    EXPECT_FALSE(refused.headers.get("Retry-After").empty());
    json::object right{{"username", "admin"}, {"password", world.password}};
    EXPECT_EQ((co_await world.call("POST", "/api/auth/login", right)).status, 429);
}

TEST_F(ServerTest, PasswordsCantBeGuessedOneAfterAnother) {
    play(guesses);
}

Task<> cookies(World& world) {
    json::object right{{"username", "admin"}, {"password", world.password}};
    const auto login = co_await world.call("POST", "/api/auth/login", right);
    std::string session;
    std::string csrf;
    for (const auto& [name, value] : login.headers) {
        if (name != "Set-Cookie") continue;
        EXPECT_THAT(value, HasSubstr("SameSite=Strict"));
        const auto text = value.substr(0, value.find(';'));
        if (text.starts_with("trailer_session=")) {
            EXPECT_THAT(value, HasSubstr("HttpOnly"));
            session = text;
        } else {
            csrf = text.substr(text.find('=') + 1);
        }
    }
    net::Headers cookie{{"Cookie", "other=1; " + session}};
    EXPECT_EQ((co_await world.call("GET", "/api/auth/me", nullptr, cookie)).status, 200);
    json::object name{{"name", "ci"}};
    EXPECT_EQ((co_await world.call("POST", "/api/tokens", name, cookie)).status, 403);
    cookie.set("X-CSRF-Token", csrf);
    EXPECT_EQ((co_await world.call("POST", "/api/tokens", name, cookie)).status, 201);
}

TEST_F(ServerTest, ACookieNeedsTheHeaderThatOnlyOurPageSends) {
    play(cookies);
}

Task<> password_change(World& world) {
    co_await world.log_in();
    const auto first = world.token;
    co_await world.log_in();
    json::object wrong{{"current", "x"}, {"new", "long enough it is"}};
    const auto refused = co_await world.call("POST", "/api/auth/password", wrong);
    EXPECT_THAT(refused.pointers(), ElementsAre("/current"));
    EXPECT_TRUE(std::filesystem::exists(world.directory() / "initial_admin_password"));
    json::object right{{"current", world.password}, {"new", "long enough it is"}};
    EXPECT_EQ((co_await world.call("POST", "/api/auth/password", right)).status, 204);
    EXPECT_FALSE(std::filesystem::exists(world.directory() / "initial_admin_password"));
    net::Headers other{{"Authorization", "Bearer " + first}};
    EXPECT_EQ((co_await world.call("GET", "/api/auth/me", nullptr, other)).status, 401);
    EXPECT_EQ((co_await world.call("GET", "/api/auth/me")).status, 200);
}

TEST_F(ServerTest, ANewPasswordEndsOtherSessionsAndTheFileOfTheFirstOne) {
    play(password_change);
}

// --- who a host is

Task<> approval(World& world) {
    co_await world.log_in();
    const auto pending = co_await world.register_agent();
    EXPECT_EQ(pending.status, 403);
    EXPECT_EQ(pending.text_at("type"), protocol::kProblemPendingApproval);
    const auto host = co_await world.call("GET", "/api/hosts/host-1");
    EXPECT_EQ(host.text_at("status"), "pending_approval");
    EXPECT_THAT(host.text_at("fingerprint"), StartsWith("SHA256:"));
    json::object wrong{{"fingerprint", "SHA256:another"}};
    EXPECT_EQ((co_await world.call("POST", "/api/hosts/host-1/approve", wrong)).status, 422);
    json::object right{{"fingerprint", host.text_at("fingerprint")}};
    EXPECT_EQ((co_await world.call("POST", "/api/hosts/host-1/approve", right)).status, 200);
    EXPECT_EQ((co_await world.register_agent()).status, 200);
}

TEST_F(ServerTest, ANewHostWaitsForAnAdmin) {
    play(approval);
}

Task<> proofs(World& world) {
    co_await world.log_in();
    co_await world.register_agent();
    const auto used = wire::to_json(world.last_registration);
    auto again = co_await world.call("POST", "/api/agent/register", used);
    EXPECT_EQ(again.status, 401);
    EXPECT_THAT(again.text_at("detail"), HasSubstr("used before"));
    // The signature covers the registration token: another's can't be claimed with it.
    co_await world.register_agent("two", std::string(32, 'b'));
    auto forged = world.last_registration;
    const auto other = SigningKey::generate();
    json::object ask{{"public_key", other.public_key()}};
    const auto given = co_await world.call("POST", "/api/agent/challenge", std::move(ask));
    forged.challenge = given.text_at("challenge");
    forged.signature = other.sign(protocol::signed_text(forged.challenge, std::string(32, 'c')));
    forged.public_key = other.public_key();
    auto body = wire::to_json(forged);
    EXPECT_EQ((co_await world.call("POST", "/api/agent/register", body)).status, 401);
    forged.challenge = "made.up.challenge";
    body = wire::to_json(forged);
    EXPECT_EQ((co_await world.call("POST", "/api/agent/register", body)).status, 401);
}

TEST_F(ServerTest, AProofIsGoodOnceAndForOneTokenAndKey) {
    play(proofs);
}

Task<> conflict(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    const auto bound = (co_await world.call("GET", "/api/hosts/host-1")).text_at("fingerprint");
    const auto refused = co_await world.register_agent("thief");
    EXPECT_EQ(refused.status, 409);
    EXPECT_EQ(refused.text_at("type"), protocol::kProblemIdentityConflict);
    auto host = co_await world.call("GET", "/api/hosts/host-1");
    EXPECT_EQ(host.text_at("fingerprint"), bound);
    const auto& shown = host.at("identity_conflict").as_object();
    EXPECT_EQ(shown.at("address").as_string(), "127.0.0.1");
    EXPECT_EQ((co_await world.desired(-1)).status, 200) << "the first goes on";
    json::object choice{{"fingerprint", shown.at("fingerprint")}};
    EXPECT_EQ((co_await world.call("POST", "/api/hosts/host-1/approve", choice)).status, 200);
    EXPECT_EQ((co_await world.desired(-1)).status, 401) << "its token went with its key";
    EXPECT_EQ((co_await world.register_agent("thief")).status, 200);
    EXPECT_EQ((co_await world.register_agent("one")).status, 409);
}

TEST_F(ServerTest, ASecondKeyIsShownRefusedAndCanBeApproved) {
    play(conflict);
}

Task<> restarts(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    co_await world.apply(kDocuments);
    co_await world.restart();
    EXPECT_EQ((co_await world.call("GET", "/api/auth/me")).status, 200);
    EXPECT_EQ((co_await world.desired(-1)).status, 200);
    EXPECT_THAT((co_await world.call("GET", "/api/workspaces")).names(), ElementsAre("dev"));
}

TEST_F(ServerTest, SessionsAgentsAndResourcesOutliveTheProcess) {
    play(restarts);
}

// --- what is wanted

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

TEST_F(ServerTest, AnAgentThatSaysWhatItHasIsToldWhatHasChanged) {
    play(changes_since);
}

TEST_F(ServerTest, WhatIsAppliedReachesTheAgentAndOnlyChangesDo) {
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

TEST_F(ServerTest, ADryRunChangesNothing) {
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

TEST_F(ServerTest, EachFaultIsNamedAndNothingIsHalfApplied) {
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

TEST_F(ServerTest, NetworksThatGetInEachOthersOrTheHostsWayAreRefused) {
    play(network_in_the_way);
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

TEST_F(ServerTest, ANetworkInUseIsNotDeletedAndAllWhoUseItAreNamed) {
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

TEST_F(ServerTest, ANewVersionsMembersChangeNoResource) {
    play(kept_by_an_older_version);
}

TEST_F(ServerTest, PortsAndAddressesThatAreTakenAreRefused) {
    play(what_is_taken);
}

// --- groups

constexpr const char* kShop = R"([
  {"kind": "Network", "name": "shop_default", "group": "shop"},
  {"kind": "Volume", "name": "shop_data", "group": "shop"},
  {"kind": "Workspace", "name": "shop-db", "group": "shop", "spec": {"image": "x",
   "networks": [{"network": "shop_default"}], "mounts": [{"volume": "shop_data", "target": "/d"}]}},
  {"kind": "Workspace", "name": "shop-web", "group": "shop", "spec": {"image": "x",
   "networks": [{"network": "shop_default"}], "depends_on": [{"workspace": "shop-db"}]}}])";

Task<> groups(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    co_await world.apply(kDocuments);
    co_await world.apply(kShop);
    auto shop = co_await world.call("GET", "/api/groups/shop");
    EXPECT_EQ(shop.at("workspaces"), 2);
    EXPECT_EQ(shop.at("volumes"), 1);
    EXPECT_EQ(shop.at("states").as_object().at("deployment_pending"), 2);
    EXPECT_EQ(shop.at("hosts"), json::array{"host-1"});
    EXPECT_THAT((co_await world.call("GET", "/api/groups")).names(), ElementsAre("shop"));
    const auto members = co_await world.call("GET", "/api/workspaces?group=shop");
    EXPECT_THAT(members.names(), ElementsAre("shop-db", "shop-web"));
    EXPECT_THAT((co_await world.call("GET", "/api/workspaces?group=")).names(), ElementsAre("dev"));
    EXPECT_EQ((co_await world.call("GET", "/api/groups/other")).status, 404);
    co_await world.restart();
    EXPECT_THAT((co_await world.call("GET", "/api/groups")).names(), ElementsAre("shop"));
}

TEST_F(ServerTest, AGroupIsThereWhileSomethingIsInIt) {
    play(groups);
}

Task<> joins(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    co_await world.apply(kDocuments);
    const auto revision = (co_await world.call("GET", "/api/workspaces/dev")).at("revision");
    auto answer = co_await world.apply(
        R"([{"kind": "Network", "name": "lab", "group": "play", "spec": {"subnet": "10.1.0.0/24"}}])");
    EXPECT_EQ(answer.status, 200) << answer.text;
    EXPECT_THAT(answer.text, HasSubstr("\"/group\""));
    answer = co_await world.apply(
        R"([{"kind": "Network", "name": "lab", "spec": {"subnet": "10.1.0.0/24"}}])");
    EXPECT_THAT(answer.text, HasSubstr("unchanged")) << "it stays where it is";
    answer = co_await world.apply(
        R"([{"kind": "Network", "name": "lab", "group": "work", "spec": {"subnet": "10.1.0.0/24"}}])");
    EXPECT_THAT(answer.pointers(), ElementsAre("/0/group"));
    json::object leave{{"group", ""}};
    EXPECT_EQ((co_await world.call("PATCH", "/api/networks/lab", leave)).status, 200);
    EXPECT_THAT((co_await world.call("GET", "/api/groups")).names(), IsEmpty());
    EXPECT_EQ((co_await world.call("GET", "/api/workspaces/dev")).at("revision"), revision);
    answer = co_await world.apply(R"([{"kind": "Volume", "name": "data", "group": "-"}])");
    EXPECT_THAT(answer.pointers(), ElementsAre("/0/group"));
}

TEST_F(ServerTest, AResourceJoinsAGroupAndLeavesItButIsNeverTakenFromAnother) {
    play(joins);
}

Task<> prunes(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    co_await world.apply(kShop);
    const auto fewer = wire::parse(R"([
      {"kind": "Network", "name": "shop_default", "group": "shop"},
      {"kind": "Workspace", "name": "shop-db", "group": "shop", "spec": {"image": "x",
       "networks": [{"network": "shop_default"}]}}])");
    auto answer = co_await world.call("POST", "/api/apply", fewer);
    const auto& left = answer.at("left_over").as_array();
    EXPECT_EQ(left.size(), 1);
    EXPECT_EQ(left.at(0).as_object().at("name"), "shop-web");
    EXPECT_EQ((co_await world.call("GET", "/api/workspaces/shop-web")).text_at("status"),
              "deployment_pending");
    answer = co_await world.call("POST", "/api/apply?prune=true&dry_run=true", fewer);
    EXPECT_THAT(answer.text, HasSubstr("\"deleted\""));
    EXPECT_EQ((co_await world.call("GET", "/api/workspaces/shop-web")).text_at("status"),
              "deployment_pending");
    answer = co_await world.call("POST", "/api/apply?prune=true", fewer);
    EXPECT_EQ(answer.status, 200) << answer.text;
    EXPECT_EQ((co_await world.call("GET", "/api/workspaces/shop-web")).text_at("status"),
              "deleting");
    EXPECT_EQ((co_await world.call("GET", "/api/volumes/shop_data")).text_at("status"), "pending");
    const auto only_web =
        wire::parse(R"([{"kind": "Workspace", "name": "out", "spec": {"image": "x"}}])");
    EXPECT_EQ((co_await world.call("POST", "/api/apply?prune=true", only_web)).status, 422);
}

TEST_F(ServerTest, WhatAGroupHasBeyondItsDocumentsIsToldAndPrunedOnlyWhenAskedFor) {
    play(prunes);
}

Task<> group_deletion(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    co_await world.apply(kShop);
    co_await world.apply(R"([{"kind": "Workspace", "name": "guest", "spec": {"image": "x",
        "networks": [{"network": "shop_default"}]}}])");
    auto answer = co_await world.call("DELETE", "/api/groups/shop");
    EXPECT_EQ(answer.status, 409);
    EXPECT_THAT(answer.text, HasSubstr("guest"));
    EXPECT_EQ((co_await world.call("GET", "/api/workspaces/shop-db")).text_at("status"),
              "deployment_pending");
    co_await world.call("DELETE", "/api/workspaces/guest");
    EXPECT_EQ((co_await world.call("DELETE", "/api/groups/shop")).status, 202);
    EXPECT_EQ((co_await world.call("GET", "/api/workspaces/shop-db")).text_at("status"),
              "deleting");
    EXPECT_EQ((co_await world.call("GET", "/api/networks/shop_default")).text_at("status"),
              "deleting");
    EXPECT_EQ((co_await world.call("GET", "/api/volumes/shop_data")).text_at("status"), "pending");
    EXPECT_EQ((co_await world.call("DELETE", "/api/groups/shop?volumes=true")).status, 202);
    EXPECT_EQ((co_await world.call("GET", "/api/volumes/shop_data")).text_at("status"), "deleting");
    EXPECT_EQ((co_await world.call("DELETE", "/api/groups/nobody")).status, 404);
}

TEST_F(ServerTest, AGroupIsDeletedWholeButForItsVolumesAndNeverUnderOthersFeet) {
    play(group_deletion);
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

TEST_F(ServerTest, DependenciesAreThereAndDontGoInCircles) {
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

TEST_F(ServerTest, AWorkspaceFromStartToDeletion) {
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

TEST_F(ServerTest, PatchesAreMergedAndChecked) {
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

TEST_F(ServerTest, AHostThatFallsSilentShowsNoGreenLight) {
    play(lights);
}

// --- who listens

Task<protocol::ControlMessage> next_of(net::WebSocket& socket) {
    auto message = co_await socket.read();
    co_return wire::from_json_text<protocol::ControlMessage>(message.value().data);
}

Task<std::string> realtime_health(World& world) {
    const auto host = co_await world.call("GET", "/api/hosts/host-1");
    co_return std::string(host.at("realtime").as_object().at("status").as_string());
}

// An agent that answers plans by hand.
Task<> answer_one_plan(World& world) {
    net::Request request{"GET", "/api/agent/realtime", world.as_agent(), ""};
    auto socket = co_await world.client().websocket(request, aio::Deadline::in(5s));
    protocol::ControlMessage control;
    while (control.type != protocol::ControlType::plan) control = co_await next_of(*socket);
    const auto path = fmt::format("/api/agent/plans/{}", control.id.value());
    EXPECT_EQ((co_await world.call("GET", path)).status, 401) << "a person's token";
    const auto asked = co_await world.call("GET", path, nullptr, world.as_agent());
    const auto question = wire::from_json<protocol::DesiredState>(asked.value);
    EXPECT_EQ(question.workspaces.at(0).name, "dev");
    EXPECT_EQ(question.networks.size(), 1U);
    const auto body = wire::parse(
        R"({"steps": [{"kind": "Workspace", "name": "dev", "action": "create_container",
            "reason": "is not there"}]})");
    EXPECT_EQ((co_await world.call("POST", path, body, world.as_agent())).status, 204);
}

Task<> plans(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    const auto documents = wire::parse(kDocuments);
    auto answer = co_await world.call("POST", "/api/apply?dry_run=true", documents);
    EXPECT_THAT(answer.text, HasSubstr("the host is not connected"));
    aio::TaskGroup agent(co_await asio::this_coro::executor);
    agent.spawn(answer_one_plan(world));
    for (int i = 0; i < 200 && answer.text.find("not connected") != answer.text.npos; ++i) {
        co_await aio::sleep(10ms);
        answer = co_await world.call("POST", "/api/apply?dry_run=true", documents);
    }
    co_await agent.join();
    const auto plans = wire::from_json<protocol::ApplyAnswer>(answer.value).plans.value();
    EXPECT_EQ(plans.at(0).host, "host-1");
    EXPECT_EQ(plans.at(0).plan.steps.at(0).action, "create_container");
    EXPECT_THAT((co_await world.call("GET", "/api/workspaces")).names(), IsEmpty());
    EXPECT_EQ((co_await world.call("GET", "/api/agent/plans/1", nullptr, world.as_agent())).status,
              404);
}

TEST_F(ServerTest, ADryRunTellsWhatTheAgentWouldDo) {
    play(plans);
}

Task<> realtime(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    net::Request request{"GET", "/api/agent/realtime", world.as_agent(), ""};
    auto socket = co_await world.client().websocket(request, aio::Deadline::in(5s));
    auto control = co_await next_of(*socket);
    EXPECT_EQ(control.type, protocol::ControlType::echo);
    control.type = protocol::ControlType::echo_reply;
    co_await socket->write(wire::to_json_text(control));
    for (int i = 0; i < 100 && co_await realtime_health(world) != "ok"; ++i)
        co_await aio::sleep(10ms);
    EXPECT_EQ(co_await realtime_health(world), "ok");
    co_await world.apply(kDocuments);
    control = co_await next_of(*socket);
    EXPECT_EQ(control.type, protocol::ControlType::nudge);
    EXPECT_EQ(control.revision, 1);
    co_await world.call("PATCH", "/api/hosts/host-1", wire::parse(R"({"enabled": false})"));
    control = co_await next_of(*socket);
    EXPECT_EQ(control.type, protocol::ControlType::settings);
    co_await socket->close();
    for (int i = 0; i < 100 && co_await realtime_health(world) == "ok"; ++i)
        co_await aio::sleep(10ms);
    EXPECT_EQ(co_await realtime_health(world), "unknown") << "of a disabled host";
}

TEST_F(ServerTest, AChangeIsNudgedOverTheRealtimeConnection) {
    play(realtime);
}

Task<std::string> read_events(World& world, net::Headers headers, std::string until) {
    headers.set("Authorization", "Bearer " + world.token);
    net::Request request{"GET", "/api/events", std::move(headers), ""};
    auto stream = co_await world.client().open(std::move(request), aio::Deadline::in(5s));
    std::string text;
    while (text.find(until) == text.npos) {
        auto reading = stream->read();
        text += co_await aio::with_deadline(std::move(reading), aio::Deadline::in(5s), "events");
    }
    co_return text;
}

std::string last_id(const std::string& text) {
    const auto begin = text.rfind("id: ") + 4;
    return text.substr(begin, text.find('\n', begin) - begin);
}

Task<> events(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    const auto greeting = co_await read_events(world, {}, "\n\n");
    EXPECT_THAT(greeting, HasSubstr("id: "));
    co_await world.apply(kDocuments);
    const net::Headers resume{{"Last-Event-ID", last_id(greeting)}};
    const auto text = co_await read_events(world, resume, "\"dev\"");
    EXPECT_THAT(text, HasSubstr("event: resource"));
    EXPECT_THAT(text, HasSubstr(R"("type":"created","kind":"Network")"));
    const net::Headers unknown{{"Last-Event-ID", "gone-1"}};
    EXPECT_THAT(co_await read_events(world, unknown, "\n\n"), HasSubstr("event: reset"));
}

TEST_F(ServerTest, EventsResumeWhereTheyBrokeOrSayThatTheyCant) {
    play(events);
}

// --- form

Task<> form(World& world) {
    EXPECT_EQ((co_await world.call("GET", "/api/nothing")).status, 404);
    const auto method = co_await world.call("DELETE", "/api/apply");
    EXPECT_EQ(method.status, 405);
    EXPECT_EQ(method.headers.get("Allow"), "POST");
    co_await world.log_in();
    co_await world.add_host();
    json::array many;
    for (int i = 10; i < 17; ++i) {
        many.emplace_back(json::object{{"kind", "Workspace"},
                                       {"name", fmt::format("w{}", i)},
                                       {"spec", json::object{{"image", "x"}}}});
    }
    co_await world.call("POST", "/api/apply", many);
    std::vector<std::string> names;
    std::string cursor;
    do {
        const auto page = co_await world.call("GET", "/api/workspaces?limit=3" + cursor);
        for (const auto& name : page.names()) names.push_back(name);
        const auto* next = page.value.as_object().if_contains("next_cursor");
        cursor = next == nullptr ? "" : "&cursor=" + std::string(next->as_string());
    } while (!cursor.empty());
    EXPECT_THAT(names, ElementsAre("w10", "w11", "w12", "w13", "w14", "w15", "w16"));
    EXPECT_EQ((co_await world.call("GET", "/api/workspaces?limit=5000")).status, 422);
    const auto metrics = co_await world.call("GET", "/metrics");
    EXPECT_THAT(metrics.text,
                HasSubstr(R"(trailer_resources{kind="workspace",status="deployment_pending"} 7)"));
}

TEST_F(ServerTest, ListsProblemsAndMetricsHaveTheirForm) {
    play(form);
}

}  // namespace
