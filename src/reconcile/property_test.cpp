// What holds for every desired state on every engine: applying the plan reaches the desired state,
// planning again gives nothing, in whatever order the graph allows, and wherever the agent is
// killed.
#include <rapidcheck.h>

#include "reconcile/containers.h"
#include "reconcile/random_world.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;
using Drift = RandomWorld::Drift;

RandomWorld random_world() {
    return RandomWorld([](int end) { return *rc::gen::inRange(0, end); });
}

// What the agent must not touch: made by hand, and by another Trailer host.
void put_strangers(FakeRuntime& engine) {
    const runtime::Labels other{{runtime::label::kManaged, "true"},
                                {runtime::label::kHost, "host-2"},
                                {runtime::label::kId, "id-of-host-2"}};
    engine.put_network({.name = "foreign"});
    engine.put_volume({.name = "foreign"});
    engine.put_network({.name = "other", .labels = other});
    engine.put_volume({.name = "other", .labels = other});
    engine.put_container(
        {.name = "foreign", .image = "image:1", .networks = {{.network = "foreign"}}});
    engine.put_container(
        {.name = "other", .image = "image:1", .networks = {{.network = "other"}}, .labels = other});
}

bool stranger(const std::string& name) {
    return name == "foreign" || name == "other" || name == "bridge";
}

// What an engine ended with, without ids and times; strangers with all that they have.
struct End {
    std::vector<std::string> ours;
    std::vector<runtime::Container> strange_containers;
    std::vector<runtime::Network> strange_networks;
    std::vector<runtime::Volume> strange_volumes;

    bool operator==(const End&) const = default;
};

std::string text_of(const runtime::Container& container) {
    std::set<std::string> networks;
    for (const auto& each : container.networks) {
        networks.insert(fmt::format("{}({})", each.network, fmt::join(each.aliases, " ")));
    }
    return fmt::format("container {} {} {} {} {} {} {} [{}] {}", container.name, container.image,
                       container.state == ContainerState::running, container.limits.nano_cpus,
                       container.limits.memory, container.limits.pids,
                       wire::to_text(container.restart), fmt::join(networks, ", "),
                       wire::to_json_text(container.labels));
}

End end_of(const FakeRuntime& engine) {
    End end;
    for (const auto& name : engine.container_names()) {
        const auto& container = *engine.container(name);
        if (stranger(name)) {
            end.strange_containers.push_back(container);
        } else {
            end.ours.push_back(text_of(container));
        }
    }
    for (const auto& [id, each] : engine.networks()) {
        if (stranger(each.name)) {
            end.strange_networks.push_back(each);
        } else {
            end.ours.push_back(
                fmt::format("network {} {}", each.name, wire::to_json_text(each.labels)));
        }
    }
    for (const auto& [name, each] : engine.volumes()) {
        if (stranger(name)) {
            end.strange_volumes.push_back(each);
        } else {
            end.ours.push_back(fmt::format("volume {} {}", name, wire::to_json_text(each.labels)));
        }
    }
    std::ranges::sort(end.ours);
    return end;
}

void expect_strangers_untouched(const End& before, const FakeRuntime& engine) {
    const auto after = end_of(engine);
    RC_ASSERT(after.strange_containers == before.strange_containers);
    RC_ASSERT(after.strange_networks == before.strange_networks);
    RC_ASSERT(after.strange_volumes == before.strange_volumes);
}

void expect_container(const WantedWorkspace& wanted, const FakeRuntime& engine) {
    const auto* container = engine.container(wanted.name);
    RC_ASSERT(container != nullptr);
    RC_ASSERT(container->labels == wanted.spec.labels);
    RC_ASSERT(container->limits == wanted.spec.limits);
    RC_ASSERT(container->restart == wanted.spec.restart);
    const bool running = container->state == ContainerState::running;
    // Its restart policy may leave what has ended as it is.
    RC_ASSERT(running == (wanted.running && (running || starts_again(wanted, *container))));
    std::map<std::string, std::set<std::string>> targets;
    for (const auto& each : wanted.spec.networks) {
        targets[each.network] = {each.aliases.begin(), each.aliases.end()};
    }
    if (targets.empty()) targets["bridge"] = {};
    std::map<std::string, std::set<std::string>> seen;
    for (const auto& each : container->networks) {
        RC_ASSERT(engine.networks().contains(each.network_id));
        seen[each.network] = {each.aliases.begin(), each.aliases.end()};
    }
    RC_ASSERT(seen == targets);
}

// Exactly what is wanted is there, as it is wanted, and nothing of ours beside it.
void expect_reached(const FakeRuntime& engine, const protocol::DesiredState& desired) {
    const auto wanted = compile(desired, {});
    std::vector<std::string> containers{"foreign", "other"};
    for (const auto& each : wanted.workspaces) {
        if (each.deleting) continue;
        containers.push_back(each.name);
        expect_container(each, engine);
    }
    std::ranges::sort(containers);
    RC_ASSERT(engine.container_names() == containers);
    std::multiset<std::string> networks;
    for (const auto& [id, each] : engine.networks()) networks.insert(each.name);
    std::multiset<std::string> targets{"bridge", "foreign", "other"};
    for (const auto& each : desired.networks) {
        if (!each.deleting) targets.insert(each.name);
    }
    RC_ASSERT(networks == targets);
    for (const auto& each : desired.volumes) {
        RC_ASSERT(engine.volumes().contains(each.name) != each.deleting);
    }
}

// Step by step; `dice` choose among those that nothing stands before. Gives the number of steps.
Task<> reach(FakeRuntime& engine, protocol::DesiredState desired, std::vector<int> dice,
             int* steps = nullptr) {
    std::size_t thrown = 0;
    const auto done = co_await settle(engine, desired, [&](std::size_t choices) {
        const auto die = dice[thrown++ % dice.size()];
        return static_cast<std::size_t>(die) % choices;
    });
    if (steps != nullptr) *steps = done;
}

void expect_nothing_to_do(Loop& loop, FakeRuntime& engine, const protocol::DesiredState& desired) {
    engine.forget_calls();
    const auto changes = engine.changes();
    int steps = -1;
    loop.run(reach(engine, desired, {0}, &steps));
    RC_ASSERT(steps == 0);
    RC_ASSERT(engine.changes() == changes);
}

Task<> do_step(FakeRuntime* engine, Step step) {
    Touched touched;
    co_await execute(*engine, step, {}, {}, touched);
}

// As the agent does: several resources at once, one step of each.
Task<> reach_side_by_side(FakeRuntime& engine, protocol::DesiredState desired,
                          std::vector<int> dice) {
    const auto wanted = compile(desired, {});
    Observer observer(engine, "");
    const auto executor = co_await asio::this_coro::executor;
    std::size_t thrown = 0;
    for (int rounds = 0; rounds < 300; ++rounds) {
        const auto planned = co_await plan_now(wanted, observer);
        RC_ASSERT(broken_rule(planned, wanted, observer.observed()) == "");
        if (planned.steps.empty()) co_return;
        aio::TaskGroup side_by_side(executor);
        std::set<Key> busy;
        for (const auto& step : planned.steps) {
            const bool chosen = busy.empty() || dice[thrown++ % dice.size()] % 3 != 0;
            if (!chosen || !step.after.empty() || !busy.insert(step.key).second) continue;
            side_by_side.spawn(do_step(&engine, step));
        }
        RC_ASSERT(!busy.empty());
        co_await side_by_side.join();
    }
    RC_FAIL("the plan does not come to an end");
}

TEST(PlannerProperties, FromAnyStateToAnyOtherInAnyOrder) {
    EXPECT_TRUE(rc::check([] {
        auto world = random_world();
        Loop loop;
        FakeRuntime engine(loop.executor());
        engine.add_image("image:1");
        put_strangers(engine);
        const auto strangers = end_of(engine);
        for (int i = 0; i < 3; ++i) {
            const auto desired = world.desired();
            loop.run(reach(engine, desired, world.dice(32)));
            expect_reached(engine, desired);
            expect_strangers_untouched(strangers, engine);
            expect_nothing_to_do(loop, engine, desired);
            for (const auto& each : world.drift()) RandomWorld::happen(engine, each);
        }
    }));
}

TEST(PlannerProperties, EveryOrderThatTheGraphAllowsEndsTheSame) {
    EXPECT_TRUE(rc::check([] {
        auto world = random_world();
        Loop loop;
        std::vector<std::unique_ptr<FakeRuntime>> engines;
        for (int i = 0; i < 4; ++i) {
            engines.push_back(std::make_unique<FakeRuntime>(loop.executor()));
            engines.back()->add_image("image:1");
        }
        for (int i = 0; i < 2; ++i) {
            const auto desired = world.desired();
            std::optional<End> first;
            for (auto& engine : engines) {
                loop.run(reach(*engine, desired, world.dice(24)));
                const auto end = end_of(*engine);
                RC_ASSERT(end.ours == first.value_or(end).ours);
                first = end;
            }
            const auto drift = world.drift();
            for (auto& engine : engines) {
                for (const auto& each : drift) RandomWorld::happen(*engine, each);
            }
        }
    }));
}

TEST(PlannerProperties, StepsSideBySideEndAsOneAfterAnother) {
    EXPECT_TRUE(rc::check([] {
        auto world = random_world();
        Loop loop;
        FakeRuntime one(loop.executor());
        FakeRuntime other(loop.executor());
        for (auto* engine : {&one, &other}) {
            engine->add_image("image:1");
            put_strangers(*engine);
        }
        const auto strangers = end_of(one);
        one.shuffle(static_cast<unsigned>(world.dice(1).front()));
        for (int i = 0; i < 2; ++i) {
            const auto desired = world.desired();
            loop.run(reach_side_by_side(one, desired, world.dice(32)));
            loop.run(reach(other, desired, {0}));
            expect_reached(one, desired);
            expect_strangers_untouched(strangers, one);
            RC_ASSERT(end_of(one).ours == end_of(other).ours);
        }
    }));
}

TEST(PlannerProperties, APlanOfWhateverIsSeenKeepsTheRules) {
    EXPECT_TRUE(rc::check([] {
        auto world = random_world();
        const auto wanted = compile(world.impossible(), {});
        const auto observed = world.observed(wanted);
        RC_ASSERT(broken_rule(plan(wanted, observed, {}, now()), wanted, observed) == "");
    }));
}

TEST(PlannerProperties, CompilingAChangeComesOutAsCompilingTheWhole) {
    EXPECT_TRUE(rc::check([] {
        auto world = random_world();
        auto before = world.impossible();
        auto compiled = compile(before, {});
        for (int i = 0; i < 3; ++i) {
            // Alike but for one workspace, or another state altogether.
            auto desired = before;
            if (i == 1 || desired.workspaces.empty()) {
                desired = world.impossible();
            } else {
                ++desired.workspaces.front().revision;
                desired.workspaces.front().spec.env["B"] = std::to_string(i);
            }
            auto wanted = compile(desired, {}, compiled);
            RC_ASSERT(wanted == compile(desired, {}));
            before = std::move(desired);
            compiled = std::move(wanted);
        }
    }));
}

Task<> killed_after(FakeRuntime& engine, protocol::DesiredState desired, std::size_t changes) {
    co_await settle_until_killed(engine, std::move(desired), changes);
}

TEST(PlannerProperties, KilledAfterAnyChangeItGoesOnToTheSameEnd) {
    EXPECT_TRUE(rc::check([] {
        auto world = random_world();
        Loop loop;
        FakeRuntime engine(loop.executor());
        engine.add_image("image:1");
        put_strangers(engine);
        const auto strangers = end_of(engine);
        loop.run(reach(engine, world.desired(), {0}));
        const auto desired = world.desired();
        const auto kills = *rc::gen::container<std::vector<int>>(3, rc::gen::inRange(0, 12));
        for (const auto changes : kills) {
            loop.run(killed_after(engine, desired, static_cast<std::size_t>(changes)));
        }
        loop.run(reach(engine, desired, {0}));
        expect_reached(engine, desired);
        expect_strangers_untouched(strangers, engine);
    }));
}

}  // namespace
