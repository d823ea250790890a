#include "reconcile/planner.h"

namespace trailer::reconcile {

Planner::Planner(const WantedState& wanted, const Observed& observed, const HostRules& rules,
                 Timestamp now)
    : wanted_(wanted),
      observed_(observed),
      rules_(rules),
      now_(now),
      containers_(observed),
      subnets_(choose_subnets(wanted, observed)) {
    choose_networks();
    for (const auto& each : wanted.networks) known_[each.key.id] = &each;
    for (const auto& each : wanted.volumes) known_[each.key.id] = &each;
    for (const auto& each : wanted.images) known_[each.key.id] = &each;
    for (const auto& each : wanted.workspaces) known_[each.key.id] = &each;
}

Plan Planner::make() {
    leftover_containers();
    leftover_networks();
    for (const auto& each : wanted_.networks) network(each);
    for (const auto& each : wanted_.volumes) volume(each);
    for (const auto& each : wanted_.images) image(each);
    for (const auto& each : wanted_.workspaces) by_name_[each.name] = &each;
    for (const auto& each : wanted_.workspaces) in_order(each);
    removals();
    collect();
    withhold_drift();
    return std::move(plan_);
}

Planner::Index Planner::add(Action action, const Key& key, std::string name, std::string object,
                            Reason reason) {
    Step made;
    made.action = action;
    made.key = key;
    made.name = std::move(name);
    made.object = std::move(object);
    made.reason = std::move(reason);
    plan_.steps.push_back(std::move(made));
    return plan_.steps.size() - 1;
}

void Planner::comes_after(Index index, Chain before) {
    if (before && *before != index) step(index).after.push_back(*before);
}

Planner::Index Planner::follow(Chain& chain, Action action, const Key& key, std::string name,
                               std::string object, Reason reason) {
    const auto index = add(action, key, std::move(name), std::move(object), std::move(reason));
    comes_after(index, chain);
    chain = index;
    return index;
}

bool Planner::ours(const runtime::Labels& labels) const {
    return runtime::label_of(labels, runtime::label::kHost) == wanted_.host_id;
}

void Planner::look_again(Timestamp time) {
    plan_.look_again = std::min(plan_.look_again.value_or(time), time);
}

Plan plan(const WantedState& wanted, const Observed& observed, const HostRules& rules,
          Timestamp now) {
    return Planner(wanted, observed, rules, now).make();
}

}  // namespace trailer::reconcile
