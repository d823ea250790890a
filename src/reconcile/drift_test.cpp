// What someone changes behind our back is repaired, or told, as the workspace asks for.
#include "reconcile/planner_trial.h"
#include "reconcile/world.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;
using protocol::DriftPolicy;
using protocol::State;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class DriftTest : public PlannerTest {
  protected:
    DriftTest() {
        add_network(desired, "lab");
        auto& workspace = add_workspace(desired, "dev");
        workspace.spec.networks = {{.network = "lab"}};
        workspace.spec.drift = DriftPolicy::report;
        settle();
        desired.workspaces[0].applied_revision = desired.workspaces[0].revision;
    }
    std::string drift() {
        const auto plan = planned();
        EXPECT_THAT(plan.steps, IsEmpty());
        const auto found = plan.drift.find({Kind::workspace, "id-dev"});
        return found == plan.drift.end() ? "" : found->second;
    }
};

TEST_F(DriftTest, EveryKindIsToldAndLeft) {
    EXPECT_EQ(drift(), "");
    engine.set_limits("dev", {.pids = 7});
    EXPECT_THAT(drift(), HasSubstr("resources/pids: 7 -> none"));
    engine.set_limits("dev", {});
    engine.detach("dev", "lab");
    EXPECT_THAT(drift(), HasSubstr("lab: is not connected"));
    engine.pause_container("dev");
    EXPECT_THAT(drift(), HasSubstr("it was paused"));
    engine.kill_container("dev", 137);
    EXPECT_THAT(drift(), HasSubstr("it was stopped"));
    loop.run(engine.rename_container(engine.container("dev")->id, "elsewhere"));
    EXPECT_THAT(drift(), HasSubstr("its container was renamed"));
    engine.delete_container("elsewhere");
    EXPECT_EQ(drift(), "its container is gone");
}

TEST_F(DriftTest, ALimitThatSomeoneSetReplacesNothing) {
    engine.set_limits("dev", {.memory = 64 << 20});
    EXPECT_THAT(drift(), HasSubstr("resources/memory: 67108864 -> none"));
}

TEST_F(DriftTest, ADeadOneIsToldOnceWhateverItWouldTakeToMakeItAnew) {
    engine.leave_dead("dev");
    EXPECT_EQ(drift(), "container dev is dead, its container is gone");
    desired.workspaces[0].applied_revision = 0;
    engine.set_image_volume("image:1", "/data");
    settle();
    desired.workspaces[0].applied_revision = desired.workspaces[0].revision;
    engine.leave_dead("dev");
    EXPECT_EQ(drift(), "container dev is dead");
}

TEST_F(DriftTest, WhatIsWantedOtherwiseIsNoDrift) {
    desired.workspaces[0].redeploys = 1;
    EXPECT_EQ(planned().steps.at(0).action, Action::create_container);
    desired.workspaces[0].redeploys = 0;
    engine.delete_container("dev");
    ++desired.workspaces[0].revision;  // someone applied it
    EXPECT_EQ(planned().steps.at(0).action, Action::create_container);
    desired.workspaces[0].deleting = true;
    EXPECT_THAT(planned().drift, IsEmpty());
}

TEST_F(DriftTest, WhoDependsOnWhatIsGoneWaits) {
    auto& other = add_workspace(desired, "other");
    other.spec.depends_on = {{.workspace = "dev"}};
    engine.delete_container("dev");
    const auto plan = planned();
    EXPECT_THAT(actions(plan), ElementsAre(Action::create_container));
    EXPECT_EQ(plan.steps[0].name, "other");
    EXPECT_EQ((plan.waits.at({Kind::workspace, "id-other"}).second), "workspace dev");
}

TEST_F(DriftTest, WhatComesFromTheCacheRepairsNothingThatIsToBeTold) {
    desired.workspaces[0].applied_revision = 0;
    engine.delete_container("dev");
    EXPECT_EQ(planned().steps.at(0).action, Action::create_container);
    memory.from_cache = true;
    EXPECT_EQ(drift(), "its container is gone");
}

Task<> told_until_applied(World& world) {
    add_workspace(world.desired, "dev").spec.drift = DriftPolicy::report;
    world.apply();
    co_await world.until_status("dev", State::running);
    co_await world.until(
        [&] {
            const auto& observed = world.report(Kind::workspace, "dev")->observed;
            return observed.contains("applied_revision") &&
                   observed.at("applied_revision") == json::value(1);
        },
        "the revision that is in force to be told");
    world.engine.pause_container("dev");
    co_await world.until([&] { return world.messages("dev") != ""; }, "a word");
    EXPECT_EQ(world.status("dev"), State::running);
    EXPECT_THAT(world.messages("dev"), HasSubstr("was changed on the host: it was paused"));
    world.engine.kill_container("dev", 137);
    co_await world.until_status("dev", State::stopped);
    EXPECT_THAT(world.messages("dev"), HasSubstr("was changed on the host: it was stopped"));
    EXPECT_TRUE(world.report(Kind::workspace, "dev")->observed.contains("drift"));
    world.engine.delete_container("dev");
    co_await world.until_status("dev", State::error);
    co_await aio::sleep(20ms);
    EXPECT_EQ(world.engine.container("dev"), nullptr);
    world.change(world.desired.workspaces[0]);
    co_await world.until_status("dev", State::running);
    EXPECT_EQ(world.messages("dev"), "");
}

TEST(DriftReportTest, ItIsToldUntilSomeoneAppliesTheWorkspaceAgain) {
    World world;
    world.play(told_until_applied(world));
}

}  // namespace
