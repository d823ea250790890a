// The planner: the bytes choose a desired state and what an engine shows, and no plan of the two
// may break a rule; then they choose two states to be reached on the fake engine, what happens
// there behind the agent's back, and the order of the steps.
#include <fuzzer/FuzzedDataProvider.h>

#include <functional>

#include "must_be.h"
#include "reconcile/random_world.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;

void plan_of_whatever_is_seen(RandomWorld& world) {
    const auto wanted = compile(world.impossible(), {});
    const auto observed = world.observed(wanted);
    const auto planned = plan(wanted, observed, {}, now());
    must_be(planned.steps.size() <= 400, "a plan without end");
    const auto rule = broken_rule(planned, wanted, observed);
    must_be(rule.empty(), rule);
}

using Choose = std::function<std::size_t(std::size_t choices)>;

Task<> reach(FakeRuntime* engine, protocol::DesiredState desired, Choose choose) {
    co_await settle(*engine, std::move(desired), std::move(choose));
}

void reach_two_states(RandomWorld& world, FuzzedDataProvider& bytes) {
    Loop loop;
    FakeRuntime engine(loop.executor());
    engine.add_image("image:1");
    engine.put_container({.name = "foreign", .image = "image:1"});
    const auto foreign = *engine.container("foreign");
    const auto choose = [&bytes](std::size_t choices) {
        return bytes.ConsumeIntegralInRange<std::size_t>(0, choices - 1);
    };
    const auto first_of = [](std::size_t) { return std::size_t{0}; };
    for (int i = 0; i < 2; ++i) {
        const auto desired = world.desired();
        loop.run(reach(&engine, desired, choose));
        const auto changes = engine.changes();
        loop.run(reach(&engine, desired, first_of));
        must_be(engine.changes() == changes, "planning again changes something");
        must_be(*engine.container("foreign") == foreign, "a container of somebody else is touched");
        const auto wanted = compile(desired, {});
        for (const auto& each : wanted.workspaces) {
            const auto* container = engine.container(each.name);
            must_be((container == nullptr) == each.deleting, "not the wanted containers");
            must_be(each.deleting || container->labels == each.spec.labels, "not the wanted spec");
        }
        for (const auto& each : world.drift()) RandomWorld::happen(engine, each);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    FuzzedDataProvider bytes(data, size);
    RandomWorld world([&bytes](int end) { return bytes.ConsumeIntegralInRange(0, end - 1); });
    plan_of_whatever_is_seen(world);
    reach_two_states(world, bytes);
    return 0;
}
