#include "agent/volume_meter.h"

#include <algorithm>

#include "base/log.h"

namespace trailer::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::minutes kLongest{30};  // of one measuring
constexpr int kShare = 100;

}  // namespace

std::chrono::milliseconds VolumeMeter::pause_after(std::chrono::milliseconds took) {
    return std::clamp<std::chrono::milliseconds>(took * kShare, kLeastPause, kMostPause);
}

Task<std::optional<std::map<std::string, std::int64_t>>> VolumeMeter::measure() {
    const auto begun = Clock::now();
    std::optional<std::map<std::string, std::int64_t>> sizes;
    try {
        sizes = co_await runtime_.volume_sizes(aio::Deadline::in(kLongest));
        fault_.clear();
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e)) throw;
        if (auto text = describe(e); text != fault_) {
            log::warning("measuring volumes: {}", text);
            fault_ = std::move(text);
        }
    }
    const auto took = std::chrono::ceil<std::chrono::milliseconds>(Clock::now() - begun);
    next_ = Clock::now() + pause_after(took);
    co_return sizes;
}

}  // namespace trailer::agent
