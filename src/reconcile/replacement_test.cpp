// A container that can't change in place gives way to a new one: no name is lost, no kill leaves a
// mess, and what does not prove itself is rolled back, once.
#include "reconcile/planner_trial.h"
#include "reconcile/world.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;
using protocol::OnUnhealthy;
using protocol::State;
using runtime::ContainerHealth;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Ne;
using testing::Not;

class ReplacementTest : public PlannerTest {
  protected:
    // A workspace that runs, and another spec of it that is wanted.
    void start_and_change() {
        add_workspace(desired, "dev");
        settle();
        former = engine.container("dev")->id;
        engine.forget_calls();
        change();
    }
    void change() {
        auto& workspace = desired.workspaces[0];
        ++workspace.redeploys;
        ++workspace.revision;
    }
    void kill_after(std::size_t changes, bool* killed) {
        loop.run(try_until_killed(changes, killed));
    }
    // The new container, up to its start.
    void put_next(ContainerHealth health = ContainerHealth::none) {
        auto next = compile(desired, {}).workspaces[0].spec;
        next.name = "dev.next";
        loop.run(engine.stop_container(former, 1s));
        engine.put_container(next);
        if (health != ContainerHealth::none)
            engine.set_health("dev.next", health, "connection refused");
    }

    std::string former;

  private:
    Task<> try_until_killed(std::size_t changes, bool* killed) {
        *killed = co_await settle_until_killed(engine, desired, changes);
    }
};

TEST_F(ReplacementTest, WhatAnImagesVolumeHoldsGoesOnWithTheNewOneAndEndsWithTheLast) {
    engine.set_image_volume("image:1", "/data");
    start_and_change();
    const auto volumes = engine.container("dev")->anonymous_volumes;
    ASSERT_EQ(volumes.size(), 1U);
    for (int i = 0; i < 2; ++i) {
        settle();
        EXPECT_NE(engine.container("dev")->id, former);
        EXPECT_EQ(engine.container("dev")->anonymous_volumes, volumes);
        EXPECT_THAT(planned().steps, IsEmpty());
        change();
    }
    settle();
    EXPECT_EQ(engine.anonymous_volumes().size(), 1U) << "and no other was made";
    desired.workspaces[0].deleting = true;
    settle();
    EXPECT_THAT(engine.anonymous_volumes(), IsEmpty());
}

TEST_F(ReplacementTest, AMountOfItsOwnTakesThePlaceOfAnImagesVolume) {
    engine.set_image_volume("image:1", "/data");
    start_and_change();
    add_volume(desired, "data");
    desired.workspaces[0].spec.mounts = {{.volume = "data", .target = "/data"}};
    settle();
    EXPECT_THAT(engine.container("dev")->volumes, ElementsAre("data"));
    EXPECT_THAT(engine.anonymous_volumes(), IsEmpty());
}

TEST_F(ReplacementTest, TheNameIsFreeOnlyBetweenTwoRenames) {
    start_and_change();
    settle();
    std::vector<std::string> made;
    for (const auto& call : engine.calls()) {
        if (call.starts_with("rename") || call.starts_with("remove")) made.push_back(call);
    }
    EXPECT_THAT(made, ElementsAre("rename_container dev.former", "rename_container dev",
                                  "remove_container " + former));
}

TEST_F(ReplacementTest, KilledAfterEachOfItsChangesItGoesOn) {
    bool killed = true;
    for (std::size_t changes = 0; killed; ++changes) {
        desired = nothing_wanted();
        settle();
        start_and_change();
        kill_after(changes, &killed);
        EXPECT_FALSE(engine.container_names().empty()) << "after " << changes;
        settle();
        EXPECT_THAT(engine.container_names(), ElementsAre("dev")) << "after " << changes;
        EXPECT_NE(engine.container("dev")->id, former) << "after " << changes;
        EXPECT_EQ(engine.container("dev")->state, ContainerState::running) << "after " << changes;
        EXPECT_GE(changes, killed ? 0U : 6U) << "it has that many changes";
    }
}

TEST_F(ReplacementTest, ARollBackThatIsKilledAnywhereComesToTheSameEnd) {
    engine.add_image("broken:1");
    engine.exit_at_start("broken:1", 3);
    bool killed = true;
    for (std::size_t changes = 0; killed; ++changes) {
        desired = nothing_wanted();
        settle();
        start_and_change();
        desired.workspaces[0].spec.image = "broken:1";
        kill_after(changes, &killed);
        settle();
        EXPECT_THAT(engine.container_names(), ElementsAre("dev", "dev.failed"))
            << "after " << changes;
        EXPECT_EQ(engine.container("dev")->id, former) << "after " << changes;
        EXPECT_EQ(engine.container("dev")->state, ContainerState::running) << "after " << changes;
        EXPECT_EQ(engine.container("dev.failed")->state, ContainerState::exited);
    }
}

TEST_F(ReplacementTest, ASpecThatFailedIsToldAndNotTriedAgainUntilItChanges) {
    engine.add_image("broken:1");
    engine.exit_at_start("broken:1", 3);
    start_and_change();
    desired.workspaces[0].spec.image = "broken:1";
    settle();
    auto plan = planned();
    EXPECT_THAT(plan.steps, IsEmpty());
    EXPECT_THAT((plan.setbacks.at({Kind::workspace, "id-dev"})),
                testing::AllOf(HasSubstr("exit code 3"), HasSubstr("dev.failed")));
    ++desired.workspaces[0].revision;
    EXPECT_THAT(actions(planned()),
                ElementsAre(Action::remove_container, Action::create_container,
                            Action::start_replacement, Action::finish_replacement));
    desired.workspaces[0].spec.image = "image:1";
    settle();
    EXPECT_THAT(engine.container_names(), ElementsAre("dev"));
    EXPECT_NE(engine.container("dev")->id, former);
}

TEST_F(ReplacementTest, ARolledBackWorkspaceIsStillStoppedAndDeletedWhole) {
    engine.add_image("broken:1");
    engine.exit_at_start("broken:1", 3);
    start_and_change();
    desired.workspaces[0].spec.image = "broken:1";
    settle();
    desired.workspaces[0].running = false;
    settle();
    EXPECT_EQ(engine.container("dev")->state, ContainerState::exited);
    desired.workspaces[0].deleting = true;
    settle();
    EXPECT_THAT(engine.container_names(), IsEmpty());
}

TEST_F(ReplacementTest, TheFormerOneWaitsStoppedUntilTheNewOneIsHealthy) {
    start_and_change();
    desired.workspaces[0].spec.replace.on_unhealthy = OnUnhealthy::roll_back;
    put_next(ContainerHealth::starting);
    later = 10s;
    const auto plan = planned();
    EXPECT_THAT(plan.steps, IsEmpty());
    EXPECT_TRUE(plan.unproven.contains({Kind::workspace, "id-dev"}));
    ASSERT_TRUE(plan.look_again);
    EXPECT_EQ(*plan.look_again, *engine.container("dev.next")->started + 60s);
    engine.set_health("dev.next", ContainerHealth::healthy);
    EXPECT_THAT(actions(planned()), ElementsAre(Action::finish_replacement));
}

TEST_F(ReplacementTest, ANewOneThatTurnsUnhealthyOrTakesTooLongIsRolledBack) {
    start_and_change();
    desired.workspaces[0].spec.replace.on_unhealthy = OnUnhealthy::roll_back;
    put_next(ContainerHealth::starting);
    later = 61s;
    EXPECT_THAT(actions(planned()), ElementsAre(Action::roll_back));
    engine.set_health("dev.next", ContainerHealth::unhealthy, "connection refused");
    later = 1s;
    const auto plan = planned();
    ASSERT_THAT(actions(plan), ElementsAre(Action::roll_back));
    EXPECT_THAT(plan.steps[0].reason.text, HasSubstr("connection refused"));
    settle();
    EXPECT_EQ(engine.container("dev")->id, former);
    EXPECT_EQ(engine.container("dev")->state, ContainerState::running);
}

TEST_F(ReplacementTest, OneThatWasEndedFromOutsideIsStartedAgainAndOneThatFailedIsNot) {
    start_and_change();
    put_next();
    engine.kill_container("dev.next", 137);
    const auto* next = engine.container("dev.next");
    EXPECT_THAT(actions(planned()), ElementsAre(Action::roll_back));
    memory.interrupted[next->id] = next->started;
    const auto plan = planned();
    EXPECT_THAT(actions(plan), ElementsAre(Action::start_replacement, Action::finish_replacement));
    EXPECT_EQ(plan.steps[0].object, next->id);
    memory.interrupted[next->id] = *next->started - 1s;  // another run of it
    EXPECT_THAT(actions(planned()), ElementsAre(Action::roll_back));
}

TEST_F(ReplacementTest, OneThatAnEngineLeftDeadIsMadeAnew) {
    start_and_change();
    put_next();
    engine.leave_dead("dev.next");
    const auto dead = engine.container("dev.next")->id;
    EXPECT_EQ(actions(planned()).front(), Action::remove_container);
    settle();
    EXPECT_THAT(engine.container_names(), ElementsAre("dev"));
    EXPECT_THAT(engine.container("dev")->id, AllOf(Ne(former), Ne(dead)));
    EXPECT_EQ(engine.container("dev")->state, ContainerState::running);
    engine.leave_dead("dev");
    settle();
    EXPECT_EQ(engine.container("dev")->state, ContainerState::running);
}

TEST_F(ReplacementTest, OneThatIsPausedHasYetToProveItself) {
    start_and_change();
    put_next();
    engine.pause_container("dev.next");
    EXPECT_THAT(actions(planned()), ElementsAre(Action::unpause_container));
    settle();
    EXPECT_THAT(engine.container_names(), ElementsAre("dev"));
    EXPECT_NE(engine.container("dev")->id, former);
}

// Wherever it is killed: the one that has the volumes stays until the other has them.
TEST_F(ReplacementTest, WhatIsMadeAnewKeepsWhatItsImagesVolumeHolds) {
    engine.set_image_volume("image:1", "/data");
    bool killed = true;
    for (std::size_t changes = 0; killed; ++changes) {
        desired = nothing_wanted();
        settle();
        add_workspace(desired, "dev");
        settle();
        const auto dead = engine.container("dev")->id;
        const auto volumes = engine.container("dev")->anonymous_volumes;
        ASSERT_EQ(volumes.size(), 1U);
        engine.leave_dead("dev");
        EXPECT_THAT(actions(planned()),
                    ElementsAre(Action::create_container, Action::remove_container,
                                Action::rename_container, Action::start_container));
        kill_after(changes, &killed);
        settle();
        EXPECT_THAT(engine.container_names(), ElementsAre("dev")) << "after " << changes;
        EXPECT_NE(engine.container("dev")->id, dead) << "after " << changes;
        EXPECT_EQ(engine.container("dev")->state, ContainerState::running) << "after " << changes;
        EXPECT_EQ(engine.container("dev")->anonymous_volumes, volumes) << "after " << changes;
        EXPECT_EQ(engine.anonymous_volumes().size(), 1U) << "after " << changes;
        EXPECT_GE(changes, killed ? 0U : 4U) << "it has that many changes";
    }
}

TEST_F(ReplacementTest, OneThatIsBeingEndedMayBeUnhealthy) {
    start_and_change();
    desired.workspaces[0].spec.replace.on_unhealthy = OnUnhealthy::roll_back;
    put_next(ContainerHealth::unhealthy);
    later = 10s;
    EXPECT_THAT(actions(planned()), ElementsAre(Action::roll_back));
    memory.signalled.insert(engine.container("dev.next")->id);
    EXPECT_THAT(planned().steps, IsEmpty());
    later = 61s;
    EXPECT_THAT(actions(planned()), ElementsAre(Action::roll_back)) << "not for ever";
}

TEST_F(ReplacementTest, WithoutAskingForItHealthKeepsNobodyWaiting) {
    start_and_change();
    put_next(ContainerHealth::starting);
    later = 1s;
    EXPECT_THAT(actions(planned()), ElementsAre(Action::finish_replacement));
}

Task<> turns_unhealthy(World& world) {
    auto& workspace = add_workspace(world.desired, "dev");
    workspace.spec.health_check = {.command = {"true"}};
    workspace.spec.replace.on_unhealthy = OnUnhealthy::roll_back;
    world.apply();
    co_await world.until_status("dev", State::starting);
    world.engine.set_health("dev", ContainerHealth::healthy);
    co_await world.until_status("dev", State::running);
    const auto former = world.engine.container("dev")->id;
    world.desired.workspaces[0].redeploys = 1;
    world.change(world.desired.workspaces[0]);
    co_await world.until(
        [&] {
            const auto* next = world.engine.container("dev.next");
            return next != nullptr && next->state == ContainerState::running;
        },
        "the new one to run");
    co_await aio::sleep(600ms);
    EXPECT_EQ(world.status("dev"), State::starting) << "not running until healthy";
    EXPECT_NE(world.reconciler.revision_applied(), world.desired.revision);
    world.engine.set_health("dev.next", ContainerHealth::unhealthy, "connection refused");
    co_await world.until_status("dev", State::error);
    EXPECT_THAT(world.messages("dev"),
                testing::AllOf(HasSubstr("connection refused"), HasSubstr("dev.failed"),
                               Not(HasSubstr("next try"))));
    EXPECT_EQ(world.engine.container("dev")->id, former);
    EXPECT_EQ(world.engine.container("dev")->state, ContainerState::running);
    EXPECT_EQ(world.reconciler.reconcile().status, protocol::Health::failing);
    world.engine.forget_calls();
    co_await aio::sleep(1500ms);  // longer than the first wait of what is tried again
    EXPECT_EQ(world.engine.count("create_container"), 0U);
}

TEST(HealthTest, ANewOneThatDoesNotGetHealthyIsRolledBackOnceAndToldOf) {
    World world;
    world.play(turns_unhealthy(world));
}

// What an engine on its way out does to it (Docker 20.10 stops every container, tells of it, and
// still answers): it must not be taken for a failure of what it was made from.
enum class EndIs { told, unseen };

Task<> engine_ends_meanwhile(World& world, EndIs end) {
    auto& workspace = add_workspace(world.desired, "dev");
    workspace.spec.health_check = {.command = {"true"}};
    workspace.spec.replace.on_unhealthy = OnUnhealthy::roll_back;
    workspace.spec.restart = protocol::RestartPolicy::no;
    world.apply();
    co_await world.until_status("dev", State::starting);
    world.engine.set_health("dev", ContainerHealth::healthy);
    co_await world.until_status("dev", State::running);
    const auto former = world.engine.container("dev")->id;
    world.desired.workspaces[0].redeploys = 1;
    world.change(world.desired.workspaces[0]);
    co_await world.until([&] { return world.engine.count("start_container") == 2; }, "a start");
    co_await aio::sleep(20ms);
    const auto next = world.engine.container("dev.next")->id;
    if (end == EndIs::told) {
        world.engine.interrupt_container("dev.next", 143);
        world.engine.set_down(true);
    } else {
        world.engine.set_down(true);
        world.engine.kill_container("dev.next", 137);
    }
    co_await aio::sleep(50ms);
    world.engine.set_down(false);
    co_await world.until([&] { return world.engine.count("start_container") >= 3; }, "another");
    world.engine.set_health("dev.next", ContainerHealth::healthy);
    co_await world.until([&] { return world.engine.container_names().size() == 2; },
                         "it to take its place");
    EXPECT_THAT(world.engine.container_names(), ElementsAre("agent", "dev"));
    EXPECT_EQ(world.engine.container("dev")->id, next);
    EXPECT_NE(next, former);
    co_await world.until_status("dev", State::running);
}

TEST(HealthTest, AnEngineThatEndsMeanwhileIsNoFailureOfTheNewOne) {
    for (const auto end : {EndIs::told, EndIs::unseen}) {
        World world;
        world.play(engine_ends_meanwhile(world, end));
    }
}

// It fails at a start like a container that can't, until it is heard no more.
Task<> engine_ends_during_the_start(World& world) {
    add_workspace(world.desired, "dev");
    world.apply();
    co_await world.until_status("dev", State::running);
    const auto former = world.engine.container("dev")->id;
    world.engine.fail_next("start_container", ErrorKind::internal,
                           "error creating overlay mount to /merged: invalid argument");
    world.engine.fail_next("start_container", ErrorKind::unavailable, "the engine is ending");
    world.desired.workspaces[0].redeploys = 1;
    world.change(world.desired.workspaces[0]);
    co_await world.until([&] { return world.engine.container_names().size() == 3; }, "a new one");
    co_await world.until([&] { return world.engine.container_names().size() == 2; },
                         "it to take its place");
    EXPECT_THAT(world.engine.container_names(), ElementsAre("agent", "dev"));
    EXPECT_NE(world.engine.container("dev")->id, former);
    co_await world.until_status("dev", State::running);
}

TEST(HealthTest, AStartThatFailsForTheFormerOneTooIsNotHeldAgainstTheNewOne) {
    World world;
    world.play(engine_ends_during_the_start(world));
}

Task<> taken_port(World& world) {
    add_workspace(world.desired, "dev");
    world.apply();
    co_await world.until_status("dev", State::running);
    const auto former = world.engine.container("dev")->id;
    world.engine.fail_next("start_container", ErrorKind::conflict, "port is already allocated");
    world.desired.workspaces[0].redeploys = 1;
    world.change(world.desired.workspaces[0]);
    co_await world.until_status("dev", State::error);
    EXPECT_THAT(world.messages("dev"), HasSubstr("next try in 1 s"));
    EXPECT_EQ(world.engine.container("dev")->id, former);
    co_await world.until(
        [&] {
            const auto* container = world.engine.container("dev");
            return container != nullptr && container->id != former;
        },
        "the new one");
    co_await world.until_status("dev", State::running);
}

TEST(HealthTest, APortThatIsTakenIsTriedAgain) {
    World world;
    world.play(taken_port(world));
}

}  // namespace
