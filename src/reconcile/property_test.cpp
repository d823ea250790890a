// What holds for every desired state on every engine: applying the plan reaches the desired state,
// planning again gives nothing, in whatever order the graph allows, and wherever the agent is
// killed.
#include <rapidcheck.h>

#include "reconcile/trial.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;

constexpr int kNames = 4;

std::string name_of(const char* prefix, int index) {
    return prefix + std::to_string(index);
}

// Specs that differ in what can change in place and in what can't.
protocol::DesiredState random_state() {
    auto desired = nothing_wanted();
    const auto coin = [] { return *rc::gen::arbitrary<bool>(); };
    const auto below = [](int end) { return *rc::gen::inRange(0, end); };
    std::vector<std::string> networks;
    std::vector<std::string> volumes;
    for (int i = 0; i < kNames; ++i) {
        if (coin()) {
            auto& made = add_network(desired, name_of("net", i));
            made.id += std::to_string(below(2));  // deleted and made anew under its name
            networks.push_back(made.name);
        }
        if (coin()) volumes.push_back(add_volume(desired, name_of("vol", i)).name);
    }
    const bool image = coin();
    if (image) add_image(desired, "tools").rebuilds = below(2);
    for (int i = 0; i < kNames; ++i) {
        if (!coin()) continue;
        auto& made = add_workspace(desired, name_of("ws", i));
        made.id += std::to_string(below(2));
        made.running = below(4) != 0;
        made.redeploys = below(2);
        auto& spec = made.spec;
        if (image && coin()) spec.image = "tools";
        if (coin()) spec.env["A"] = std::to_string(below(2));
        if (coin()) spec.resources.memory = (64 + below(2)) << 20;
        if (coin()) spec.resources.pids = 10 + below(2);
        if (coin()) spec.restart = protocol::RestartPolicy::always;
        for (const auto& network : networks) {
            if (coin()) spec.networks.push_back({.network = network});
        }
        for (const auto& volume : volumes) {
            if (coin()) spec.mounts.push_back({.volume = volume, .target = "/" + volume});
        }
        made.deleting = below(8) == 0;
    }
    return desired;
}

void put_foreign_objects(FakeRuntime& engine) {
    engine.put_network({.name = "foreign"});
    engine.put_volume({.name = "foreign"});
    engine.put_container(
        {.name = "foreign", .image = "image:1", .networks = {{.network = "foreign"}}});
}

std::vector<std::string> wanted_names(const protocol::DesiredState& desired) {
    std::vector<std::string> names{"foreign"};
    for (const auto& each : desired.workspaces) {
        if (!each.deleting) names.push_back(each.name);
    }
    std::ranges::sort(names);
    return names;
}

void expect_reached(FakeRuntime& engine, const protocol::DesiredState& desired) {
    RC_ASSERT(engine.container_names() == wanted_names(desired));
    const auto wanted = compile(desired, {});
    for (const auto& each : wanted.workspaces) {
        if (each.deleting) continue;
        const auto* container = engine.container(each.name);
        RC_ASSERT(container->labels == each.spec.labels);
        RC_ASSERT((container->state == ContainerState::running) == each.running);
        RC_ASSERT(container->limits == each.spec.limits);
        RC_ASSERT(container->restart == each.spec.restart);
        std::set<std::string> networks;
        for (const auto& attachment : container->networks) {
            networks.insert(attachment.network);
            RC_ASSERT(engine.networks().contains(attachment.network_id));
        }
        std::set<std::string> targets(each.networks.begin(), each.networks.end());
        if (targets.empty()) targets.insert("bridge");
        RC_ASSERT(networks == targets);
    }
    std::set<std::string> networks;
    for (const auto& [id, each] : engine.networks()) networks.insert(each.name);
    std::set<std::string> targets{"bridge", "foreign"};
    for (const auto& each : desired.networks) targets.insert(each.name);
    RC_ASSERT(networks == targets);
    for (const auto& each : desired.volumes) RC_ASSERT(engine.volumes().contains(each.name));
    RC_ASSERT(engine.container("foreign")->state == ContainerState::running);
    RC_ASSERT(engine.volumes().contains("foreign"));
}

Task<> reach(FakeRuntime& engine, protocol::DesiredState desired, std::vector<int> dice) {
    std::size_t thrown = 0;
    co_await settle(engine, desired, [&](std::size_t choices) {
        const auto die = dice[thrown++ % dice.size()];
        return static_cast<std::size_t>(die) % choices;
    });
}

std::vector<int> some_dice() {
    return *rc::gen::container<std::vector<int>>(32, rc::gen::inRange(0, 1000));
}

TEST(PlannerProperties, FromAnyStateToAnyOtherInAnyOrder) {
    EXPECT_TRUE(rc::check([] {
        Loop loop;
        FakeRuntime engine(loop.executor());
        engine.add_image("image:1");
        put_foreign_objects(engine);
        for (int i = 0; i < 3; ++i) {
            const auto desired = random_state();
            loop.run(reach(engine, desired, some_dice()));
            expect_reached(engine, desired);
            engine.forget_calls();
            loop.run(reach(engine, desired, {0}));  // planning again gives nothing
            RC_ASSERT(engine.count("create") + engine.count("remove") + engine.count("start") ==
                      0U);
        }
    }));
}

// Does steps until the engine freezes: as if the agent were killed at that moment.
Task<> reach_until_frozen(FakeRuntime& engine, protocol::DesiredState desired,
                          aio::TaskGroup& attempt) {
    attempt.spawn(reach(engine, std::move(desired), {0, 3, 1}));
    while (attempt.size() > 0 && !engine.frozen()) co_await aio::sleep(1ms);
    attempt.cancel();
    co_await attempt.join();
    engine.thaw();
}

TEST(PlannerProperties, KilledAfterAnyChangeItGoesOnToTheSameEnd) {
    EXPECT_TRUE(rc::check([] {
        Loop loop;
        FakeRuntime engine(loop.executor());
        engine.add_image("image:1");
        put_foreign_objects(engine);
        loop.run(reach(engine, random_state(), {0}));
        const auto desired = random_state();
        const auto kills = *rc::gen::container<std::vector<int>>(3, rc::gen::inRange(0, 12));
        for (const auto changes : kills) {
            engine.freeze_after(static_cast<std::size_t>(changes));
            aio::TaskGroup attempt(loop.executor());
            loop.run(reach_until_frozen(engine, desired, attempt));
        }
        loop.run(reach(engine, desired, {0}));
        expect_reached(engine, desired);
    }));
}

}  // namespace
