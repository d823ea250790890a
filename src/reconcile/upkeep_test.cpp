// What lies about on a host: leftovers go after their grace, former builds by the host's policy.
#include "reconcile/planner_trial.h"
#include "reconcile/world.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;
using protocol::State;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class LeftoverTest : public PlannerTest {
  protected:
    LeftoverTest() {
        add_network(desired, "lab");
        add_workspace(desired, "dev").spec.networks = {{.network = "lab"}};
        settle();
        known = std::exchange(desired, nothing_wanted());
        rules.leftover_grace = 5min;
        later = 0ms;
    }

    protocol::DesiredState known;
};

TEST_F(LeftoverTest, WhatBelongsToNothingKnownStaysForItsGraceAndIsTold) {
    auto plan = planned();
    EXPECT_THAT(plan.steps, IsEmpty());
    ASSERT_THAT(plan.leftovers, SizeIs(2));
    EXPECT_EQ(plan.leftovers[0].name, "dev");
    EXPECT_EQ(plan.leftovers[0].removal - plan.leftovers[0].since, 5min);
    ASSERT_TRUE(plan.look_again);
    EXPECT_EQ(*plan.look_again, plan.leftovers[0].removal);
    for (const auto& each : plan.leftovers) memory.unknown_since[each.object] = each.since;
    later = 4min;
    EXPECT_THAT(planned().steps, IsEmpty());
    later = 6min;
    EXPECT_THAT(actions(planned()), ElementsAre(Action::remove_container, Action::remove_network));
}

TEST_F(LeftoverTest, WhatIsKnownAgainIsNoLeftover) {
    desired = known;
    EXPECT_THAT(planned().leftovers, IsEmpty());
    EXPECT_THAT(planned().steps, IsEmpty());
}

TEST_F(LeftoverTest, WhatSomeoneDeletesGoesAtOnce) {
    desired = known;
    desired.workspaces[0].deleting = true;
    desired.networks[0].deleting = true;
    EXPECT_THAT(actions(planned()), ElementsAre(Action::remove_container, Action::remove_network));
}

TEST_F(LeftoverTest, AnEarlierContainerOfAKnownWorkspaceGoesAtOnce) {
    desired = known;
    auto earlier = compile(desired, {}).workspaces[0].spec;
    earlier.name = "dev-of-yore";
    engine.put_container(earlier, false);
    EXPECT_THAT(actions(planned()), ElementsAre(Action::remove_container));
}

TEST_F(LeftoverTest, ItsNameIsWaitedFor) {
    desired = known;
    desired.workspaces[0].id = "id-another";
    desired.networks[0].id = "id-another-net";
    auto plan = planned();
    EXPECT_THAT(plan.steps, IsEmpty());
    EXPECT_THAT((plan.waits.at({Kind::workspace, "id-another"}).second),
                HasSubstr("the leftover container dev"));
    EXPECT_THAT((plan.waits.at({Kind::network, "id-another-net"}).second),
                HasSubstr("the leftover network lab"));
    rules.leftover_grace = 0ms;
    settle();
    EXPECT_EQ(engine.container("dev")->labels.at(runtime::label::kId), "id-another");
}

class CollectionTest : public PlannerTest {
  protected:
    CollectionTest() {
        add_image(desired, "tools");
        for (int i = 0; i < 4; ++i) {
            ++desired.images[0].rebuilds;
            settle();
        }
        later = 0ms;
    }
    std::size_t due() { return planned().steps.size(); }
    std::ptrdiff_t releases() {
        return std::ranges::count(actions(planned()), Action::release_image);
    }
};

TEST_F(CollectionTest, FormerBuildsGoByNumberAndAge) {
    EXPECT_EQ(due(), 0U) << "they are young";
    ASSERT_TRUE(planned().look_again);
    rules.collection.older_than_ms = 0;
    EXPECT_EQ(due(), 2U) << "three former ones, of which one is kept";
    rules.collection.keep = 0;
    EXPECT_EQ(due(), 3U);
    for (const auto& step : planned().steps) {
        EXPECT_EQ(step.action, Action::release_image);
        EXPECT_THAT(step.reason.text, HasSubstr("a newer build took its name"));
    }
    rules.collection.enabled = false;
    EXPECT_EQ(due(), 0U);
}

TEST_F(CollectionTest, AFullDiskTakesThemAll) {
    disk_used_percent = 85;
    EXPECT_EQ(due(), 0U);
    disk_used_percent = 91;
    ASSERT_EQ(due(), 3U);
    EXPECT_THAT(planned().steps[0].reason.text, HasSubstr("the disk is 91 % full"));
}

TEST_F(CollectionTest, BuildsUnderAFormerReferenceAreFormerBuildsToo) {
    rules.collection = {.keep = 0, .older_than_ms = 0};
    desired.images[0].spec.reference = "tools:2";
    settle();
    EXPECT_EQ(due(), 4U) << "three without a name, and tools:1";
    EXPECT_TRUE(std::ranges::any_of(planned().steps, [](const Step& step) {
        return step.reason.text == "its Image has another reference now";
    }));
    add_workspace(desired, "dev").spec.image = "tools:1";
    desired.workspaces[0].running = false;
    EXPECT_EQ(releases(), 3) << "someone else is to have it";
    desired.workspaces.clear();
    add_image(desired, "another").spec.reference = "tools:1";
    EXPECT_EQ(releases(), 3);
}

TEST_F(CollectionTest, WhatAContainerRunsOnStays) {
    rules.collection = {.keep = 0, .older_than_ms = 0};
    const auto step = planned().steps.at(0);
    auto spec = runtime::ContainerSpec{.name = "someones", .image = step.object};
    engine.put_container(spec);
    EXPECT_EQ(due(), 3U) << "not ours, so not seen: the engine is asked, and refuses";
    memory.images_in_use = {step.object};
    EXPECT_EQ(due(), 2U) << "and is not asked again at once";
}

TEST_F(CollectionTest, ImagesOfNothingKnownGoAfterTheirGrace) {
    desired.images.clear();
    rules = {.leftover_grace = 5min};
    auto plan = planned();
    EXPECT_THAT(plan.steps, IsEmpty());
    EXPECT_THAT(plan.leftovers, SizeIs(4));
    rules.leftover_grace = 0ms;
    EXPECT_EQ(due(), 4U);
}

class PulledTest : public PlannerTest {
  protected:
    PulledTest() {
        auto& image = add_image(desired, "redis");
        image.spec = {.reference = "redis:7"};
        settle();
        desired.images[0].deleting = true;
    }
};

TEST_F(PulledTest, AnImageThatWasPulledForAnImageGoesWithIt) {
    EXPECT_THAT(planned().steps, IsEmpty()) << "it may have been here before";
    desired.images[0].pulled = true;
    EXPECT_THAT(actions(planned()), ElementsAre(Action::release_image));
    settle();
    EXPECT_THAT(planned().steps, IsEmpty());
}

TEST_F(PulledTest, WhatWasHereBeforeUnderItsPresentReferenceStays) {
    engine.add_image("redis:8");
    const auto hash = compile(desired, bounds).images[0].hash;
    auto& image = desired.images[0];
    const auto go = [&](const char* reference) {
        image.spec.reference = reference;
        return planned().steps.size();
    };
    image.pulled = true;  // as the server tells it
    image.forced_pull = hash;
    EXPECT_EQ(go("redis:8"), 0U);
    EXPECT_EQ(go("redis:7"), 1U);
    image.pulled = false;  // as the agent knows it
    image.forced_pull.clear();
    memory.pulled = {image.id};
    memory.forced_pulls = {{image.id, hash}};
    EXPECT_EQ(go("redis:8"), 0U);
    EXPECT_EQ(go("redis:7"), 1U);
}

TEST_F(PulledTest, ItStaysForWhoElseRefersToIt) {
    desired.images[0].pulled = true;
    auto& other = add_image(desired, "another");
    other.spec = {.reference = "redis:7"};
    EXPECT_THAT(planned().steps, IsEmpty());
    desired.images.pop_back();
    add_workspace(desired, "dev").spec.image = "redis:7";
    EXPECT_THAT(actions(planned()), ElementsAre(Action::create_container, Action::start_container));
}

TEST_F(PulledTest, AReferenceWithoutATagIsLatest) {
    desired.images[0].spec.reference = "image:latest";
    desired.images[0].pulled = true;
    engine.add_image("image:latest");
    auto& workspace = add_workspace(desired, "dev");
    workspace.running = false;
    workspace.spec.image = "image";
    EXPECT_THAT(actions(planned()), Not(Contains(Action::release_image)));
}

Task<> collects(World& world) {
    add_image(world.desired, "tools");
    world.apply();
    co_await world.until_status("tools", State::build_finished, Kind::image);
    for (int i = 1; i < 3; ++i) {
        world.desired.images[0].rebuilds = i;
        ++world.desired.images[0].revision;
        world.apply();
        co_await world.until(
            [&] { return world.engine.count("build_image") == static_cast<std::size_t>(i) + 1; },
            "another build");
        co_await world.until_status("tools", State::build_finished, Kind::image);
    }
    protocol::HostSettings settings;
    settings.collection = {.keep = 0, .older_than_ms = 0};
    world.reconciler.set_settings(settings);
    co_await world.until([&] { return world.reconciler.upkeep().collected_count == 2; },
                         "two former builds to go");
    const auto upkeep = world.reconciler.upkeep();
    EXPECT_THAT(upkeep.collected, SizeIs(2));
    EXPECT_EQ(upkeep.collected[0].name, "tools");
    EXPECT_EQ(world.status("tools", Kind::image), State::build_finished);
}

TEST(UpkeepTest, FormerBuildsAreClearedAwayAndTold) {
    World world;
    world.play(collects(world));
}

Task<> in_use(World& world) {
    auto& image = add_image(world.desired, "redis");
    image.spec = {.reference = "redis:7"};
    world.apply();
    co_await world.until_status("redis", State::build_finished, Kind::image);
    EXPECT_TRUE(world.report(Kind::image, "redis")->observed.contains("pulled"));
    world.engine.put_container({.name = "someones", .image = "redis:7"});
    world.desired.images[0].deleting = true;
    world.apply();
    co_await world.until_status("redis", State::deleted, Kind::image);
    EXPECT_EQ(world.engine.count("remove_image redis:7"), 1U);
    EXPECT_EQ(world.reconciler.upkeep().collected_count, 0);
}

TEST(UpkeepTest, APulledImageThatSomeoneUsesStaysAndBlocksNothing) {
    World world;
    world.play(in_use(world));
}

Task<> leftover_in_time(World& world) {
    protocol::HostSettings settings;
    settings.leftover_grace_ms = 300;
    world.reconciler.set_settings(settings);
    add_workspace(world.desired, "dev");
    world.apply();
    co_await world.until_status("dev", State::running);
    world.desired.workspaces.clear();
    world.apply();
    co_await world.until([&] { return world.reconciler.upkeep().leftovers_count == 1; }, "a word");
    EXPECT_EQ(world.reconciler.upkeep().leftovers.at(0).name, "dev");
    EXPECT_NE(world.engine.container("dev"), nullptr);
    const auto plan = world.reconciler.explain(world.desired);
    EXPECT_THAT(plan.leftovers, SizeIs(1));
    co_await world.until([&] { return world.engine.container("dev") == nullptr; }, "it to go");
    co_await world.until([&] { return world.reconciler.upkeep().leftovers_count == 0; },
                         "nothing to be left");
}

TEST(UpkeepTest, ALeftoverGoesWhenItsGraceIsOver) {
    World world;
    world.play(leftover_in_time(world));
}

}  // namespace
