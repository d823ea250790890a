#include "agent/desired_copy.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace {

using namespace trailer;
using namespace trailer::agent;
using protocol::DesiredAnswer;

protocol::DesiredWorkspace workspace(const std::string& id, std::int64_t revision = 1) {
    protocol::DesiredWorkspace made;
    made.id = id;
    made.name = "name-of-" + id;
    made.revision = revision;
    return made;
}

DesiredAnswer whole(std::int64_t revision, const std::vector<std::string>& ids) {
    DesiredAnswer answer;
    answer.host_id = "host";
    answer.history = "one";
    answer.revision = revision;
    for (const auto& id : ids) answer.workspaces.push_back(workspace(id));
    return answer;
}

DesiredAnswer changes(std::int64_t since) {
    DesiredAnswer answer;
    answer.host_id = "host";
    answer.history = "one";
    answer.since = since;
    answer.revision = since + 1;
    return answer;
}

TEST(DesiredCopy, ChangesGiveWhatTheWholeWouldHave) {
    DesiredCopy copy;
    EXPECT_LT(copy.revision(), 0);
    copy.take(whole(1, {"b", "d"}));
    auto answer = changes(1);
    answer.workspaces = {workspace("a"), workspace("d", 2), workspace("c"), workspace("e")};
    answer.networks.emplace_back().id = "n";
    answer.removed = {"b", "never-was-here"};
    copy.take(std::move(answer));
    auto expected = whole(2, {"a", "c", "d", "e"});
    expected.workspaces[2].revision = 2;
    expected.networks.emplace_back().id = "n";
    EXPECT_EQ(copy.state(), static_cast<const protocol::DesiredState&>(expected));
    EXPECT_EQ(copy.revision(), 2);
    EXPECT_EQ(copy.history(), "one");
    copy.take(whole(7, {}));
    EXPECT_TRUE(copy.state().workspaces.empty());
    EXPECT_TRUE(copy.state().networks.empty());
}

TEST(DesiredCopy, WhatChangedSinceAnotherRevisionIsNotTakenAndTheWholeIsAskedFor) {
    DesiredCopy copy;
    copy.take(whole(5, {"a"}));
    EXPECT_THROW(copy.take(changes(4)), Error);
    EXPECT_EQ(copy.state().workspaces.size(), 1U);
    EXPECT_LT(copy.revision(), 0);
    copy.take(whole(6, {"b"}));
    EXPECT_EQ(copy.state().workspaces.at(0).id, "b");
}

}  // namespace
