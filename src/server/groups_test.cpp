// Groups of resources.
#include "server/trial.h"

namespace {

using namespace trailer;
using namespace trailer::server;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class GroupTest : public WorldTest {};

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

TEST_F(GroupTest, AGroupIsThereWhileSomethingIsInIt) {
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
    for (const auto& group : {json::value("play"), json::value(nullptr)}) {
        json::object patch{{"group", group}};
        EXPECT_EQ((co_await world.call("PATCH", "/api/workspaces/dev", patch)).status, 200);
    }
    EXPECT_THAT((co_await world.call("GET", "/api/groups")).names(), IsEmpty()) << "null is none";
    EXPECT_EQ((co_await world.call("GET", "/api/workspaces/dev")).at("revision"), revision);
    answer = co_await world.apply(R"([{"kind": "Volume", "name": "data", "group": "-"}])");
    EXPECT_THAT(answer.pointers(), ElementsAre("/0/group"));
}

TEST_F(GroupTest, AResourceJoinsAGroupAndLeavesItButIsNeverTakenFromAnother) {
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

TEST_F(GroupTest, WhatAGroupHasBeyondItsDocumentsIsToldAndPrunedOnlyWhenAskedFor) {
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

TEST_F(GroupTest, AGroupIsDeletedWholeButForItsVolumesAndNeverUnderOthersFeet) {
    play(group_deletion);
}

}  // namespace
