#include "reconcile/wanted.h"

#include <gmock/gmock.h>

#include "reconcile/trial.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;

// That it comes out the same is a property (property_test.cpp); this is what makes it cheap.
TEST(CompileTest, WhatHasNotChangedIsShared) {
    auto desired = nothing_wanted();
    for (const std::string name : {"a", "b", "c"}) {
        add_network(desired, "net-" + name);
        add_volume(desired, "vol-" + name);
        add_workspace(desired, "ws-" + name).spec.mounts = {
            {.volume = "vol-" + name, .target = "/data"}};
    }
    const auto before = compile(desired, {});
    ++desired.workspaces[1].revision;
    const auto after = compile(desired, {}, before);
    EXPECT_EQ(&after.workspaces[0], &before.workspaces[0]);
    EXPECT_NE(&after.workspaces[1], &before.workspaces[1]);
    EXPECT_EQ(after.workspaces[1].revision, before.workspaces[1].revision + 1);
    EXPECT_EQ(&after.workspaces[2], &before.workspaces[2]);
    EXPECT_EQ(&after.networks[2], &before.networks[2]);

    desired.networks.erase(desired.networks.begin());
    const auto last = compile(desired, {}, after);
    EXPECT_EQ(&last.networks[1], &after.networks[2]) << "another place, the same network";
    EXPECT_NE(&last.workspaces[2], &after.workspaces[2]) << "the network may have been its own";
    EXPECT_EQ(last, compile(desired, {}));
}

}  // namespace
