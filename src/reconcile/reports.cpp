#include "reconcile/reports.h"

#include "wire/json.h"

namespace trailer::reconcile {
namespace {

constexpr std::size_t kMostRemembered = 12;

}  // namespace

void Reports::remember(const Step& step) {
    auto& steps = last_plans_[step.key];
    if (in_work_.insert(step.key).second) steps.clear();
    json::object done{{"action", wire::to_text(step.action)},
                      {"reason", step.reason.text},
                      {"at", format_rfc3339(now())}};
    if (!step.reason.changes.empty()) done["changes"] = wire::to_json(step.reason.changes);
    if (!steps.empty() && steps.back().at("action") == done.at("action") &&
        steps.back().at("reason") == done.at("reason")) {
        steps.pop_back();  // tried again
    }
    if (steps.size() == kMostRemembered) steps.pop_front();
    steps.push_back(std::move(done));
}

void Reports::settle(const std::function<bool(const Key&)>& done) {
    std::erase_if(in_work_, done);
}

void Reports::send(const Key& key, protocol::StatusReport report) {
    if (const auto plan = last_plans_.find(key); plan != last_plans_.end()) {
        json::array steps;
        for (const auto& each : plan->second) steps.push_back(each);
        report.observed["last_plan"] = std::move(steps);
    }
    const auto last = reported_.find(key);
    if (last != reported_.end()) {
        for (auto& message : report.messages) {
            for (const auto& told : last->second.messages) {
                if (told.text == message.text && told.severity == message.severity) {
                    message.since = told.since;
                }
            }
        }
        if (last->second == report) return;
    }
    reported_.insert_or_assign(key, report);
    sink_(std::move(report));
}

void Reports::forget_if(const std::function<bool(const Key&)>& unknown) {
    const auto has_gone = [&](const auto& each) { return unknown(each.first); };
    std::erase_if(reported_, has_gone);
    std::erase_if(last_plans_, has_gone);
    std::erase_if(in_work_, unknown);
}

}  // namespace trailer::reconcile
