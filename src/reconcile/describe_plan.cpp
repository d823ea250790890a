#include "reconcile/plan.h"
#include "wire/json.h"

namespace trailer::reconcile {

protocol::HostPlan describe_plan(const Plan& plan, const WantedState& wanted) {
    protocol::HostPlan described;
    for (const auto& step : plan.steps) {
        protocol::PlanStep made{.kind = step.key.kind,
                                .name = step.name,
                                .action = wire::to_text(step.action),
                                .reason = step.reason.text,
                                .changes = step.reason.changes};
        made.replaces = !step.replaces.empty() || step.name.ends_with(kNextSuffix);
        made.after.assign(step.after.begin(), step.after.end());
        described.steps.push_back(std::move(made));
    }
    described.leftovers = plan.leftovers;
    const auto stands = [&](const Wanted& wanted_one) {
        if (!wanted_one.fault.empty() && !wanted_one.deleting) {
            described.obstacles.push_back({wanted_one.key.kind, wanted_one.name, wanted_one.fault});
        }
        for (const auto& list : {plan.setbacks, plan.drift}) {
            if (const auto found = list.find(wanted_one.key); found != list.end()) {
                described.obstacles.push_back(
                    {wanted_one.key.kind, wanted_one.name, found->second});
            }
        }
        if (const auto waits = plan.waits.find(wanted_one.key); waits != plan.waits.end()) {
            described.obstacles.push_back(
                {wanted_one.key.kind, wanted_one.name, "waits for " + waits->second.second});
        }
    };
    for (const auto& each : wanted.networks) stands(each);
    for (const auto& each : wanted.volumes) stands(each);
    for (const auto& each : wanted.images) stands(each);
    for (const auto& each : wanted.workspaces) stands(each);
    return described;
}

}  // namespace trailer::reconcile
