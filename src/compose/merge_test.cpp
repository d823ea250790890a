#include "compose/merge.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace {

using namespace trailer;
using namespace trailer::compose;
using testing::ElementsAre;
using testing::HasSubstr;

Node tree(std::string_view text) {
    return parse_tree("f.yaml", text).at(0);
}

std::vector<std::string> texts(const Node* list) {
    std::vector<std::string> all;
    if (list == nullptr) return {"(none)"};
    for (const auto& item : list->items) all.push_back(item.text);
    for (const auto& [name, member] : list->members) all.push_back(name + "=" + member.text);
    return all;
}

Node merged_web(std::string_view base, std::string_view over) {
    const auto in_web = [](std::string_view text) {
        return tree(fmt::format("services:\n  web: {}\n", text));
    };
    auto whole = merge(in_web(base), in_web(over));
    drop_resets(whole);
    return *whole.find("services")->find("web");
}

TEST(Tree, KeepsPlacesPathsAndTexts) {
    const auto root = tree("services:\n  web:\n    ports:\n      - 8080:80\n    cpus: 1.10\n");
    const auto* web = root.find("services")->find("web");
    const auto& port = web->find("ports")->items.at(0);
    EXPECT_EQ(port.place, (Place{"f.yaml", 4, 9}));
    EXPECT_EQ(port.path, "services.web.ports[0]");
    EXPECT_EQ(port.text, "8080:80");
    EXPECT_EQ(web->find("cpus")->text, "1.10");
    EXPECT_EQ(web->find("cpus")->place.line, 5);
}

TEST(Tree, ResolvesAnchorsAndMergeKeys) {
    const auto root = tree(R"(
x-a: &a {image: one, user: "1"}
x-b: &b {image: two, command: run}
services:
  web:
    <<: [*a, *b]
    user: "2"
  db: *a
)");
    const auto* web = root.find("services")->find("web");
    EXPECT_EQ(web->find("user")->text, "2");
    EXPECT_EQ(web->find("image")->text, "one");
    EXPECT_EQ(web->find("image")->path, "services.web.image");
    EXPECT_EQ(web->find("image")->place.line, 2) << "where it was written";
    EXPECT_EQ(web->find("command")->text, "run");
    EXPECT_EQ(root.find("services")->find("db")->find("user")->text, "1");
}

TEST(Tree, TellsNullFromAnEmptyText) {
    const auto root = tree("a:\nb: ''\nc: ~\nd: 'null'\n");
    EXPECT_TRUE(root.find("a")->is_null());
    EXPECT_TRUE(root.find("b")->is_scalar());
    EXPECT_TRUE(root.find("c")->is_null());
    EXPECT_TRUE(root.find("d")->is_scalar());
}

std::string fault_of(const std::string& text) {
    try {
        parse_tree("f.yaml", text);
    } catch (const InvalidInput& e) {
        return e.errors().front().detail;
    }
    return "";
}

TEST(Tree, RefusesWhatIsNoHonestFile) {
    EXPECT_THAT(fault_of("a: 1\na: 2\n"), HasSubstr("line 2, column 1: the key \"a\""));
    EXPECT_THAT(fault_of("a: [1\n"), HasSubstr("line"));
    EXPECT_THAT(fault_of("a: {<<: 1}\n"), HasSubstr("to merge"));
    std::string bomb = "x0: &x0 [a,a,a,a,a,a,a,a,a,a]\n";
    for (int i = 1; i < 9; ++i) {
        bomb += fmt::format("x{0}: &x{0} [*x{1},*x{1},*x{1},*x{1},*x{1},*x{1},*x{1},*x{1}]\n", i,
                            i - 1);
    }
    EXPECT_THAT(fault_of(bomb), HasSubstr("too large"));
}

TEST(Tree, KnowsAComposeFileFromADocumentOfItsOwn) {
    EXPECT_TRUE(is_compose(tree("services: {}\n")));
    EXPECT_TRUE(is_compose(tree("volumes: {a: }\n")));
    EXPECT_FALSE(is_compose(tree("kind: Workspace\nname: services\n")));
    EXPECT_FALSE(is_compose(tree("name: x\nspec: {}\n")));
    EXPECT_FALSE(is_compose(tree("- services\n")));
}

TEST(Merge, MapsMeetListsGrowAndTheRestIsReplaced) {
    const auto web = merged_web("{image: a, ports: ['80:80'], dns: 1.1.1.1, user: u}",
                                "{image: b, ports: ['81:81', '80:80'], dns: [8.8.8.8]}");
    EXPECT_EQ(web.find("image")->text, "b");
    EXPECT_EQ(web.find("user")->text, "u");
    EXPECT_THAT(texts(web.find("ports")), ElementsAre("80:80", "81:81"));
    EXPECT_THAT(texts(web.find("dns")), ElementsAre("1.1.1.1", "8.8.8.8"));
}

TEST(Merge, CommandsAndTestsAreReplacedWhole) {
    const auto web = merged_web("{command: [a, b], healthcheck: {test: [CMD, x], retries: 3}}",
                                "{command: [c], healthcheck: {test: [CMD, y]}}");
    EXPECT_THAT(texts(web.find("command")), ElementsAre("c"));
    EXPECT_THAT(texts(web.find("healthcheck")->find("test")), ElementsAre("CMD", "y"));
    EXPECT_EQ(web.find("healthcheck")->find("retries")->text, "3");
}

TEST(Merge, AVolumeIsTheOneOfItsTarget) {
    const auto web = merged_web("{volumes: ['a:/x:ro', './b:/y', /z]}", "{volumes: ['c:/x', /z]}");
    EXPECT_THAT(texts(web.find("volumes")), ElementsAre("c:/x", "./b:/y", "/z"));
}

TEST(Merge, ShortAndLongFormsMeet) {
    const auto web =
        merged_web("{environment: [A=1, B=2], depends_on: [db], networks: [front], build: ./x}",
                   "{environment: {B: 3}, depends_on: {db: {condition: service_healthy}}, "
                   "networks: {back: {aliases: [w]}}, build: {args: {V: 1}}}");
    EXPECT_THAT(texts(web.find("environment")), ElementsAre("A=1", "B=3"));
    EXPECT_EQ(web.find("depends_on")->find("db")->find("condition")->text, "service_healthy");
    EXPECT_EQ(web.find("networks")->members.size(), 2U);
    EXPECT_EQ(web.find("build")->find("context")->text, "./x");
}

TEST(Merge, ResetTakesAwayAndOverrideReplaces) {
    const auto web = merged_web("{ports: ['80:80'], user: u, dns: [1.1.1.1]}",
                                "{ports: !reset [], user: !reset null, dns: !override [9.9.9.9]}");
    EXPECT_EQ(web.find("ports"), nullptr);
    EXPECT_EQ(web.find("user"), nullptr);
    EXPECT_THAT(texts(web.find("dns")), ElementsAre("9.9.9.9"));
}

}  // namespace
