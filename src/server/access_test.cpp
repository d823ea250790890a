// Who may what: users, roles on resources, permissions on hosts, and what of it all they are shown.
#include "server/trial.h"

namespace {

using namespace trailer;
using namespace trailer::server;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

constexpr const char* kPassword = "a long password";

class AccessTest : public WorldTest {};

Task<std::string> log_in_as(World& world, std::string username) {
    json::object request{{"username", username}, {"password", kPassword}};
    const auto answer = co_await world.call("POST", "/api/auth/login", std::move(request));
    EXPECT_EQ(answer.status, 200) << answer.text;
    co_return answer.text_at("token");
}

// The token of a new user without any rights.
Task<std::string> make_user(World& world, std::string username) {
    json::object request{{"username", username}, {"password", kPassword}};
    const auto made = co_await world.call("POST", "/api/users", std::move(request));
    EXPECT_EQ(made.status, 201) << made.text;
    co_return co_await log_in_as(world, username);
}

net::Headers as(const std::string& token) {
    return {{"Authorization", "Bearer " + token}};
}

Task<int> grant(World& world, std::string subject, std::string user, std::string role) {
    json::object body{{"role", role}};
    const auto path = fmt::format("/api/{}/grants/{}", subject, user);
    co_return (co_await world.call("PUT", path, std::move(body))).status;
}

Task<int> grant_host(World& world, std::string user, json::array permissions) {
    json::object body{{"permissions", std::move(permissions)}};
    const auto path = "/api/hosts/host-1/grants/" + user;
    co_return (co_await world.call("PUT", path, std::move(body))).status;
}

constexpr const char* kLab = R"([
  {"kind": "Network", "name": "lab", "spec": {"subnet": "10.1.0.0/24"}},
  {"kind": "Network", "name": "other", "spec": {"subnet": "10.2.0.0/24"}},
  {"kind": "Volume", "name": "data"},
  {"kind": "Volume", "name": "secret"},
  {"kind": "Workspace", "name": "dev", "spec": {"image": "busybox",
   "networks": [{"network": "lab"}], "mounts": [{"volume": "data", "target": "/data"}]}},
  {"kind": "Workspace", "name": "hidden", "spec": {"image": "busybox"}}])";

Task<> set_up(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    const auto applied = co_await world.apply(kLab);
    EXPECT_EQ(applied.status, 200) << applied.text;
}

Task<> stranger(World& world) {
    co_await set_up(world);
    const auto eve = as(co_await make_user(world, "eve"));
    for (const auto* path : {"/api/hosts", "/api/workspaces", "/api/networks", "/api/volumes",
                             "/api/images", "/api/groups", "/api/audit"}) {
        const auto answer = co_await world.call("GET", path, nullptr, eve);
        EXPECT_EQ(answer.status, 200) << path;
        EXPECT_THAT(answer.at("items").as_array(), IsEmpty()) << path;
    }
    for (const auto* path : {"/api/hosts/host-1", "/api/workspaces/dev", "/api/networks/lab",
                             "/api/workspaces/dev/grants", "/api/hosts/host-1/grants"}) {
        EXPECT_EQ((co_await world.call("GET", path, nullptr, eve)).status, 404) << path;
    }
    for (const auto* path : {"/api/users", "/api/users/admin", "/api/users/admin/grants"}) {
        EXPECT_EQ((co_await world.call("GET", path, nullptr, eve)).status, 403) << path;
    }
    const json::object nothing;
    EXPECT_EQ((co_await world.call("PATCH", "/api/hosts/host-1", nothing, eve)).status, 404);
    EXPECT_EQ((co_await world.call("DELETE", "/api/workspaces/dev", nullptr, eve)).status, 404);
    EXPECT_EQ((co_await world.call("POST", "/api/workspaces/dev/stop", nullptr, eve)).status, 404);
    const auto taken = co_await world.call("POST", "/api/apply",
                                           wire::parse(R"([{"kind": "Workspace", "name": "dev",
        "spec": {"image": "busybox"}}])"),
                                           eve);
    EXPECT_EQ(taken.status, 422);
    EXPECT_THAT(taken.pointers(), testing::Contains("/0/name"));
    EXPECT_EQ((co_await world.call("GET", "/api/users/eve/grants", nullptr, eve)).status, 200);
}

TEST_F(AccessTest, WhoWasGrantedNothingSeesNothing) {
    play(stranger);
}

Task<> roles(World& world) {
    co_await set_up(world);
    const auto eve = as(co_await make_user(world, "eve"));
    const auto path = std::string("/api/workspaces/dev");
    EXPECT_EQ(co_await grant(world, "workspaces/dev", "nobody", "viewer"), 404);
    EXPECT_EQ(co_await grant(world, "workspaces/dev", "eve", "king"), 422);
    EXPECT_EQ(co_await grant(world, "workspaces/dev", "eve", "viewer"), 200);
    // What the workspace uses comes with it, and nothing else.
    for (const auto& [list, names] : {std::pair("hosts", std::vector<std::string>{"host-1"}),
                                      std::pair("workspaces", std::vector<std::string>{"dev"}),
                                      std::pair("networks", std::vector<std::string>{"lab"}),
                                      std::pair("volumes", std::vector<std::string>{"data"})}) {
        const auto answer = co_await world.call("GET", fmt::format("/api/{}", list), nullptr, eve);
        EXPECT_EQ(answer.names(), names);
    }
    const json::value change = json::object{{"spec", json::object{{"hostname", "x"}}}};
    const auto refused = co_await world.call("PATCH", path, change, eve);
    EXPECT_EQ(refused.status, 403);
    EXPECT_THAT(refused.text_at("detail"), HasSubstr("the right to modify it"));
    EXPECT_EQ((co_await world.call("POST", path + "/stop", nullptr, eve)).status, 403);

    EXPECT_EQ(co_await grant(world, "workspaces/dev", "eve", "editor"), 200);
    EXPECT_EQ((co_await world.call("PATCH", path, change, eve)).status, 200);
    EXPECT_EQ((co_await world.call("POST", path + "/stop", nullptr, eve)).status, 202);
    EXPECT_EQ((co_await world.call("DELETE", path, nullptr, eve)).status, 403);
    EXPECT_EQ((co_await world.call("GET", path + "/grants", nullptr, eve)).status, 403);
    EXPECT_EQ((co_await world.call("PATCH", "/api/hosts/host-1", json::object(), eve)).status, 403);

    EXPECT_EQ(co_await grant(world, "workspaces/dev", "eve", "manager"), 200);
    EXPECT_EQ((co_await world.call("GET", path + "/grants", nullptr, eve)).status, 200);
    EXPECT_EQ((co_await world.call("DELETE", path, nullptr, eve)).status, 202);
}

TEST_F(AccessTest, EachRoleMayWhatTheOneBeforeItMayAndMore) {
    play(roles);
}

Task<> permissions(World& world) {
    co_await set_up(world);
    const auto eve = as(co_await make_user(world, "eve"));
    const auto apply = [&](std::string documents) {
        return world.call("POST", "/api/apply", wire::parse(documents), eve);
    };
    EXPECT_EQ(co_await grant_host(world, "eve", {}), 422);
    EXPECT_EQ(co_await grant_host(world, "eve", {"view"}), 200);
    const auto* const plain = R"([{"kind": "Workspace", "name": "mine",
        "spec": {"image": "busybox"}}])";
    auto answer = co_await apply(plain);
    EXPECT_EQ(answer.status, 403);
    EXPECT_THAT(answer.text_at("detail"), HasSubstr("create_workspaces on host host-1"));
    EXPECT_EQ(co_await grant_host(world, "eve", {"create_workspaces"}), 200);
    EXPECT_EQ((co_await apply(plain)).status, 200);
    const auto mine = co_await world.call("GET", "/api/workspaces/mine", nullptr, eve);
    EXPECT_EQ(mine.text_at("owner"), "eve");

    answer = co_await apply(R"([{"kind": "Workspace", "name": "mine", "spec": {"image": "busybox",
        "mounts": [{"volume": "secret", "target": "/s"}, {"bind": "/etc", "target": "/e"}],
        "networks": [{"network": "other"}]}}])");
    EXPECT_EQ(answer.status, 403);
    EXPECT_THAT(answer.text_at("detail"),
                testing::AllOf(HasSubstr("/0/spec/mounts/0/volume"), HasSubstr("volume_mounts"),
                               HasSubstr("/0/spec/mounts/1/bind"), HasSubstr("bind_mounts"),
                               HasSubstr("/0/spec/networks/0")));
    // The permission to mount is none to mount what is another's.
    co_await grant_host(world, "eve", {"create_workspaces", "volume_mounts", "bind_mounts"});
    const auto* const secret = R"([{"kind": "Workspace", "name": "mine", "spec": {
        "image": "busybox", "mounts": [{"volume": "secret", "target": "/s"}]}}])";
    EXPECT_EQ((co_await apply(secret)).status, 403);
    EXPECT_EQ(co_await grant(world, "volumes/secret", "eve", "viewer"), 200);
    EXPECT_EQ((co_await apply(secret)).status, 403);
    EXPECT_EQ((co_await apply(R"([{"kind": "Workspace", "name": "mine", "spec": {
        "image": "busybox",
        "mounts": [{"volume": "secret", "target": "/s", "read_only": true}]}}])"))
                  .status,
              200);
    EXPECT_EQ(co_await grant(world, "volumes/secret", "eve", "editor"), 200);
    EXPECT_EQ((co_await apply(secret)).status, 200);
    answer = co_await apply(R"([{"kind": "Network", "name": "n"}])");
    EXPECT_EQ(answer.status, 403);
    EXPECT_THAT(answer.text_at("detail"), HasSubstr("create_networks"));
}

TEST_F(AccessTest, AHostsPermissionsBoundWhatIsMadeThere) {
    play(permissions);
}

Task<> all_or_nothing(World& world) {
    co_await set_up(world);
    const auto eve = as(co_await make_user(world, "eve"));
    co_await grant_host(world, "eve", {"create_workspaces"});
    co_await grant(world, "workspaces/dev", "eve", "viewer");
    const auto answer = co_await world.call(
        "POST", "/api/apply",
        wire::parse(R"([{"kind": "Workspace", "name": "mine", "spec": {"image": "busybox"}},
                        {"kind": "Workspace", "name": "dev", "spec": {"image": "alpine"}}])"),
        eve);
    EXPECT_EQ(answer.status, 403);
    EXPECT_EQ((co_await world.call("GET", "/api/workspaces/mine")).status, 404);
}

TEST_F(AccessTest, ARequestThatMayNotBeDoneWholeIsNotDoneInPart) {
    play(all_or_nothing);
}

Task<> groups(World& world) {
    co_await set_up(world);
    co_await world.apply(R"([{"kind": "Workspace", "name": "front", "group": "shop",
                              "spec": {"image": "busybox"}},
                             {"kind": "Workspace", "name": "back", "group": "shop",
                              "spec": {"image": "busybox"}}])");
    const auto eve = as(co_await make_user(world, "eve"));
    EXPECT_EQ((co_await world.call("GET", "/api/groups/shop", nullptr, eve)).status, 404);
    co_await grant(world, "workspaces/front", "eve", "manager");
    const auto seen = co_await world.call("GET", "/api/groups/shop", nullptr, eve);
    EXPECT_EQ(seen.at("workspaces").as_int64(), 1);
    EXPECT_EQ((co_await world.call("DELETE", "/api/groups/shop", nullptr, eve)).status, 403);
    EXPECT_EQ((co_await world.call("GET", "/api/workspaces/front", nullptr, eve)).text_at("status"),
              "deployment_pending");
    co_await grant(world, "workspaces/back", "eve", "manager");
    EXPECT_EQ((co_await world.call("DELETE", "/api/groups/shop", nullptr, eve)).status, 202);
}

TEST_F(AccessTest, AGroupIsShownAsFarAsItsMembersAre) {
    play(groups);
}

// What comes on the feed until `what` does.
Task<> listen(World* world, net::Headers headers, std::string what, std::string* text) {
    net::Request request{"GET", "/api/events", std::move(headers), ""};
    const auto stream = co_await world->client().open(std::move(request), aio::Deadline::in(5s));
    while (text->find(what) == text->npos) {
        auto reading = stream->read();
        const auto piece =
            co_await aio::with_deadline(std::move(reading), aio::Deadline::in(5s), "events");
        EXPECT_FALSE(piece.empty()) << *text;
        if (piece.empty()) break;
        *text += piece;
    }
}

Task<> events(World& world) {
    co_await set_up(world);
    const auto eve = as(co_await make_user(world, "eve"));
    const auto before = co_await world.call("GET", "/api/workspaces/dev");
    co_await grant(world, "workspaces/dev", "eve", "viewer");
    std::string seen;
    aio::TaskGroup listening(co_await asio::this_coro::executor);
    listening.spawn(listen(&world, eve, R"("name":"dev","resource":null)", &seen));
    while (seen.empty()) co_await aio::sleep(5ms);
    co_await world.call("POST", "/api/workspaces/hidden/stop");
    co_await world.call("POST", "/api/workspaces/dev/stop");
    co_await world.call("DELETE", "/api/workspaces/dev");
    co_await world.report("Workspace", before.text_at("id"), 3, "deleted");
    co_await listening.join();
    EXPECT_THAT(seen, HasSubstr(R"("status":"stopping")"));
    EXPECT_THAT(seen, Not(HasSubstr(R"("name":"hidden")")));
}

TEST_F(AccessTest, EventsGoToThoseAloneWhoMaySeeTheirSubject) {
    play(events);
}

Task<> users(World& world) {
    co_await world.log_in();
    json::object wrong{{"username", "No Good"}, {"password", "short"}, {"role", "user"}};
    const auto refused = co_await world.call("POST", "/api/users", wrong);
    EXPECT_THAT(refused.pointers(), UnorderedElementsAre("/username", "/password"));
    const auto eve = as(co_await make_user(world, "eve"));
    json::object again{{"username", "eve"}, {"password", kPassword}};
    EXPECT_EQ((co_await world.call("POST", "/api/users", again)).status, 409);
    EXPECT_THAT((co_await world.call("GET", "/api/users")).at("items").as_array(),
                testing::SizeIs(2));
    EXPECT_EQ((co_await world.call("POST", "/api/users", again, eve)).status, 403);

    json::object user{{"role", "user"}};
    EXPECT_EQ((co_await world.call("PATCH", "/api/users/admin", user)).status, 409);
    EXPECT_EQ((co_await world.call("DELETE", "/api/users/admin")).status, 409);
    json::object admin{{"role", "admin"}};
    EXPECT_EQ((co_await world.call("PATCH", "/api/users/eve", admin)).status, 200);
    EXPECT_EQ((co_await world.call("GET", "/api/users", nullptr, eve)).status, 200);

    json::object fresh{{"password", "another long one"}};
    EXPECT_EQ((co_await world.call("PATCH", "/api/users/eve", fresh)).status, 200);
    EXPECT_EQ((co_await world.call("GET", "/api/auth/me", nullptr, eve)).status, 401);
    EXPECT_EQ((co_await world.call("DELETE", "/api/users/eve")).status, 204);
    EXPECT_EQ((co_await world.call("GET", "/api/users/eve")).status, 404);
}

TEST_F(AccessTest, AdminsManageUsersAndOneAlwaysStays) {
    play(users);
}

Task<> kept(World& world) {
    co_await set_up(world);
    const auto token = co_await make_user(world, "eve");
    co_await grant_host(world, "eve", {"create_workspaces"});
    co_await grant(world, "workspaces/dev", "eve", "editor");
    co_await world.call("POST", "/api/apply", wire::parse(R"([{"kind": "Workspace", "name": "mine",
                                         "spec": {"image": "busybox"}}])"),
                        as(token));
    co_await world.restart();
    const auto list = co_await world.call("GET", "/api/workspaces", nullptr, as(token));
    EXPECT_THAT(list.names(), ElementsAre("dev", "mine"));
    const auto grants = co_await world.call("GET", "/api/users/eve/grants");
    EXPECT_THAT(grants.at("items").as_array(), testing::SizeIs(2)) << grants.text;
    EXPECT_EQ((co_await world.call("DELETE", "/api/workspaces/dev/grants/eve")).status, 204);
    EXPECT_EQ((co_await world.call("DELETE", "/api/workspaces/dev/grants/eve")).status, 404);
    const auto left = co_await world.call("GET", "/api/workspaces", nullptr, as(token));
    EXPECT_THAT(left.names(), ElementsAre("mine"));
    co_await world.call("DELETE", "/api/users/eve");
    co_await world.restart();
    const auto mine = co_await world.call("GET", "/api/workspaces/mine");
    EXPECT_EQ(mine.text_at("owner"), "");
}

TEST_F(AccessTest, RightsOutliveTheServerAndGoWithTheUser) {
    play(kept);
}

}  // namespace
