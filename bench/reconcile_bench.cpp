// What the reconciler pays for each event on a host with many workspaces.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "reconcile/plan.h"
#include "reconcile/status.h"

namespace trailer::reconcile {
namespace {

protocol::DesiredState desired_state(std::int64_t count) {
    protocol::DesiredState desired{.host_id = "host-1", .revision = 1};
    for (std::int64_t i = 0; i < count; ++i) {
        const auto name = fmt::format("ws{:04}", i);  // and so its id: a server sends them in order
        desired.networks.push_back({.id = "net-" + name, .name = name + "-net", .revision = 1});
        desired.volumes.push_back({.id = "vol-" + name, .name = name + "-vol", .revision = 1});
        auto& workspace = desired.workspaces.emplace_back();
        workspace.id = name;
        workspace.name = name;
        workspace.revision = 1;
        workspace.spec.image = "image:1";
        workspace.spec.env = {{"A", "1"}};
        workspace.spec.mounts = {{.volume = name + "-vol", .target = "/data"}};
        workspace.spec.networks = {{.network = name + "-net", .aliases = {name}}};
        workspace.spec.resources.pids = 64;
    }
    return desired;
}

// The engine as it is when all of it is as wanted.
Observed all_there(const WantedState& wanted) {
    Observed observed;
    for (const auto& each : wanted.networks) {
        observed.networks[each.key.id] = {
            .id = each.key.id, .name = each.name, .labels = each.spec.labels};
    }
    for (const auto& each : wanted.volumes) {
        observed.volumes[each.name] = {.name = each.name, .labels = each.spec.labels};
    }
    for (const auto& each : wanted.workspaces) {
        auto networks = each.spec.networks;
        for (auto& attachment : networks) attachment.network_id = "net-" + each.name;
        observed.containers[each.key.id] = {.id = each.key.id,
                                            .name = each.name,
                                            .image = each.spec.image,
                                            .labels = each.spec.labels,
                                            .state = runtime::ContainerState::running,
                                            .limits = each.spec.limits,
                                            .restart = each.spec.restart,
                                            .networks = networks};
    }
    return observed;
}

void plan_with_nothing_to_do(benchmark::State& state) {
    const auto wanted = compile(desired_state(state.range(0)), {});
    const auto observed = all_there(wanted);
    const auto time = now();
    for (auto _ : state) {
        const auto made = plan(wanted, observed, {}, time);
        if (!made.steps.empty()) state.SkipWithError("there are steps");
        benchmark::DoNotOptimize(made);
    }
}
BENCHMARK(plan_with_nothing_to_do)->Arg(10)->Arg(100)->Arg(300)->Unit(benchmark::kMicrosecond);

void compile_after_one_change(benchmark::State& state) {
    auto desired = desired_state(state.range(0));
    auto wanted = compile(desired, {});
    for (auto _ : state) {
        ++desired.workspaces[0].revision;
        wanted = compile(desired, {}, wanted);
    }
}
BENCHMARK(compile_after_one_change)->Arg(10)->Arg(100)->Arg(300)->Unit(benchmark::kMicrosecond);

void plan_from_nothing(benchmark::State& state) {
    const auto wanted = compile(desired_state(state.range(0)), {});
    const Observed observed;
    const auto time = now();
    for (auto _ : state) benchmark::DoNotOptimize(plan(wanted, observed, {}, time));
}
BENCHMARK(plan_from_nothing)->Arg(10)->Arg(100)->Arg(300)->Unit(benchmark::kMicrosecond);

void report_all_workspaces(benchmark::State& state) {
    const auto wanted = compile(desired_state(state.range(0)), {});
    const auto observed = all_there(wanted);
    const auto time = now();
    for (auto _ : state) {
        const Containers containers(observed);
        for (const auto& each : wanted.workspaces) {
            benchmark::DoNotOptimize(status_of(each, containers, {}, time));
        }
    }
}
BENCHMARK(report_all_workspaces)->Arg(10)->Arg(100)->Arg(300)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace trailer::reconcile
