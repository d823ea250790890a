// Compose files and groups, as the command line sends and shows them.
#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "client/play.h"
#include "protocol/api.h"
#include "wire/json.h"

namespace trailer::client {
namespace {

using protocol::Kind;
using protocol::ResourceView;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
namespace json = boost::json;

std::string page(const std::vector<ResourceView>& items) {
    json::array list;
    for (const auto& each : items) list.push_back(wire::to_json(each));
    return json::serialize(json::object{{"items", list}});
}

ResourceView member(Kind kind, const std::string& name, protocol::State status) {
    return {.kind = kind,
            .id = "id-" + name,
            .name = name,
            .host = "host-1",
            .group = "shop",
            .status = status};
}

protocol::GroupView shop() {
    return {.name = "shop",
            .hosts = {"host-1"},
            .states = {{"error", 1}, {"running", 2}},
            .workspaces = 3,
            .networks = 1,
            .volumes = 1};
}

class GroupTest : public VerbTest {
  protected:
    void SetUp() override { log_in(); }

    void have_members() {
        api.on("GET /api/workspaces?limit=1000&group=shop",
               page({member(Kind::workspace, "shop-web", protocol::State::running)}));
        api.on("GET /api/networks?limit=1000&group=shop",
               page({member(Kind::network, "shop_default", protocol::State::created)}));
        api.on("GET /api/volumes?limit=1000&group=shop",
               page({member(Kind::volume, "shop_data", protocol::State::created)}));
        api.on("GET /api/images?limit=1000&group=shop", page({}));
    }

    const std::string compose_ =
        "name: shop\nservices:\n  web:\n    image: x:${TAG_OF_TEST:-1}\n    volumes: [data:/d]\n"
        "volumes: {data: }\n";
};

TEST_F(GroupTest, AComposeFileIsSentAsDocumentsOfItsGroup) {
    api.on("POST /api/apply", wire::to_json_text(protocol::ApplyAnswer()));
    const auto file = write("compose.yaml", compose_);
    const auto done = run({"apply", "-f", file, "--host", "gpu-1"});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    const auto sent = wire::parse(api.last().body).as_array();
    ASSERT_EQ(sent.size(), 3U);
    EXPECT_EQ(sent[0], wire::parse(R"({"kind": "Network", "name": "shop_default", "host": "gpu-1",
                                       "group": "shop", "spec": {}})"));
    EXPECT_EQ(sent[1].at("name"), "shop_data");
    EXPECT_EQ(sent[2].at("spec").at("image"), "x:1");
}

TEST_F(GroupTest, DocumentsAndComposeFilesGoTogetherAndFlagsFillInWhatIsMissing) {
    api.on("POST /api/apply?prune=true", wire::to_json_text(protocol::ApplyAnswer()));
    const auto own =
        write("own.yaml", "kind: Volume\nname: one\n---\nkind: Volume\nname: two\ngroup: other\n");
    const auto file = write("compose.yaml", compose_);
    const auto done = run({"apply", "-f", own, "-f", file, "--group", "mine", "--prune"});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    const auto sent = wire::parse(api.last().body).as_array();
    EXPECT_EQ(sent[0].at("group"), "mine");
    EXPECT_EQ(sent[1].at("group"), "other");
    EXPECT_EQ(sent[2].at("name"), "mine_default");
}

TEST_F(GroupTest, WhatIsNotSupportedStopsAllUnlessToldOtherwise) {
    const auto file = write("compose.yaml", compose_ + "secrets: {s: {file: s}}\n");
    const auto refused = run({"apply", "-f", file});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, AllOf(HasSubstr(file + ":7:1: secrets: is not supported"),
                                      HasSubstr("--ignore-unsupported")));
    EXPECT_THAT(api.calls(), IsEmpty());
    api.on("POST /api/apply", wire::to_json_text(protocol::ApplyAnswer()));
    const auto done = run({"apply", "-f", file, "--ignore-unsupported"});
    EXPECT_EQ(done.exit_code, 0);
    EXPECT_THAT(done.errors, HasSubstr("warning: " + file + ":7:1: secrets"));
}

TEST_F(GroupTest, WhatIsNoYamlIsToldWithItsFile) {
    const auto file = write("compose.yaml", "services:\n  web: {<<: text}\n");
    const auto done = run({"apply", "-f", file});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.errors, HasSubstr(file + ":2:9: expected a map, or a list of maps"));
}

TEST_F(GroupTest, TheServersFaultsAreShownWhereTheComposeFileHasThem) {
    api.refuse("POST /api/apply", 422, "the input is at fault",
               {{"/2/spec/image", "is not to be had"}, {"/2/spec/mounts/0/volume", "is gone"}});
    const auto file = write("compose.yaml", compose_);
    const auto done = run({"apply", "-f", file});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.errors, AllOf(HasSubstr(file + ":4:5: /spec/image: is not to be had"),
                                   HasSubstr(file + ":5:15: /spec/mounts/0/volume: is gone")));
}

TEST_F(GroupTest, WhatIsLeftOverIsTold) {
    protocol::ApplyAnswer answer;
    answer.left_over = {{Kind::workspace, "shop-old", "id"}};
    api.on("POST /api/apply", wire::to_json_text(answer));
    EXPECT_THAT(run({"apply", "-f", write("compose.yaml", compose_)}).errors,
                HasSubstr("workspace/shop-old is in the group"));
}

TEST_F(GroupTest, GroupsAreListedAndDescribed) {
    const json::object list{{"items", json::array{wire::to_json(shop())}}};
    api.on("GET /api/groups?limit=1000", json::serialize(list));
    const auto table = run({"get", "groups"});
    EXPECT_THAT(table.output, AllOf(HasSubstr("WORKSPACES"), HasSubstr("1 error,2 running")));
    EXPECT_EQ(run({"get", "groups", "-o", "name"}).output, "shop\n");
    api.on("GET /api/groups/shop", wire::to_json_text(shop()));
    have_members();
    const auto described = run({"describe", "group/shop"});
    EXPECT_EQ(described.exit_code, 0) << described.errors;
    EXPECT_THAT(described.output, AllOf(HasSubstr("Group shop"), HasSubstr("shop_default"),
                                        HasSubstr("shop_data"), HasSubstr("shop-web")));
}

TEST_F(GroupTest, AListIsOfOneGroupWhereThatIsAskedFor) {
    have_members();
    EXPECT_EQ(run({"get", "ws", "--group", "shop", "-o", "name"}).output, "shop-web\n");
    EXPECT_EQ(run({"get", "hosts", "--group", "shop"}).exit_code, 2);
    EXPECT_EQ(run({"get", "ws", "dev", "--group", "shop"}).exit_code, 2);
}

TEST_F(GroupTest, AGroupIsDeletedWithoutItsVolumesUnlessTheyAreNamed) {
    have_members();
    api.on("DELETE /api/groups/shop", wire::to_json_text(shop()));
    const auto kept = run({"delete", "group", "shop"});
    EXPECT_EQ(kept.exit_code, 0) << kept.errors;
    EXPECT_EQ(kept.output,
              "workspace/shop-web deleted\nnetwork/shop_default deleted\n"
              "volume/shop_data kept; --volumes deletes it too\n");
    api.on("DELETE /api/groups/shop?volumes=true", wire::to_json_text(shop()));
    EXPECT_THAT(run({"delete", "group", "shop", "--volumes"}).output,
                HasSubstr("volume/shop_data deleted"));
    EXPECT_EQ(run({"delete", "ws", "dev", "--volumes"}).exit_code, 2);
}

TEST_F(GroupTest, DeletingByAComposeFileKeepsItsVolumes) {
    const auto file = write("compose.yaml", compose_);
    api.on("DELETE /api/workspaces/shop-web", "");
    api.on("DELETE /api/networks/shop_default", "");
    api.say({});
    const auto done = run({"delete", "-f", file});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_THAT(done.output,
                AllOf(HasSubstr("workspace/shop-web deleted"),
                      HasSubstr("network/shop_default deleted"), Not(HasSubstr("volume"))));
}

}  // namespace
}  // namespace trailer::client
