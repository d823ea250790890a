// Found by the properties and the fuzzer; here each by itself.
#include "reconcile/random_world.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;

Task<> settle_last_first(FakeRuntime* engine, protocol::DesiredState desired) {
    co_await settle(*engine, std::move(desired), [](std::size_t choices) { return choices - 1; });
}

TEST(PlannerRemovals, AVolumeGoesOnceTheContainerThatMountsItIsReplacedByOneThatDoesNot) {
    Loop loop;
    FakeRuntime engine(loop.executor());
    engine.add_image("image:1");
    auto desired = nothing_wanted();
    add_volume(desired, "data");
    add_workspace(desired, "dev").spec.mounts.push_back({.volume = "data", .target = "/data"});
    loop.run(settle_last_first(&engine, desired));
    desired.workspaces.front().spec.mounts.clear();
    desired.volumes.front().deleting = true;
    loop.run(settle_last_first(&engine, desired));  // throws where it is still in use
    EXPECT_TRUE(engine.volumes().empty());
    EXPECT_EQ(engine.container("dev")->state, ContainerState::running);
}

TEST(PlannerRemovals, AnImageGoesOnceTheContainerMadeFromItIsReplacedByOneFromAnother) {
    Loop loop;
    FakeRuntime engine(loop.executor());
    engine.add_image("image:1");
    auto desired = nothing_wanted();
    add_image(desired, "tools");
    add_workspace(desired, "dev").spec.image = "tools";
    loop.run(settle_last_first(&engine, desired));
    desired.workspaces.front().spec.image = "image:1";
    desired.images.front().deleting = true;
    loop.run(settle_last_first(&engine, desired));
    EXPECT_EQ(engine.container("dev")->image, "image:1");
}

runtime::Container container_of(const WantedWorkspace& wanted, const std::string& id,
                                const std::string& network_id) {
    runtime::Container made{.id = id, .name = wanted.name, .labels = wanted.spec.labels};
    made.state = ContainerState::running;
    made.restart = wanted.spec.restart;
    made.networks.push_back({.network = "lab", .aliases = {wanted.name}, .network_id = network_id});
    return made;
}

TEST(PlannerRemovals,
     StepsDoNotWaitForEachOtherWhereAReplacedContainerIsOnANetworkThatIsThereTwice) {
    auto desired = nothing_wanted();
    add_network(desired, "lab");
    for (const auto* name : {"one", "two"}) {
        add_workspace(desired, name).spec.networks.push_back({.network = "lab"});
    }
    const auto wanted = compile(desired, {});
    Observed observed;
    for (const auto* id : {"a", "b"}) {
        observed.networks[id] = {
            .id = id, .name = "lab", .labels = wanted.networks.front().spec.labels};
    }
    observed.containers["1"] = container_of(wanted.workspaces[0], "1", "a");
    observed.containers["2"] = container_of(wanted.workspaces[1], "2", "b");
    observed.containers["2"].labels[runtime::label::kSpecHash] = "of another spec";
    const auto planned = plan(wanted, observed, {}, now());
    EXPECT_EQ(broken_rule(planned, wanted, observed), "");
    EXPECT_EQ(std::ranges::count(planned.steps, Action::remove_network, &Step::action), 1);
}

TEST(PlannerRemovals, ANetworkWaitsForAFormerContainerThatCameBackToIt) {
    Loop loop;
    FakeRuntime engine(loop.executor());
    engine.add_image("image:1");
    engine.add_image("broken:1");
    engine.exit_at_start("broken:1", 1);
    auto desired = nothing_wanted();
    add_network(desired, "lab");
    add_workspace(desired, "dev").spec.networks = {{.network = "lab"}};
    loop.run(settle_last_first(&engine, desired));
    auto& workspace = desired.workspaces.front();
    workspace.spec.image = "broken:1";
    workspace.spec.networks.clear();
    ++workspace.revision;
    desired.networks.front().deleting = true;
    loop.run(settle_last_first(&engine, desired));
    EXPECT_EQ(engine.container("dev")->image, "image:1");
    EXPECT_EQ(engine.networks().size(), 2U) << "the engine's own, and this";

    // Told so, and not tried in vain.
    const auto wanted = compile(desired, {});
    Observed observed;
    for (const auto& [id, each] : engine.networks()) observed.networks[id] = each;
    const auto* container = engine.container("dev");
    observed.containers[container->id] = *container;
    const auto* failed = engine.container(std::string("dev") + kFailedSuffix);
    ASSERT_NE(failed, nullptr);
    observed.containers[failed->id] = *failed;
    const auto planned = plan(wanted, observed, {}, now());
    EXPECT_TRUE(planned.steps.empty());
    EXPECT_EQ(planned.waits.at({Kind::network, "id-lab"}).second, "container dev, which uses it");
}

TEST(PlannerRemovals, TwoNetworksOfOneNameThatAnotherTrailerHostMadeAreLeftToIt) {
    auto desired = nothing_wanted();
    add_network(desired, "lab");
    const auto wanted = compile(desired, {});
    Observed observed;
    for (const auto* id : {"a", "b"}) {
        observed.networks[id] = {.id = id,
                                 .name = "lab",
                                 .labels = {{runtime::label::kManaged, "true"},
                                            {runtime::label::kHost, "host-2"},
                                            {runtime::label::kId, "theirs"}}};
    }
    const auto planned = plan(wanted, observed, {}, now());
    EXPECT_EQ(std::ranges::count(planned.steps, Action::remove_network, &Step::action), 0);
}

}  // namespace
