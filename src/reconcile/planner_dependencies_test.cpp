#include "reconcile/planner_trial.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;
using protocol::RestartPolicy;
using runtime::ContainerHealth;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using Condition = protocol::DependencyCondition;

class DependenciesTest : public PlannerTest {
  protected:
    // web depends on db.
    DependenciesTest() {
        add_workspace(desired, "db");
        add_workspace(desired, "web").spec.depends_on = {{.workspace = "db"}};
    }

    protocol::DesiredWorkspace& db() { return desired.workspaces[0]; }
    protocol::DesiredWorkspace& web() { return desired.workspaces[1]; }

    static const Step& step_of(const Plan& plan, Action action, const std::string& name) {
        const auto found = std::ranges::find_if(plan.steps, [&](const Step& each) {
            return each.action == action && each.name == name;
        });
        if (found != plan.steps.end()) return *found;
        throw Error(ErrorKind::not_found, "no {} of {}", wire::to_text(action), name);
    }
    static std::size_t index_of(const Plan& plan, Action action, const std::string& name) {
        return static_cast<std::size_t>(&step_of(plan, action, name) - plan.steps.data());
    }
    std::string awaited_by(const std::string& name) {
        const auto plan = planned();
        const auto found = plan.waits.find({Kind::workspace, "id-" + name});
        return found == plan.waits.end() ? "" : found->second.second;
    }
    bool runs(const std::string& name) const {
        return engine.container(name)->state == ContainerState::running;
    }
};

TEST_F(DependenciesTest, AReplacementStartsOnceWhatItDependsOnIsReplaced) {
    settle();
    db().redeploys = web().redeploys = 1;
    const auto plan = planned();
    EXPECT_THAT(step_of(plan, Action::start_replacement, "web").after,
                Contains(index_of(plan, Action::finish_replacement, "db")));
    settle();
    EXPECT_GT(engine.container("web")->started, engine.container("db")->started);
    EXPECT_THAT(planned().steps, IsEmpty());
}

TEST_F(DependenciesTest, ARestartComesAfterThatOfWhatItDependsOn) {
    settle();
    db().restart_before = web().restart_before = now() + 1ms;
    const auto plan = planned();
    EXPECT_THAT(actions(plan), ElementsAre(Action::restart_container, Action::restart_container));
    EXPECT_THAT(step_of(plan, Action::restart_container, "web").after,
                ElementsAre(index_of(plan, Action::restart_container, "db")));
}

TEST_F(DependenciesTest, WhatIsPausedIsNotUpBeforeItGoesOn) {
    settle();
    engine.pause_container("db");
    engine.delete_container("web");
    const auto plan = planned();
    EXPECT_THAT(step_of(plan, Action::start_container, "web").after,
                Contains(index_of(plan, Action::unpause_container, "db")));
    settle();
    EXPECT_TRUE(runs("db") && runs("web"));
}

TEST_F(DependenciesTest, TheFormerOneGoesOnWhileItsReplacementWaits) {
    settle();
    db().running = false;
    settle();
    const auto former = engine.container("web")->id;
    web().redeploys = 1;
    settle();
    EXPECT_EQ(awaited_by("web"), "workspace db to be up");
    EXPECT_EQ(engine.container("web")->id, former);
    EXPECT_TRUE(runs("web"));
    db().running = true;
    settle();
    EXPECT_NE(engine.container("web")->id, former);
    EXPECT_TRUE(runs("web"));
}

TEST_F(DependenciesTest, ARestartWaitsUntilWhatItDependsOnIsHealthy) {
    db().spec.health_check = protocol::HealthCheck{.command = {"true"}};
    web().spec.depends_on[0].condition = Condition::healthy;
    settle();
    engine.set_health("db", ContainerHealth::healthy);
    settle();
    engine.set_health("db", ContainerHealth::unhealthy);
    web().restart_before = now() + 1ms;
    EXPECT_THAT(planned().steps, IsEmpty());
    EXPECT_EQ(awaited_by("web"), "workspace db to be healthy");
    engine.set_health("db", ContainerHealth::healthy);
    EXPECT_THAT(actions(planned()), ElementsAre(Action::restart_container));
}

TEST_F(DependenciesTest, NoneIsReplacedBeforeOneThatWaitsToBe) {
    db().spec.health_check = protocol::HealthCheck{.command = {"true"}};
    web().spec.depends_on[0].condition = Condition::healthy;
    add_workspace(desired, "proxy").spec.depends_on = {{.workspace = "web"}};
    settle();
    engine.set_health("db", ContainerHealth::healthy);
    settle();
    const auto former = engine.container("proxy")->id;
    for (auto& each : desired.workspaces) each.redeploys = 1;
    settle();
    EXPECT_EQ(awaited_by("proxy"), "workspace web to be up");
    EXPECT_EQ(engine.container("proxy")->id, former);
    engine.set_health("db", ContainerHealth::healthy);
    settle();
    EXPECT_GT(engine.container("proxy")->started, engine.container("web")->started);
    EXPECT_THAT(engine.container_names(), ElementsAre("db", "proxy", "web"));
}

TEST_F(DependenciesTest, OneThatHoldsThePortOfWhatItDependsOnGivesItUpFirst) {
    web().spec.ports = {{.host = 8080, .container = 80}};
    settle();
    db().spec.ports = std::exchange(web().spec.ports, {});
    const auto plan = planned();
    EXPECT_THAT(step_of(plan, Action::start_replacement, "web").after,
                ElementsAre(index_of(plan, Action::create_container, "web.next")));
}

TEST_F(DependenciesTest, WhatIsToldAndNotRepairedHoldsNobodyBack) {
    settle();
    db().spec.drift = protocol::DriftPolicy::report;
    db().applied_revision = db().revision;
    engine.set_limits("db", {.memory = 64 << 20});
    web().redeploys = 1;
    const auto plan = planned();
    EXPECT_TRUE(plan.drift.contains({Kind::workspace, "id-db"}));
    EXPECT_THAT(actions(plan), Contains(Action::start_replacement));
}

TEST_F(DependenciesTest, OneThatHasRunAndEndedForGoodHasBeenUp) {
    db().spec.restart = RestartPolicy::no;
    web().running = false;
    settle();
    engine.kill_container("db", 0);
    web().running = true;
    settle();
    EXPECT_TRUE(runs("web"));
    EXPECT_FALSE(runs("db"));
}

TEST_F(DependenciesTest, OneThatHasEndedIsNotHealthy) {
    db().spec.restart = RestartPolicy::no;
    web().spec.depends_on[0].condition = Condition::healthy;
    web().running = false;
    settle();
    engine.kill_container("db", 0);
    web().running = true;
    EXPECT_EQ(awaited_by("web"), "workspace db to be healthy");
}

TEST_F(DependenciesTest, OneThatRanWithAnotherSpecRunsOnceMoreBefore) {
    db().spec.restart = RestartPolicy::no;
    web().running = false;
    settle();
    engine.kill_container("db", 0);
    db().redeploys = 1;
    web().running = true;
    const auto plan = planned();
    EXPECT_THAT(step_of(plan, Action::start_container, "web").after,
                Contains(index_of(plan, Action::finish_replacement, "db")));
}

}  // namespace
