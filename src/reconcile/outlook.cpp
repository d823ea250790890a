#include "reconcile/outlook.h"

namespace trailer::reconcile {

using protocol::Kind;

const Attempts::Failure* told_failure(const Attempts& attempts, const Key& key) {
    const auto* failure = attempts.find(key);
    return failure == nullptr || failure->engine_away ? nullptr : failure;
}

Outlook::Outlook(const Plan& plan, const std::map<Key, Activity>& busy, const Attempts& attempts,
                 const Memory& memory, const std::map<Key, const Wanted*>& wanted)
    : plan_(plan), busy_(busy), attempts_(attempts), memory_(memory), wanted_(wanted) {
    for (const auto& step : plan.steps) first_steps_.try_emplace(step.key, &step);
}

Progress Outlook::of(const Wanted& wanted) const {
    const auto& key = wanted.key;
    Progress progress;
    if (const auto busy = busy_.find(key); busy != busy_.end()) {
        progress.busy = busy->second.action;
        progress.detail = busy->second.detail;
    }
    const auto first = first_steps_.find(key);
    progress.planned = first != first_steps_.end();
    if (const auto* failure = told_failure(attempts_, key);
        failure != nullptr && progress.planned) {
        progress.failure = failure->text;
        progress.next_try = failure->wait;
    }
    if (const auto found = plan_.setbacks.find(key); found != plan_.setbacks.end()) {
        progress.setback = found->second;
    }
    if (const auto found = plan_.drift.find(key); found != plan_.drift.end()) {
        progress.drift = found->second;
    }
    if (const auto found = memory_.applied.find(key.id); found != memory_.applied.end()) {
        progress.applied_revision = found->second;
    }
    progress.pulled = memory_.pulled.contains(key.id);
    if (const auto found = memory_.forced_pulls.find(key.id); found != memory_.forced_pulls.end()) {
        progress.forced_pull = found->second;
    }
    if (const auto waits = plan_.waits.find(key); waits != plan_.waits.end()) {
        wait_for(waits->second.first, waits->second.second, progress);
    } else if (progress.planned && !progress.busy) {
        for (const auto index : first->second->after) {
            const auto& other = plan_.steps[index];
            if (other.key == key) continue;
            wait_for(other.key, fmt::format("{} {}", protocol::noun(other.key.kind), other.name),
                     progress);
        }
    }
    return progress;
}

void Outlook::wait_for(const Key& key, std::string name, Progress& progress) const {
    progress.waits_for = std::move(name);
    progress.waits_for_image = key.kind == Kind::image;
    const auto found = wanted_.find(key);
    const bool fault = found != wanted_.end() && !found->second->fault.empty();
    progress.waits_in_vain = fault || told_failure(attempts_, key) != nullptr;
}

std::set<Key> Outlook::stirring() const {
    std::set<Key> keys;
    for (const auto& [key, step] : first_steps_) keys.insert(key);
    for (const auto& [key, wait] : plan_.waits) keys.insert(key);
    for (const auto& [key, text] : plan_.setbacks) keys.insert(key);
    for (const auto& [key, text] : plan_.drift) keys.insert(key);
    for (const auto& [key, activity] : busy_) keys.insert(key);
    return keys;
}

}  // namespace trailer::reconcile
