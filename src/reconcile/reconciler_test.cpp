#include "reconcile/world.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;
using protocol::Health;
using protocol::Kind;
using protocol::State;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Task<> brings_up(World& world) {
    add_network(world.desired, "lab");
    add_volume(world.desired, "data");
    auto& workspace = add_workspace(world.desired, "dev");
    workspace.spec.networks = {{.network = "lab"}};
    workspace.spec.mounts = {{.volume = "data", .target = "/data"}};
    world.apply();
    co_await world.until_status("dev", State::running);
    EXPECT_EQ(world.status("lab", Kind::network), State::created);
    EXPECT_EQ(world.status("data", Kind::volume), State::created);
    const auto& observed = world.report(Kind::workspace, "dev")->observed;
    EXPECT_EQ(observed.at("container_id").as_string(), world.engine.container("dev")->id);
    co_await world.until(
        [&] { return world.reconciler.revision_applied() == world.desired.revision; },
        "the revision to be in force");
    EXPECT_EQ(world.reconciler.engine().status, Health::ok);
    EXPECT_EQ(world.reconciler.reconcile().status, Health::ok);
}

TEST(ReconcilerTest, BringsWhatIsWantedUpAndTellsOfIt) {
    World world;
    world.play(brings_up(world));
}

Task<> unchanged_cycle(World& world) {
    add_workspace(world.desired, "dev");
    world.apply();
    co_await world.until_status("dev", State::running);
    co_await aio::sleep(60ms);
    world.engine.forget_calls();
    world.reports.clear();
    for (int i = 0; i < 5; ++i) {
        world.apply();
        co_await aio::sleep(5ms);
    }
    EXPECT_THAT(world.engine.calls(), IsEmpty());
    EXPECT_THAT(world.reports, IsEmpty());
}

Task<> last_plan(World& world) {
    add_workspace(world.desired, "dev");
    world.apply();
    co_await world.until_status("dev", State::running);
    const auto reasons = [&] {
        std::vector<std::string> list;
        const auto* plan = world.report(Kind::workspace, "dev")->observed.if_contains("last_plan");
        if (plan == nullptr) return list;
        for (const auto& step : plan->as_array()) {
            list.emplace_back(step.as_object().at("reason").as_string());
        }
        return list;
    };
    EXPECT_THAT(reasons(), ElementsAre("is not there", "is to run"));
    world.desired.workspaces[0].spec.resources.pids = 9;
    world.change(world.desired.workspaces[0]);
    co_await world.until([&] { return reasons().size() == 1; }, "the second plan");
    EXPECT_THAT(reasons(), ElementsAre("resources/pids: none -> 9"));
}

TEST(ReconcilerTest, TellsThePlanThatRanLastAndWhy) {
    World world;
    world.play(last_plan(world));
}

TEST(ReconcilerTest, ACycleWithoutChangeCallsTheEngineNotOnce) {
    World world;
    world.play(unchanged_cycle(world));
}

Task<> drift(World& world) {
    add_network(world.desired, "lab");
    add_workspace(world.desired, "dev").spec.networks = {{.network = "lab"}};
    world.apply();
    co_await world.until_status("dev", State::running);
    const auto first = world.engine.container("dev")->id;
    world.engine.kill_container("dev", 137);
    co_await world.until(
        [&] { return world.engine.container("dev")->state == ContainerState::running; }, "a start");
    world.engine.pause_container("dev");
    co_await world.until(
        [&] { return world.engine.container("dev")->state == ContainerState::running; },
        "it to go on");
    EXPECT_EQ(world.engine.container("dev")->id, first);
    EXPECT_EQ(world.engine.count("start_container"), 2U) << "it never ended";
    world.engine.delete_container("dev");
    co_await world.until([&] { return world.engine.container("dev") != nullptr; }, "a new one");
    EXPECT_NE(world.engine.container("dev")->id, first);
    co_await world.until_status("dev", State::running);
    world.engine.detach("dev", "lab");
    co_await world.until([&] { return world.engine.container("dev")->networks.size() == 1; },
                         "the network to be connected again");
    world.engine.set_limits("dev", {.pids = 7});
    co_await world.until([&] { return world.engine.container("dev")->limits.pids == 0; },
                         "the limits to be as wanted");
}

TEST(ReconcilerTest, WhatIsChangedBehindItsBackIsRepaired) {
    World world;
    world.play(drift(world));
}

Task<> missed(World& world) {
    add_workspace(world.desired, "dev");
    world.apply();
    co_await world.until_status("dev", State::running);
    world.engine.set_down(true);
    co_await world.until([&] { return world.reconciler.engine().status == Health::failing; },
                         "the engine's condition");
    EXPECT_NE(world.reconciler.engine().reason, "");
    world.engine.delete_container("dev");  // nobody is told
    world.engine.set_down(false);
    co_await world.until([&] { return world.engine.container("dev") != nullptr; }, "a new one");
    co_await world.until([&] { return world.reconciler.engine().status == Health::ok; },
                         "the engine's condition");
    EXPECT_NE(world.status("dev"), State::error);
}

Task<> hangs(World& world) {
    add_workspace(world.desired, "dev");
    world.apply();
    co_await world.until_status("dev", State::running);
    world.engine.set_hanging(true);
    add_workspace(world.desired, "other");
    world.apply();
    co_await world.until([&] { return world.reconciler.engine().status == Health::failing; },
                         "the engine's condition");
    EXPECT_THAT(world.reconciler.engine().reason, HasSubstr("gave no answer"));
    world.engine.set_hanging(false);
    co_await world.until_status("other", State::running);
    EXPECT_EQ(world.reconciler.engine().status, Health::ok);
    EXPECT_EQ(world.reconciler.reconcile().status, Health::ok);
}

TEST(ReconcilerTest, AnEngineThatHangsIsToldThoughItsEventStreamIsOpen) {
    World world;
    world.play(hangs(world));
}

Task<> one_hangs(World& world) {
    world.engine.fail_next("start_container", ErrorKind::timeout, "starting dev: no answer");
    add_workspace(world.desired, "dev");
    world.apply();
    co_await world.until_status("dev", State::error);
    EXPECT_THAT(world.reconciler.reconcile().reason, HasSubstr("starting dev: no answer"));
    EXPECT_EQ(world.reconciler.engine().status, Health::ok);
    co_await world.until_status("dev", State::running);
}

TEST(ReconcilerTest, OneContainerThatHangsIsToldOfItself) {
    World world;
    world.play(one_hangs(world));
}

TEST(ReconcilerTest, AnEngineThatWasAwayIsLookedAtAnew) {
    World world;
    world.play(missed(world));
}

Task<> clash(World& world) {
    world.engine.put_container({.name = "dev", .image = "image:1"});
    const auto foreign = world.engine.container("dev")->id;
    add_workspace(world.desired, "dev");
    add_workspace(world.desired, "bystander");
    world.apply();
    co_await world.until_status("dev", State::error);
    EXPECT_THAT(world.messages("dev"),
                testing::AllOf(HasSubstr("\"dev\""), HasSubstr("not made by Trailer"),
                               HasSubstr("next try in 1 s")));
    EXPECT_EQ(world.engine.container("dev")->id, foreign);
    co_await world.until_status("bystander", State::running);
    EXPECT_EQ(world.reconciler.reconcile().status, Health::failing);
    co_await aio::sleep(600ms);
    world.engine.delete_container("dev");
    co_await world.until_status("dev", State::running);
    co_await world.until([&] { return world.reconciler.reconcile().status == Health::ok; },
                         "the condition");
}

TEST(ReconcilerTest, AForeignContainerIsLeftAloneAndBlocksNobodyElse) {
    World world;
    world.play(clash(world));
}

Task<> start_fails(World& world) {
    add_workspace(world.desired, "dev");
    world.apply();
    co_await world.until_status("dev", State::running);
    const auto former = world.engine.container("dev")->id;
    world.desired.workspaces[0].spec.command = {"/no/such/program"};
    world.engine.fail_next("start_container", ErrorKind::invalid, "no such file: /no/such/program");
    world.change(world.desired.workspaces[0]);
    co_await world.until_status("dev", State::error);
    EXPECT_THAT(world.messages("dev"),
                testing::AllOf(HasSubstr("/no/such/program"), HasSubstr("The former one is back")));
    EXPECT_EQ(world.engine.container("dev")->id, former);
    EXPECT_EQ(world.engine.container("dev")->state, ContainerState::running);
    EXPECT_THAT(world.engine.container_names(), ElementsAre("agent", "dev", "dev.failed"));
    world.desired.workspaces[0].spec.command = {"sleep"};
    world.change(world.desired.workspaces[0]);
    co_await world.until(
        [&] {
            return world.engine.container("dev") != nullptr &&
                   world.engine.container("dev")->id != former;
        },
        "the mended one");
}

TEST(ReconcilerTest, AReplacementThatDoesNotStartBringsTheFormerOneBack) {
    World world;
    world.play(start_fails(world));
}

Task<> dies_early(World& world) {
    add_workspace(world.desired, "dev");
    world.apply();
    co_await world.until_status("dev", State::running);
    const auto former = world.engine.container("dev")->id;
    world.engine.add_image("image:2");
    world.engine.exit_at_start("image:2", 3);
    world.desired.workspaces[0].spec.image = "image:2";
    world.change(world.desired.workspaces[0]);
    co_await world.until_status("dev", State::error);
    EXPECT_THAT(world.messages("dev"), HasSubstr("exit code 3"));
    EXPECT_EQ(world.engine.container("dev")->id, former);
    EXPECT_EQ(world.engine.container("dev")->state, ContainerState::running);
}

TEST(ReconcilerTest, AReplacementThatDiesAtOnceBringsTheFormerOneBack) {
    World world;
    world.play(dies_early(world));
}

Task<> explains(World& world) {
    auto desired = nothing_wanted();
    add_network(desired, "lab");
    add_workspace(desired, "dev").spec.networks = {{.network = "lab"}};
    world.apply();
    co_await world.until([&] { return world.reconciler.engine().status == Health::ok; }, "a look");
    world.engine.forget_calls();
    auto plan = world.reconciler.explain(desired);
    EXPECT_EQ(plan.fault, "");
    EXPECT_EQ(plan.steps.size(), 3U);
    EXPECT_EQ(plan.steps.at(1).action, "create_container");
    EXPECT_EQ(plan.steps[1].name, "dev");
    EXPECT_THAT(plan.steps[1].after, ElementsAre(0));
    EXPECT_THAT(world.engine.calls(), IsEmpty());
    world.desired = desired;
    world.apply();
    co_await world.until_status("dev", State::running);
    EXPECT_THAT(world.reconciler.explain(world.desired).steps, IsEmpty());
    desired.workspaces[0].spec.env["A"] = "1";
    desired.workspaces[0].spec.resources.pids = 5;
    plan = world.reconciler.explain(desired);
    EXPECT_TRUE(plan.steps.at(0).replaces);
    EXPECT_EQ(plan.steps.at(0).reason, "env/A: none -> another value");
    desired.workspaces[0].spec.env.clear();
    plan = world.reconciler.explain(desired);
    EXPECT_FALSE(plan.steps.at(0).replaces);
    EXPECT_EQ(plan.steps.at(0).reason, "resources/pids: none -> 5");
    EXPECT_THAT(plan.steps.at(0).changes,
                ElementsAre(protocol::FieldChange{"resources/pids", "none", "5"}));
    desired.workspaces[0].spec.privileged = true;
    EXPECT_THAT(world.reconciler.explain(desired).obstacles.at(0).text,
                HasSubstr("allow_privileged"));
}

TEST(ReconcilerTest, ExplainsWhatItWouldDoAndDoesNothing) {
    World world;
    EXPECT_NE(world.reconciler.explain(nothing_wanted()).fault, "") << "it has not looked yet";
    world.play(explains(world));
}

Task<> undone(World& world) {
    add_workspace(world.desired, "dev").spec.resources.pids = 5;
    world.apply();
    co_await world.until_status("dev", State::running);
    const auto undo = [&] {
        const auto* container = world.engine.container("dev");
        if (container->limits.pids == 5) world.engine.set_limits("dev", {});
        return world.status("dev") == State::error;
    };
    world.engine.forget_calls();
    co_await world.until(undo, "the word that someone undoes it");
    EXPECT_THAT(world.messages("dev"), HasSubstr("does someone else change it too?"));
    EXPECT_EQ(world.engine.count("update_container"), 3U);
    co_await world.until_status("dev", State::running);  // once that one gives up
}

TEST(ReconcilerTest, WhatSomeoneUndoesAgainAndAgainWaits) {
    World world;
    world.play(undone(world));
}

Task<> image_fails(World& world) {
    add_image(world.desired, "tools").spec.dockerfile = "FROM image:1\nRUN exit 7\n";
    add_workspace(world.desired, "dev").spec.image = "tools";
    world.apply();
    co_await world.until_status("tools", State::error, Kind::image);
    EXPECT_THAT(world.messages("tools", Kind::image), HasSubstr("RUN exit 7"));
    co_await world.until_status("dev", State::error);
    EXPECT_THAT(world.messages("dev"), HasSubstr("waits for image tools, which failed"));
    world.desired.images[0].spec.dockerfile = "FROM image:1\n";
    ++world.desired.images[0].revision;
    world.apply();
    co_await world.until_status("dev", State::running);
    EXPECT_EQ(world.status("tools", Kind::image), State::build_finished);
}

TEST(ReconcilerTest, AWorkspaceWaitsForItsImageAndSaysSo) {
    World world;
    world.play(image_fails(world));
}

Task<> deletes(World& world) {
    add_network(world.desired, "lab");
    add_workspace(world.desired, "dev").spec.networks = {{.network = "lab"}};
    world.apply();
    co_await world.until_status("dev", State::running);
    world.desired.workspaces[0].deleting = world.desired.networks[0].deleting = true;
    world.apply();
    co_await world.until_status("dev", State::deleted);
    co_await world.until_status("lab", State::deleted, Kind::network);
    EXPECT_THAT(world.engine.container_names(), ElementsAre("agent"));
    // Found by bench/run: a network waited "in vain" for the workspace that was going with it.
    for (const auto& report : world.reports) {
        EXPECT_NE(report.status, State::error) << wire::to_json_text(report.messages);
    }
}

TEST(ReconcilerTest, WhatIsDeletedIsToldSo) {
    World world;
    world.play(deletes(world));
}

Task<> deleted_while_it_is_made(World& world) {
    add_network(world.desired, "lab");
    add_volume(world.desired, "data");
    add_workspace(world.desired, "dev");
    world.engine.hold("create");
    world.apply();
    co_await world.until([&] { return world.engine.held() == 3; }, "all three to be under way");
    world.desired.workspaces[0].deleting = world.desired.networks[0].deleting = true;
    world.desired.volumes[0].deleting = true;
    world.apply();
    co_await aio::sleep(20ms);
    EXPECT_EQ(world.status("dev"), State::deleting);
    EXPECT_EQ(world.status("lab", Kind::network), State::deleting);
    EXPECT_EQ(world.status("data", Kind::volume), State::deleting);
    world.engine.let_go();
    co_await world.until_status("dev", State::deleted);
    co_await world.until_status("lab", State::deleted, Kind::network);
    co_await world.until_status("data", State::deleted, Kind::volume);
    EXPECT_THAT(world.engine.container_names(), ElementsAre("agent"));
    EXPECT_THAT(world.engine.volumes(), IsEmpty());
    EXPECT_THAT(world.engine.networks(), SizeIs(1)) << "the engine's own bridge";
}

// The server forgets what is told to be deleted: a volume that was made after that stayed for ever.
TEST(ReconcilerTest, WhatIsBeingMadeIsNotDeletedYet) {
    World world;
    world.play(deleted_while_it_is_made(world));
}

Task<> pulls_that_hang(World& world) {
    world.engine.hold("pull_image");
    for (int i = 0; i < 40; ++i) {
        add_workspace(world.desired, fmt::format("a{:02}", i)).spec.image =
            fmt::format("far/away:{}", i);
    }
    add_workspace(world.desired, "dev");
    world.apply();
    co_await world.until_status("dev", State::running);
    EXPECT_EQ(world.status("a00"), State::deploying);
    EXPECT_THAT(world.messages("a00"), HasSubstr("pulling far/away:0"));
    world.desired.workspaces.back().running = false;
    world.change(world.desired.workspaces.back());
    co_await world.until_status("dev", State::stopped);
    world.engine.let_go();
    co_await world.until_status("a39", State::running);
}

Task<> wants_another_meanwhile(World& world) {
    world.engine.hold("pull_image");
    add_workspace(world.desired, "dev").spec.image = "far/away:1";
    auto& image = add_image(world.desired, "tools");
    image.spec.dockerfile = "";
    world.apply();
    co_await world.until([&] { return world.engine.held() == 2; }, "the pulls");
    world.desired.workspaces[0].spec.image = "image:1";
    world.desired.images[0].deleting = true;
    ++world.desired.images[0].revision;
    world.change(world.desired.workspaces[0]);
    co_await world.until_status("dev", State::running);
    co_await world.until_status("tools", State::deleted, Kind::image);
    EXPECT_EQ(world.messages("dev"), "");
    EXPECT_EQ(world.reconciler.reconcile().status, Health::ok);
}

TEST(ReconcilerTest, APullThatNobodyWantsAnyMoreIsGivenUp) {
    World world;
    world.play(wants_another_meanwhile(world));
}

Task<> mended_spec(World& world) {
    add_workspace(world.desired, "dev").spec.image = "no-such:1";
    world.apply();
    for (int attempts = 1; attempts < 3; ++attempts) {
        co_await world.until(
            [&] {
                return world.engine.count("pull_image no-such:1") > static_cast<unsigned>(attempts);
            },
            "another attempt");
    }
    co_await world.until(
        [&] { return world.messages("dev").find("next try in 4 s") != std::string::npos; },
        "the third wait");
    world.desired.workspaces[0].spec.env["A"] = "1";
    world.change(world.desired.workspaces[0]);
    co_await world.until(
        [&] { return world.messages("dev").find("next try in 1 s") != std::string::npos; },
        "a try at once, and the first wait after it");
    EXPECT_EQ(world.engine.count("pull_image no-such:1"), 4U);
}

TEST(ReconcilerTest, TheWaitGrowsAndAChangeOfTheSpecBeginsAnew) {
    World world;
    world.play(mended_spec(world));
}

TEST(ReconcilerTest, ARegistryThatHangsBlocksNobodyElse) {
    World world;
    world.play(pulls_that_hang(world));
}

Task<> disabled(World& world) {
    add_workspace(world.desired, "dev");
    world.apply();
    co_await world.until_status("dev", State::running);
    world.reconciler.set_enabled(false);
    world.engine.kill_container("dev", 1);
    add_workspace(world.desired, "new");
    world.apply();
    co_await aio::sleep(50ms);
    EXPECT_EQ(world.engine.container("dev")->state, ContainerState::exited);
    EXPECT_EQ(world.engine.container("new"), nullptr);
    world.reconciler.set_enabled(true);
    co_await world.until_status("new", State::running);
    co_await world.until_status("dev", State::running);
}

TEST(ReconcilerTest, ADisabledHostIsLeftAsItIs) {
    World world;
    world.play(disabled(world));
}

Task<> own_container(World& world) {
    add_workspace(world.desired, "dev");
    world.apply();
    co_await world.until_status("dev", State::running);
    world.desired.workspaces.clear();
    world.apply();
    co_await world.until([&] { return world.engine.container("dev") == nullptr; },
                         "the leftover to go");
    EXPECT_EQ(world.engine.container(World::kOwnContainer)->state, ContainerState::running);
}

TEST(ReconcilerTest, LeftoversGoButNeverTheAgentsOwnContainer) {
    World world;
    world.play(own_container(world));
}

Task<> health(World& world) {
    auto& spec = add_workspace(world.desired, "dev").spec;
    spec.health_check = protocol::HealthCheck{.command = {"true"}};
    world.apply();
    co_await world.until_status("dev", State::starting);
    world.engine.set_health("dev", runtime::ContainerHealth::healthy);
    co_await world.until_status("dev", State::running);
    world.engine.set_health("dev", runtime::ContainerHealth::unhealthy, "not today");
    co_await world.until_status("dev", State::unhealthy);
    EXPECT_THAT(world.messages("dev"), HasSubstr("not today"));
}

TEST(ReconcilerTest, AHealthCheckIsHeeded) {
    World world;
    world.play(health(world));
}

Task<> exits(World& world) {
    add_workspace(world.desired, "dev").spec.restart = protocol::RestartPolicy::no;
    world.apply();
    co_await world.until_status("dev", State::running);
    world.engine.kill_container("dev", 3);
    co_await world.until_status("dev", State::error);
    EXPECT_THAT(world.messages("dev"), HasSubstr("exit code 3"));
    EXPECT_EQ(world.report(Kind::workspace, "dev")->observed.at("exit_code").as_int64(), 3);
}

TEST(ReconcilerTest, ACommandThatEndsIsToldWithItsCode) {
    World world;
    world.play(exits(world));
}

Task<> twenty_with_shuffled_calls(World& world) {
    world.engine.shuffle(7);
    for (int i = 0; i < 20; ++i) {
        const auto suffix = std::to_string(i);
        add_network(world.desired, "net" + suffix);
        add_volume(world.desired, "vol" + suffix);
        auto& spec = add_workspace(world.desired, "ws" + suffix).spec;
        spec.networks = {{.network = "net" + suffix}};
        spec.mounts = {{.volume = "vol" + suffix, .target = "/data"}};
    }
    world.apply();
    co_await world.until(
        [&] { return world.reconciler.revision_applied() == world.desired.revision; }, "all 20");
    EXPECT_THAT(world.engine.container_names(), SizeIs(21));
    EXPECT_EQ(world.engine.count("create_container"), 20U);
    EXPECT_EQ(world.engine.count("start_container"), 20U);
    EXPECT_EQ(world.engine.count("create_network"), 20U);
}

TEST(ReconcilerTest, EachStepIsDoneOnce) {
    World world;
    world.play(twenty_with_shuffled_calls(world));
}

// What its reports say, but for since when.
std::map<Key, std::string> told_by(const World& world) {
    std::map<Key, std::string> told;
    for (const auto& [key, each] : world.newest) {
        auto report = each;
        for (auto& message : report.messages) message.since = {};
        told[key] = wire::to_json_text(report);
    }
    return told;
}

Task<> expect_all_told(World& world) {
    co_await aio::sleep(60ms);  // the last events
    const auto told = told_by(world);
    world.newest.clear();
    world.reconciler.report_all();
    co_await world.until([&] { return world.newest.size() == told.size(); }, "all reports");
    EXPECT_EQ(told_by(world), told);
}

Task<> in_force(World& world) {
    co_await world.until(
        [&] { return world.reconciler.revision_applied() == world.desired.revision; },
        "the revision to be in force");
}

// Telling all at once is what the telling of what may have changed is held to.
Task<> told_alike(World& world) {
    world.engine.shuffle(11);
    for (const std::string name : {"a", "b", "c", "d"}) {
        add_network(world.desired, name + "-net");
        add_volume(world.desired, name + "-vol");
        auto& workspace = add_workspace(world.desired, name);
        workspace.spec.networks = {{.network = name + "-net"}};
        workspace.spec.mounts = {{.volume = name + "-vol", .target = "/data"}};
    }
    world.desired.workspaces[1].spec.depends_on = {{.workspace = "a"}};
    world.desired.workspaces[2].spec.drift = protocol::DriftPolicy::report;
    world.apply();
    co_await in_force(world);
    co_await expect_all_told(world);
    world.engine.fail_next("start_container", ErrorKind::invalid, "not today");
    world.engine.kill_container("a", 3);
    world.engine.kill_container("c", 4);
    co_await world.until_status("a", State::error);  // for a second
    co_await world.until_status("c", State::stopped);
    co_await expect_all_told(world);
    world.engine.delete_network("d-net");
    world.reconciler.set_volume_sizes({{"a-vol", 5}});
    world.desired.workspaces[1].spec.env["A"] = "1";
    world.change(world.desired.workspaces[1]);
    co_await in_force(world);
    co_await expect_all_told(world);
    world.desired.workspaces[3].deleting = world.desired.networks[3].deleting = true;
    world.desired.volumes[3].deleting = true;
    world.apply();
    co_await in_force(world);
    co_await expect_all_told(world);
}

TEST(ReconcilerTest, TellingWhatMayHaveChangedTellsAsMuchAsTellingAll) {
    World world;
    world.play(told_alike(world));
}

Task<> slow_answers(World& world) {
    add_workspace(world.desired, "dev");
    world.apply();
    co_await world.until_status("dev", State::running);
    co_await aio::sleep(50ms);
    world.engine.hold("find_container");
    world.engine.kill_container("dev", 1);  // to be looked at, which takes long
    for (int i = 0; i < 10; ++i) add_volume(world.desired, "vol" + std::to_string(i));
    world.apply();
    co_await world.until([&] { return world.engine.volumes().size() == 10; }, "10 volumes");
    world.engine.let_go();
    co_await world.until_status("dev", State::running);
}

TEST(ReconcilerTest, ASlowAnswerOfTheEngineHoldsNothingElseUp) {
    World world;
    world.play(slow_answers(world));
}

Task<> slow_looks(World& world) {
    world.engine.hold("find_container");
    for (int i = 0; i < 10; ++i) add_workspace(world.desired, "ws" + std::to_string(i));
    world.apply();
    // More than are done at once: the place of one that is looked at is another's.
    co_await world.until([&] { return world.engine.count("create_container") == 10; }, "all made");
    world.engine.let_go();
    co_await world.until_status("ws9", State::running);
}

TEST(ReconcilerTest, AStepThatIsDoneHoldsNoPlaceWhileItsOutcomeIsLookedAt) {
    World world;
    world.play(slow_looks(world));
}

Task<> wish_during_a_look(World& world) {
    add_workspace(world.desired, "first");
    world.apply();
    co_await world.until_status("first", State::running);
    co_await aio::sleep(60ms);  // nothing is left to be looked at
    world.engine.hold("list_images");
    world.engine.tag_image_again("image:1");
    co_await world.until([&] { return world.engine.held() == 1; }, "a look at the images");
    add_image(world.desired, "tools").spec = {.reference = "image:2"};
    add_workspace(world.desired, "second").spec.image = "tools";
    world.apply();
    co_await aio::sleep(5ms);
    world.engine.let_go();
    co_await world.until_status("second", State::running);
}

// The plan waits for what the references mean, and must be made once that is known: a look that
// began before the wish had found out by the way, and woke nobody.
TEST(ReconcilerTest, AWishThatComesDuringALookAtTheImagesIsPlannedAfterIt) {
    World world;
    world.play(wish_during_a_look(world));
}

enum class Volume { none, of_the_image };

Task<> one_that_can_not_be_started(World& world, Volume volume) {
    add_workspace(world.desired, "dev");
    if (volume == Volume::of_the_image) world.engine.set_image_volume("image:1", "/data");
    world.apply();
    co_await world.until([&] { return world.status("dev") == State::running; }, "dev");
    const auto before = world.engine.container("dev")->id;
    const auto volumes = world.engine.container("dev")->anonymous_volumes;
    EXPECT_EQ(volumes.size(), volume == Volume::of_the_image ? 1U : 0U);
    world.engine.make_unstartable("dev");
    world.engine.kill_container("dev", 137);
    co_await world.until(
        [&] {
            const auto* now = world.engine.container("dev");
            return now != nullptr && now->id != before && now->state == ContainerState::running;
        },
        "another container");
    EXPECT_EQ(world.engine.count("create_container"), 2U);
    EXPECT_EQ(world.engine.container("dev")->anonymous_volumes, volumes);
    EXPECT_EQ(world.engine.anonymous_volumes().size(), volumes.size());
}

// Docker 20.10, killed while it ends a container: "task ID: already exists" at every start.
TEST(ReconcilerTest, AContainerThatTheEngineCanNotStartAnyMoreIsMadeAnew) {
    for (const auto volume : {Volume::none, Volume::of_the_image}) {
        World world;
        world.play(one_that_can_not_be_started(world, volume));
    }
}

}  // namespace
