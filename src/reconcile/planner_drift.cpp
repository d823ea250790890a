// What someone changed on a workspace whose policy is to be told of it.
#include <algorithm>

#include "reconcile/planner.h"

namespace trailer::reconcile {
namespace {

// What the step would undo.
std::string what_happened(const Step& step) {
    switch (step.action) {
        case Action::create_container:
            return step.name.ends_with(kNextSuffix) ? "" : "its container is gone";
        case Action::rename_container:
            return step.object.empty() ? "" : "its container was renamed";
        case Action::start_container:
            return step.object.empty() ? "" : "it was stopped";
        case Action::stop_container:
            return "it was started";
        case Action::unpause_container:
            return "it was paused";
        case Action::remove_container:
            return fmt::format("container {} {}", step.name, step.reason.text);
        default:
            return step.reason.text;
    }
}

void add_word(std::string& text, const std::string& word) {
    if (!word.empty()) text += (text.empty() ? "" : ", ") + word;
}

}  // namespace

bool Planner::is_drift(const WantedWorkspace& wanted) const {
    if (wanted.drift != protocol::DriftPolicy::report || wanted.deleting ||
        changing_.contains(wanted.key.id)) {
        return false;
    }
    const auto& applied = observed_.memory.applied;
    const auto found = applied.find(wanted.key.id);
    return observed_.memory.from_cache || wanted.applied_revision == wanted.revision ||
           (found != applied.end() && found->second == wanted.revision);
}

void Planner::withhold_drift() {
    std::set<Key> drifted;
    for (const auto& each : wanted_.workspaces) {
        if (is_drift(each)) drifted.insert(each.key);
    }
    if (drifted.empty()) return;
    std::vector<bool> withheld(plan_.steps.size());
    bool more = true;
    while (std::exchange(more, false)) {
        for (Index i = 0; i < plan_.steps.size(); ++i) {
            if (withheld[i]) continue;
            const auto& each = plan_.steps[i];
            const auto before =
                std::ranges::find_if(each.after, [&](Index other) { return withheld[other]; });
            if (drifted.contains(each.key)) {
                add_word(plan_.drift[each.key], what_happened(each));
            } else if (before != each.after.end()) {
                const auto& other = step(*before);
                plan_.waits[each.key] = {other.key, fmt::format("workspace {}", other.name)};
            } else {
                continue;
            }
            withheld[i] = more = true;
        }
    }
    std::vector<Index> place(plan_.steps.size());
    std::vector<Step> kept;
    for (Index i = 0; i < plan_.steps.size(); ++i) {
        place[i] = kept.size();
        if (!withheld[i]) kept.push_back(std::move(plan_.steps[i]));
    }
    for (auto& each : kept) {
        for (auto& index : each.after) index = place[index];
    }
    plan_.steps = std::move(kept);
}

}  // namespace trailer::reconcile
