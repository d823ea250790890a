// What the planner's tests share: a desired state, a fake engine, and the plan between the two.
#pragma once

#include "reconcile/trial.h"

namespace trailer::reconcile {

class PlannerTest : public testing::Test {
  protected:
    PlannerTest() { engine.add_image("image:1"); }

    int settle() { return settle(desired); }
    int settle(const protocol::DesiredState& state) {
        int done = 0;
        loop.run(settle_into(state, &done));
        return done;
    }
    // Compiles `desired` and plans on what the engine has. Its images are valid until the next one.
    Plan planned() {
        wanted_ = compile(desired, bounds);
        Plan made;
        loop.run(plan_into(&made));
        return made;
    }

    Loop loop;
    FakeRuntime engine{loop.executor()};
    protocol::DesiredState desired = nothing_wanted();
    Bounds bounds;
    // As if each leftover had been there long enough, and each replacement had run long enough.
    HostRules rules{.leftover_grace = 0ms};
    std::chrono::milliseconds later = 1h;
    Memory memory;
    std::optional<double> disk_used_percent;

  private:
    Task<> settle_into(protocol::DesiredState state, int* done) {
        *done = co_await reconcile::settle(engine, std::move(state),
                                           [](std::size_t) { return std::size_t{0}; });
    }
    Task<> plan_into(Plan* made) {
        Observer observer(engine, "");
        observer.set_disk_used(disk_used_percent);
        co_await look_now(wanted_, observer);
        // As if someone had looked all the time.
        observer.memory() = memory;
        *made = plan(wanted_, observer.observed(), rules, now() + later);
    }

    WantedState wanted_;
};

inline std::vector<Action> actions(const Plan& plan) {
    std::vector<Action> list;
    for (const auto& step : plan.steps) list.push_back(step.action);
    return list;
}

}  // namespace trailer::reconcile
