#include "reconcile/attempts.h"

#include <algorithm>

#include "base/log.h"
#include "wire/json.h"

namespace trailer::reconcile {
namespace {

using namespace std::chrono_literals;

constexpr auto kFirstRetry = 1s;
constexpr auto kLastRetry = 60s;
// A step that is planned again right after it was done: something undoes it, or it has no effect.
constexpr int kMostRepeats = 3;
constexpr auto kSoon = 700ms;  // less than the shortest wait, so that a try after it counts anew
constexpr auto kJustNow = 500ms;

}  // namespace

const Attempts::Failure* Attempts::find(const Key& key) const {
    const auto found = failures_.find(key);
    return found == failures_.end() ? nullptr : &found->second;
}

bool Attempts::must_wait(const Key& key) const {
    const auto* failure = find(key);
    return failure != nullptr && failure->next_try > Clock::now();
}

Attempts::Failure& Attempts::fail(const Step& step, std::string text) {
    auto& failure = failures_[step.key];
    failure.text = std::move(text);
    failure.engine_away = false;
    failure.wait = std::min<std::chrono::milliseconds>(
        kLastRetry, kFirstRetry * (1 << std::min(failure.attempts, 6)));
    ++failure.attempts;
    failure.next_try = Clock::now() + failure.wait;
    log::warning("{} {}: {}; next try in {}", protocol::noun(step.key.kind), step.name,
                 failure.text, format_duration(failure.wait));
    return failure;
}

bool Attempts::goes_round(const Step& step) {
    auto& recent = recent_steps_[step.key];
    const auto name = fmt::format("{} {} {} {}", wire::to_text(step.action), step.object,
                                  step.attachment.network, step.reason.text);
    const auto time = Clock::now();
    if (time - recent.last > kSoon) recent = {};
    recent.last = time;
    if (++recent.times[name] <= kMostRepeats) return false;
    recent = {};
    fail(step, fmt::format("{} ({}) was done {} times and did not last: does someone else change "
                           "it too?",
                           wire::to_text(step.action), step.reason.text, kMostRepeats));
    return true;
}

void Attempts::forget(const Key& key) {
    failures_.erase(key);
    recent_steps_.erase(key);
}

bool Attempts::hurry(const Key& key) {
    const auto found = failures_.find(key);
    if (found == failures_.end()) return false;
    auto& failure = found->second;
    if (Clock::now() - failure.next_try + failure.wait < kJustNow) return false;
    failure.next_try = {};
    return true;
}

void Attempts::forget_if(const std::function<bool(const Key&)>& done) {
    std::erase_if(failures_, [&](const auto& each) { return done(each.first); });
}

void Attempts::forget_steps_if(const std::function<bool(const Key&)>& unknown) {
    std::erase_if(recent_steps_, [&](const auto& each) { return unknown(each.first); });
}

std::optional<Attempts::Clock::time_point> Attempts::next(
    const std::function<bool(const Key&)>& idle) const {
    std::optional<Clock::time_point> next;
    for (const auto& [key, failure] : failures_) {
        if (failure.next_try <= Clock::now() || !idle(key)) continue;
        next = std::min(next.value_or(failure.next_try), failure.next_try);
    }
    return next;
}

}  // namespace trailer::reconcile
