// What the tests share: a desired state made by hand, and a plan done on the fake engine.
#pragma once

#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>

#include "aio/task_group.h"
#include "reconcile/execute.h"
#include "reconcile/observer.h"
#include "reconcile/plan.h"
#include "runtime/fake_runtime.h"

namespace trailer::reconcile {

using namespace std::chrono_literals;
using protocol::Kind;
using runtime::ContainerState;
using runtime::FakeRuntime;

inline constexpr const char* kHost = "host-1";

inline protocol::DesiredState nothing_wanted() {
    protocol::DesiredState desired;
    desired.host_id = kHost;
    desired.revision = 1;
    return desired;
}

inline protocol::DesiredWorkspace& add_workspace(protocol::DesiredState& desired,
                                                 const std::string& name) {
    auto& made = desired.workspaces.emplace_back();
    made.id = "id-" + name;
    made.name = name;
    made.revision = 1;
    made.spec.image = "image:1";
    return made;
}

inline protocol::DesiredNetwork& add_network(protocol::DesiredState& desired,
                                             const std::string& name) {
    auto& made = desired.networks.emplace_back();
    made.id = "id-" + name;
    made.name = name;
    made.revision = 1;
    return made;
}

inline protocol::DesiredVolume& add_volume(protocol::DesiredState& desired,
                                           const std::string& name) {
    auto& made = desired.volumes.emplace_back();
    made.id = "id-" + name;
    made.name = name;
    made.revision = 1;
    return made;
}

inline protocol::DesiredImage& add_image(protocol::DesiredState& desired, const std::string& name) {
    auto& made = desired.images.emplace_back();
    made.id = "id-" + name;
    made.name = name;
    made.revision = 1;
    made.spec.reference = name + ":1";
    made.spec.dockerfile = "FROM image:1\n";
    return made;
}

// Runs a task to its end on its own event loop.
class Loop {
  public:
    asio::any_io_executor executor() { return context_.get_executor(); }

    void run(Task<> task) {
        std::exception_ptr failure;
        bool ended = false;
        asio::co_spawn(context_, std::move(task), [&](std::exception_ptr error) {
            failure = std::move(error);
            ended = true;
        });
        context_.restart();
        context_.run_for(60s);
        if (!ended) throw Error(ErrorKind::timeout, "the task did not end");
        if (failure) std::rethrow_exception(failure);
    }

  private:
    asio::io_context context_;
};

// Sees the engine whole.
inline Task<> look_now(const WantedState& wanted, Observer& observer) {
    observer.set_references(references_of(wanted));
    observer.missed_events();
    co_await observer.look([](const auto&) { return false; });
}

// Sees the engine whole and plans.
inline Task<Plan> plan_now(const WantedState& wanted, Observer& observer,
                           HostRules rules = {.leftover_grace = 0ms},
                           std::chrono::milliseconds later = 1h) {
    co_await look_now(wanted, observer);
    // As if each replacement had run long enough, and each leftover had been there long enough.
    co_return plan(wanted, observer.observed(), rules, now() + later);
}

// Plans and does one step after another, the one that `choose` picks of those that nothing stands
// before, until no step is left. Gives the number of steps done.
template <typename Choose>
Task<int> settle(FakeRuntime& engine, protocol::DesiredState desired, Choose choose,
                 Bounds bounds = {}) {
    const auto wanted = compile(desired, bounds);
    Observer observer(engine, "");
    for (int done = 0;; ++done) {
        if (done > 500) throw Error(ErrorKind::internal, "the plan does not come to an end");
        auto planned = co_await plan_now(wanted, observer);
        std::vector<Step> ready;
        for (auto& step : planned.steps) {
            if (step.after.empty()) ready.push_back(step);
        }
        if (planned.steps.empty()) co_return done;
        if (ready.empty()) throw Error(ErrorKind::internal, "every step waits for another");
        const auto& step = ready[choose(ready.size())];
        Touched touched;
        co_await execute(engine, step, {}, {}, touched);
        if (!touched.forced_pull.empty()) {
            observer.memory().forced_pulls[step.key.id] = touched.forced_pull;
        }
        if (!touched.unstartable.empty()) {
            observer.memory().unstartable.insert(touched.unstartable);
        }
        co_await observer.look_at(touched);
    }
}

inline Task<> settle_in_order(FakeRuntime& engine, protocol::DesiredState desired,
                              Bounds bounds = {}) {
    co_await settle(
        engine, std::move(desired), [](std::size_t) { return std::size_t{0}; }, std::move(bounds));
}

// Does steps until `changes` changes have been made, as if the agent were killed at that moment.
// False when there were fewer.
inline Task<bool> settle_until_killed(FakeRuntime& engine, protocol::DesiredState desired,
                                      std::size_t changes) {
    engine.freeze_after(changes);
    aio::TaskGroup attempt(co_await asio::this_coro::executor);
    attempt.spawn(settle_in_order(engine, std::move(desired)));
    while (attempt.size() > 0 && !engine.frozen()) co_await aio::sleep(1ms);
    const bool killed = engine.frozen();
    attempt.cancel();
    co_await attempt.join();
    engine.thaw();
    co_return killed;
}

}  // namespace trailer::reconcile
