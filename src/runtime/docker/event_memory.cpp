#include "runtime/docker/event_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace trailer::runtime::docker {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kOverlap = 2 * kSecond;

}  // namespace

bool EventMemory::is_new(std::string_view line, std::int64_t nanoseconds) {
    const auto hash = std::hash<std::string_view>()(line);
    // What is told again is old; a new event need not be looked for.
    if (nanoseconds <= newest_ && std::ranges::find(told_, hash) != told_.end()) return false;
    newest_ = std::max(newest_, nanoseconds);
    told_.push_back(hash);
    if (told_.size() > kMost) told_.pop_front();
    return true;
}

std::string EventMemory::since(std::chrono::sys_time<std::chrono::nanoseconds> now) const {
    const auto from = std::max<std::int64_t>(
        0, (newest_ > 0 ? newest_ : now.time_since_epoch().count()) - kOverlap);
    return fmt::format("{}.{:09}", from / kSecond, from % kSecond);
}

}  // namespace trailer::runtime::docker
