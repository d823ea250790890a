#include "reconcile/planner_trial.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;
using runtime::label::kHost;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST_F(PlannerTest, WhatAWorkspaceNeedsComesBeforeIt) {
    add_network(desired, "lab");
    add_volume(desired, "data");
    add_image(desired, "tools");
    auto& workspace = add_workspace(desired, "dev");
    workspace.spec.image = "tools";
    workspace.spec.networks = {{.network = "lab"}};
    workspace.spec.mounts = {{.volume = "data", .target = "/data"}};
    const auto plan = planned();
    EXPECT_THAT(actions(plan),
                ElementsAre(Action::create_network, Action::create_volume, Action::build_image,
                            Action::create_container, Action::start_container));
    EXPECT_THAT(plan.steps[3].after, testing::UnorderedElementsAre(0, 1, 2));
    EXPECT_THAT(plan.steps[4].after, ElementsAre(3));
    EXPECT_EQ(settle(), 5);
    EXPECT_THAT(planned().steps, IsEmpty());
    EXPECT_EQ(engine.container("dev")->state, ContainerState::running);
    EXPECT_EQ(engine.container("dev")->labels.at(kHost), reconcile::kHost);
}

TEST_F(PlannerTest, LimitsRestartPolicyAndNetworksChangeInPlace) {
    add_network(desired, "lab");
    add_network(desired, "lab2");
    add_workspace(desired, "dev").spec.networks = {{.network = "lab"}};
    desired.workspaces[0].spec.resources.memory = 64 << 20;
    settle();
    const auto id = engine.container("dev")->id;
    auto& spec = desired.workspaces[0].spec;
    spec.resources.memory = 128 << 20;
    spec.resources.pids = 10;
    spec.restart = protocol::RestartPolicy::always;
    spec.networks = {{.network = "lab2", .aliases = {"web"}, .ipv4 = "10.0.0.9"}};
    const auto plan = planned();
    EXPECT_THAT(actions(plan), ElementsAre(Action::disconnect_network, Action::connect_network,
                                           Action::update_container));
    EXPECT_THAT(plan.steps[2].reason.text,
                HasSubstr("resources/memory: 67108864 -> 134217728, resources/pids: none -> 10, "
                          "restart: unless-stopped -> always"));
    settle();
    const auto* container = engine.container("dev");
    EXPECT_EQ(container->id, id);
    EXPECT_EQ(container->limits.memory, 128 << 20);
    EXPECT_EQ(container->networks.at(0).network, "lab2");
}

TEST_F(PlannerTest, WhatCantChangeInPlaceReplacesAndSaysWhy) {
    auto& workspace = add_workspace(desired, "dev");
    workspace.spec.env = {{"EDITOR", "vim"}, {"PASSWORD", "hunter2"}};
    workspace.spec.command = {"sleep", "1"};
    settle();
    const auto id = engine.container("dev")->id;
    desired.workspaces[0].spec.env["PASSWORD"] = "hunter3";
    desired.workspaces[0].spec.command = {"sleep", "2"};
    const auto plan = planned();
    EXPECT_THAT(actions(plan), ElementsAre(Action::create_container, Action::start_replacement,
                                           Action::finish_replacement));
    EXPECT_THAT(plan.steps[0].reason.text, HasSubstr(R"(command: ["sleep","1"] -> ["sleep","2"])"));
    EXPECT_THAT(plan.steps[0].reason.text, HasSubstr("env/PASSWORD: set -> another value"));
    EXPECT_THAT(plan.steps[0].reason.text, Not(HasSubstr("hunter")));
    EXPECT_THAT(plan.steps[0].reason.text, Not(HasSubstr("EDITOR")));
    settle();
    EXPECT_NE(engine.container("dev")->id, id);
    EXPECT_THAT(engine.container_names(), ElementsAre("dev"));
}

TEST_F(PlannerTest, TheOrderOfPortsMountsAndAliasesMeansNothing) {
    add_network(desired, "lab");
    auto& spec = add_workspace(desired, "dev").spec;
    spec.ports = {{.host = 1, .container = 1}, {.host = 2, .container = 2}};
    spec.networks = {{.network = "lab", .aliases = {"a", "b"}}};
    settle();
    std::swap(desired.workspaces[0].spec.ports[0], desired.workspaces[0].spec.ports[1]);
    desired.workspaces[0].spec.networks[0].aliases = {"b", "a"};
    EXPECT_THAT(planned().steps, IsEmpty());
}

TEST_F(PlannerTest, ALimitThatIsTakenAwayReplaces) {
    add_workspace(desired, "dev").spec.resources.cpus = 1;
    settle();
    desired.workspaces[0].spec.resources.cpus.reset();
    EXPECT_THAT(planned().steps.at(0).reason.text, HasSubstr("resources/cpus: 1000000000 -> none"));
    settle();
    EXPECT_EQ(engine.container("dev")->limits.nano_cpus, 0);
}

TEST_F(PlannerTest, AnImageBuiltAnewReplacesWhatRunsOnIt) {
    add_image(desired, "tools");
    add_workspace(desired, "dev").spec.image = "tools";
    settle();
    const auto before = engine.container("dev")->image_id;
    desired.images[0].spec.dockerfile = "FROM image:1\nRUN true\n";
    settle();
    EXPECT_NE(engine.container("dev")->image_id, before);
}

TEST_F(PlannerTest, AMovedTagReplacesWhoeverAskedForAPull) {
    auto& image = add_image(desired, "tools");
    image.spec.dockerfile = "";
    add_workspace(desired, "dev").spec.image = "tools";
    settle();
    const auto before = engine.container("dev")->image_id;
    engine.move_tag("tools:1");
    EXPECT_THAT(planned().steps, IsEmpty()) << "nobody asked for a pull";
    ++desired.images[0].rebuilds;
    settle();
    EXPECT_NE(engine.container("dev")->image_id, before);
    const auto moved = engine.container("dev")->image_id;
    ++desired.images[0].rebuilds;
    settle();
    EXPECT_EQ(engine.container("dev")->image_id, moved) << "the tag means the same as before";
    EXPECT_EQ(engine.count("create_container"), 2U);
}

// An agent that has just started does not know what the one before it has pulled.
TEST_F(PlannerTest, WhatWasPulledByForceIsNotPulledAgainWhereTheServerKnows) {
    auto& image = add_image(desired, "tools");
    image.spec.dockerfile = "";
    image.spec.pull = true;
    settle();
    ASSERT_THAT(actions(planned()), ElementsAre(Action::pull_image));
    memory.from_cache = true;
    EXPECT_THAT(planned().steps, IsEmpty()) << "the server has yet to tell";
    memory.from_cache = false;
    desired.images[0].forced_pull = compile(desired, bounds).images[0].hash;
    EXPECT_THAT(planned().steps, IsEmpty());
    ++desired.images[0].rebuilds;
    EXPECT_THAT(actions(planned()), ElementsAre(Action::pull_image));
}

TEST_F(PlannerTest, AnInterruptedReplacementGoesOn) {
    add_workspace(desired, "dev");
    settle();
    desired.workspaces[0].redeploys = 1;
    const auto wanted = compile(desired, {});
    // As after a kill between any two steps.
    auto next = wanted.workspaces[0].spec;
    next.name = "dev.next";
    engine.put_container(next, false);
    EXPECT_THAT(actions(planned()),
                ElementsAre(Action::start_replacement, Action::finish_replacement));
    EXPECT_TRUE(planned().steps[0].stop_first);
    loop.run(engine.stop_container("dev", 1s));
    EXPECT_THAT(actions(planned()),
                ElementsAre(Action::start_replacement, Action::finish_replacement));
    EXPECT_FALSE(planned().steps[0].stop_first);
    loop.run(engine.start_container(engine.container("dev.next")->id));
    EXPECT_THAT(actions(planned()), ElementsAre(Action::finish_replacement));
    loop.run(engine.remove_container("dev"));
    EXPECT_THAT(actions(planned()), ElementsAre(Action::rename_container));
    settle();
    EXPECT_THAT(engine.container_names(), ElementsAre("dev"));
}

TEST_F(PlannerTest, APausedContainerGoesOnAndIsStoppedChangedReplacedAndDeletedLikeAnyOther) {
    add_workspace(desired, "dev");
    settle();
    const auto id = engine.container("dev")->id;
    engine.pause_container("dev");
    const auto plan = planned();
    EXPECT_THAT(actions(plan), ElementsAre(Action::unpause_container));
    EXPECT_EQ(plan.steps[0].reason.text, "is paused");
    desired.workspaces[0].spec.resources.pids = 7;
    EXPECT_THAT(actions(planned()),
                ElementsAre(Action::update_container, Action::unpause_container));
    settle();
    EXPECT_EQ(engine.container("dev")->state, ContainerState::running);
    EXPECT_EQ(engine.container("dev")->limits.pids, 7);
    EXPECT_EQ(engine.container("dev")->id, id);
    engine.pause_container("dev");
    desired.workspaces[0].restart_before = now() + 1ms;
    EXPECT_THAT(actions(planned()), ElementsAre(Action::restart_container));
    desired.workspaces[0].restart_before.reset();
    desired.workspaces[0].redeploys = 1;
    EXPECT_TRUE(planned().steps.at(1).stop_first) << "it gives way to the new one";
    settle();
    EXPECT_NE(engine.container("dev")->id, id);
    engine.pause_container("dev");
    desired.workspaces[0].running = false;
    EXPECT_THAT(actions(planned()), ElementsAre(Action::stop_container));
    settle();
    EXPECT_EQ(engine.container("dev")->state, ContainerState::exited);
    desired.workspaces[0].running = true;
    settle();
    engine.pause_container("dev");
    desired.workspaces[0].deleting = true;
    settle();
    EXPECT_THAT(engine.container_names(), IsEmpty());
}

TEST_F(PlannerTest, AReplacementThatDiesIsRolledBack) {
    add_workspace(desired, "dev");
    settle();
    desired.workspaces[0].redeploys = 1;
    auto next = compile(desired, {}).workspaces[0].spec;
    next.name = "dev.next";
    engine.put_container(next);
    engine.kill_container("dev.next", 3);
    const auto plan = planned();
    ASSERT_THAT(actions(plan), ElementsAre(Action::roll_back));
    EXPECT_THAT(plan.steps[0].reason.text, HasSubstr("exit code 3"));
}

TEST_F(PlannerTest, AReplacementThatIsNoLongerWantedGoes) {
    add_workspace(desired, "dev");
    settle();
    const auto id = engine.container("dev")->id;
    auto other = desired;
    other.workspaces[0].redeploys = 1;
    auto next = compile(other, {}).workspaces[0].spec;
    next.name = "dev.next";
    engine.put_container(next, false);
    EXPECT_THAT(actions(planned()), ElementsAre(Action::remove_container));
    settle();
    EXPECT_EQ(engine.container("dev")->id, id);
}

TEST_F(PlannerTest, WhatBelongsToNothingWantedGoesButNeverAVolumeOrAnothersObject) {
    add_network(desired, "lab");
    add_volume(desired, "data");
    add_workspace(desired, "dev").spec.networks = {{.network = "lab"}};
    settle();
    engine.put_container({.name = "foreign", .image = "image:1"});
    auto other = compile(desired, {}).workspaces[0].spec;
    other.name = "other-hosts";
    other.networks.clear();
    other.labels[kHost] = "host-2";
    engine.put_container(other);
    desired = nothing_wanted();
    settle();
    EXPECT_THAT(engine.container_names(), ElementsAre("foreign", "other-hosts"));
    EXPECT_TRUE(engine.volumes().contains("data"));
}

TEST_F(PlannerTest, DeletingGoesInTheOrderOfUse) {
    add_network(desired, "lab");
    add_volume(desired, "data");
    add_image(desired, "tools");
    auto& spec = add_workspace(desired, "dev").spec;
    spec.image = "tools";
    spec.networks = {{.network = "lab"}};
    spec.mounts = {{.volume = "data", .target = "/data"}};
    settle();
    desired.networks[0].deleting = desired.volumes[0].deleting = true;
    desired.images[0].deleting = desired.workspaces[0].deleting = true;
    settle();
    EXPECT_THAT(engine.container_names(), IsEmpty());
    EXPECT_THAT(engine.volumes(), IsEmpty());
    EXPECT_EQ(engine.networks().size(), 1U) << "the engine's own bridge";
}

TEST_F(PlannerTest, ANetworkMadeAnewUnderItsNameTakesItsWorkspacesAlong) {
    add_network(desired, "lab");
    add_workspace(desired, "dev").spec.networks = {{.network = "lab"}};
    settle();
    desired.networks[0].id = "id-lab-2";
    settle();
    EXPECT_THAT(planned().steps, IsEmpty());
    const auto* container = engine.container("dev");
    EXPECT_EQ(
        engine.networks().at(container->networks.at(0).network_id).labels.at(runtime::label::kId),
        "id-lab-2");
}

// Found on a real engine: killed while it makes a network, the engine makes it all the same, and
// then once more for the agent that has come back.
TEST_F(PlannerTest, OfTwoNetworksOfOneNameTheUnusedOneGoesBeforeAnythingStarts) {
    add_network(desired, "lab");
    add_workspace(desired, "dev").spec.networks = {{.network = "lab"}};
    desired.workspaces[0].running = false;
    settle();
    const auto used = engine.container("dev")->networks.at(0).network_id;
    engine.put_network(compile(desired, {}).networks[0].spec);
    desired.workspaces[0].running = true;
    const auto plan = planned();
    EXPECT_THAT(actions(plan), ElementsAre(Action::remove_network, Action::start_container));
    EXPECT_THAT(plan.steps[1].after, ElementsAre(0));
    settle();
    EXPECT_TRUE(engine.networks().contains(used));
    EXPECT_EQ(engine.networks().size(), 2U);
    EXPECT_EQ(engine.container("dev")->state, ContainerState::running);
}

TEST_F(PlannerTest, ContainersOnBothOfTwoNetworksOfOneNameEndUpOnOne) {
    add_network(desired, "lab");
    for (const auto* name : {"one", "two", "three"}) {
        add_workspace(desired, name).spec.networks = {{.network = "lab"}};
    }
    settle();
    engine.detach("one", "lab");
    auto spec = compile(desired, {}).networks[0].spec;
    spec.name = "lab-";
    engine.put_network(spec);
    loop.run(engine.connect_network(engine.container("one")->id, {.network = "lab-"}));
    engine.rename_network("lab-", "lab");
    settle();
    EXPECT_EQ(engine.networks().size(), 2U);
    EXPECT_EQ(engine.container("one")->networks.at(0).network_id,
              engine.container("two")->networks.at(0).network_id);
}

TEST_F(PlannerTest, ARestartHappensOnce) {
    add_workspace(desired, "dev");
    settle();
    desired.workspaces[0].restart_before = now() + 1ms;
    EXPECT_THAT(actions(planned()), ElementsAre(Action::restart_container));
    desired.workspaces[0].restart_before = engine.container("dev")->started.value();
    EXPECT_THAT(planned().steps, IsEmpty());
}

TEST_F(PlannerTest, ACommandThatEndsByItselfStaysEndedUnderThePolicyNo) {
    add_workspace(desired, "dev").spec.restart = protocol::RestartPolicy::no;
    settle();
    engine.kill_container("dev", 0);
    EXPECT_THAT(planned().steps, IsEmpty());
    desired.workspaces[0].restart_before = now() + 1ms;
    EXPECT_THAT(actions(planned()), ElementsAre(Action::start_container));
}

TEST_F(PlannerTest, ABindMountOutsideTheHostsRootsIsAFault) {
    add_workspace(desired, "dev").spec.mounts = {{.bind = "/srv/../etc", .target = "/x"}};
    bounds.allowed_bind_roots = {"/srv"};
    EXPECT_THAT(compile(desired, bounds).workspaces[0].fault, HasSubstr("allowed_bind_roots"));
    EXPECT_THAT(planned().steps, IsEmpty());
    desired.workspaces[0].spec.mounts[0].bind = "/srv/models";
    EXPECT_EQ(compile(desired, bounds).workspaces[0].fault, "");
    bounds.allowed_bind_roots = {"/"};
    EXPECT_EQ(compile(desired, bounds).workspaces[0].fault, "");
}

TEST_F(PlannerTest, AFaultyWorkspaceIsStoppedWhereItIsToBeAndNothingElseIsDoneToIt) {
    add_workspace(desired, "dev").spec.resources.pids = 5;
    settle();
    desired.workspaces[0].spec.resources.pids = 6;
    desired.workspaces[0].spec.privileged = true;
    EXPECT_THAT(planned().steps, IsEmpty());
    desired.workspaces[0].running = false;
    EXPECT_THAT(actions(planned()), ElementsAre(Action::stop_container));
    settle();
    EXPECT_EQ(engine.container("dev")->state, ContainerState::exited);
    EXPECT_EQ(engine.container("dev")->limits.pids, 5);
}

TEST_F(PlannerTest, WhatAHostDoesNotAllowIsAFaultThatNamesTheKey) {
    using Spec = protocol::WorkspaceSpec;
    const std::vector<std::pair<std::string, std::function<void(Spec&)>>> cases{
        {"allow_privileged", [](Spec& spec) { spec.privileged = true; }},
        {"allow_host_network", [](Spec& spec) { spec.host_network = true; }},
        {"allowed_capabilities", [](Spec& spec) { spec.cap_add = {"NET_ADMIN"}; }},
        {"allowed_devices", [](Spec& spec) { spec.devices = {{.host = "/dev/fuse"}}; }}};
    Bounds wide;
    wide.allow_privileged = wide.allow_host_network = true;
    wide.allowed_capabilities = {"NET_ADMIN"};
    wide.allowed_devices = {"/dev/fuse"};
    for (const auto& [key, ask] : cases) {
        desired = nothing_wanted();
        ask(add_workspace(desired, "dev").spec);
        EXPECT_THAT(compile(desired, {}).workspaces[0].fault, HasSubstr(key));
        EXPECT_EQ(compile(desired, wide).workspaces[0].fault, "");
    }
}

TEST_F(PlannerTest, ADependencyIsStartedFirstAndAwaitedUntilItIsHealthy) {
    add_workspace(desired, "web").spec.depends_on = {{.workspace = "cache"}, {.workspace = "db"}};
    add_workspace(desired, "cache");
    add_workspace(desired, "db").spec.health_check = protocol::HealthCheck{.command = {"true"}};
    auto plan = planned();
    std::map<std::string, std::size_t> starts;
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        if (plan.steps[i].action == Action::start_container) starts[plan.steps[i].name] = i;
    }
    EXPECT_THAT(plan.steps.at(starts.at("web")).after,
                testing::IsSupersetOf({starts.at("cache"), starts.at("db")}));
    using Condition = protocol::DependencyCondition;
    desired.workspaces[0].spec.depends_on[1].condition = Condition::healthy;
    settle();
    EXPECT_EQ(engine.container("web")->state, ContainerState::created);
    const auto wanted = compile(desired, {});
    plan = planned();
    EXPECT_EQ(plan.waits.at(wanted.workspaces[0].key).second, "workspace db to be healthy");
    engine.set_health("db", runtime::ContainerHealth::healthy);
    settle();
    EXPECT_EQ(engine.container("web")->state, ContainerState::running);
    // Once up, it is not stopped for what becomes of them.
    engine.set_health("db", runtime::ContainerHealth::unhealthy);
    EXPECT_THAT(planned().steps, IsEmpty());
}

TEST_F(PlannerTest, GraceAndPullAreAsAskedFor) {
    auto& workspace = add_workspace(desired, "dev");
    workspace.spec.pull = protocol::PullPolicy::always;
    workspace.spec.stop_grace_ms = 1500;
    EXPECT_TRUE(planned().steps.at(0).pull_first);
    settle();
    EXPECT_EQ(engine.count("pull_image image:1"), 1U);
    desired.workspaces[0].running = false;
    const auto plan = planned();
    ASSERT_THAT(actions(plan), ElementsAre(Action::stop_container));
    EXPECT_EQ(plan.steps[0].grace, 1500ms);
    desired = nothing_wanted();
    add_workspace(desired, "other").spec.pull = protocol::PullPolicy::never;
    EXPECT_FALSE(planned().steps.at(0).may_pull);
}

// It was to be connected to the engine's bridge, for it names no network, and no engine does that.
TEST_F(PlannerTest, OnTheHostsNetworkIsAsWanted) {
    add_workspace(desired, "dev").spec.host_network = true;
    bounds.allow_host_network = true;
    loop.run(settle_in_order(engine, desired, bounds));
    EXPECT_EQ(engine.container("dev")->state, ContainerState::running);
    EXPECT_THAT(planned().steps, IsEmpty());
}

TEST_F(PlannerTest, ARenamedContainerGetsItsNameBack) {
    add_workspace(desired, "dev");
    settle();
    const auto id = engine.container("dev")->id;
    loop.run(engine.rename_container(id, "elsewhere"));
    settle();
    EXPECT_EQ(engine.container("dev")->id, id);
}

// The engine calls it tools:latest: as "tools" it was not found again, and built without end.
TEST_F(PlannerTest, AReferenceWithoutATagIsTheLatest) {
    for (const auto* reference : {"tools", "localhost:5000/team/tools"}) {
        desired = nothing_wanted();
        add_image(desired, "tools").spec.reference = reference;
        settle();
        EXPECT_EQ(engine.count(fmt::format("build_image {}:latest", reference)), 1U);
        EXPECT_TRUE(planned().steps.empty());
    }
}

}  // namespace
