#include "reconcile/schedule.h"

#include "reconcile/trial.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;
using testing::ElementsAre;

// Two workspaces, each with a network and a volume of its own.
protocol::DesiredState two() {
    auto desired = nothing_wanted();
    for (const std::string name : {"a", "b"}) {
        add_network(desired, name + "-net");
        add_volume(desired, name + "-vol");
        auto& spec = add_workspace(desired, name).spec;
        spec.networks = {{.network = name + "-net"}};
        spec.mounts = {{.volume = name + "-vol", .target = "/data"}};
    }
    return desired;
}

std::vector<std::string> names(const Plan& plan) {
    std::vector<std::string> list;
    for (const auto* step : in_order(plan)) list.push_back(step->name);
    return list;
}

Task<> look(FakeRuntime& engine, const WantedState& wanted, std::vector<std::string>& list) {
    Observer observer(engine, "");
    list = names(co_await plan_now(wanted, observer));
}

std::vector<std::string> names_now(Loop& loop, FakeRuntime& engine, const WantedState& wanted) {
    std::vector<std::string> list;
    loop.run(look(engine, wanted, list));
    return list;
}

TEST(Schedule, WhatAWorkspaceNeedsComesWithItAndNotWithItsKind) {
    const auto wanted = compile(two(), {});
    EXPECT_THAT(names(plan(wanted, {}, {}, now())),
                ElementsAre("a-net", "a-vol", "b-net", "b-vol"));
}

TEST(Schedule, AWorkspaceIsBroughtToItsEndBeforeTheNextIsBegun) {
    Loop loop;
    FakeRuntime engine(loop.executor());
    engine.add_image("image:1");
    const auto wanted = compile(two(), {});
    for (const auto& each : wanted.networks) engine.put_network(each.spec);
    engine.put_volume(wanted.volumes[1].spec);
    EXPECT_THAT(names_now(loop, engine, wanted), ElementsAre("a-vol", "b"));
}

TEST(Schedule, WhatAWorkspaceLeavesGoesBeforeTheNextWorkspaceIsStopped) {
    Loop loop;
    FakeRuntime engine(loop.executor());
    engine.add_image("image:1");
    auto desired = two();
    loop.run(settle_in_order(engine, desired));
    for (auto& each : desired.networks) each.deleting = true;
    for (auto& each : desired.volumes) each.deleting = true;
    for (auto& each : desired.workspaces) each.deleting = true;
    engine.delete_container("b");
    const auto wanted = compile(desired, {});
    EXPECT_THAT(names_now(loop, engine, wanted), ElementsAre("b-net", "b-vol", "a"));
}

TEST(Schedule, AStopLeavesItsPlaceToOthersOnceItOnlyWaits) {
    Room room(2);
    room.take(Load::engine);
    room.take(Load::stopping);
    EXPECT_FALSE(room.is_left(Load::engine));
    Room later(2);
    later.take(Load::engine);
    later.take(Load::stopping, Room::kBriefStop);
    EXPECT_TRUE(later.is_left(Load::engine));
    EXPECT_TRUE(later.is_left(Load::stopping));
}

TEST(Schedule, HalfOfWhatTheEngineDoesMayBeRemoving) {
    Room room(4);
    room.take(Load::removing);
    EXPECT_TRUE(room.is_left(Load::removing));
    room.take(Load::stopping);
    EXPECT_FALSE(room.is_left(Load::removing));
    EXPECT_FALSE(room.is_left(Load::stopping));
    EXPECT_TRUE(room.is_left(Load::engine));
    room.take(Load::engine);
    room.take(Load::engine);
    EXPECT_FALSE(room.is_left(Load::engine));
}

TEST(Schedule, LookingAtAnOutcomeAndWaitingForARegistryTakeNoPlaceOfTheEngines) {
    Room room(1);
    for (int i = 0; i < 3; ++i) {
        room.take(Load::looking);
        room.take(Load::pulling);
        room.take(Load::building);
    }
    EXPECT_TRUE(room.is_left(Load::engine));
    EXPECT_FALSE(room.is_left(Load::building));
}

}  // namespace
