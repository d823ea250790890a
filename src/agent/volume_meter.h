// How much the volumes hold: asked of the engine seldom, because it reads through every file for
// it.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "runtime/runtime.h"

namespace trailer::agent {

// Waits a hundred times as long as the last measuring took, at least kLeastPause and at most
// kMostPause: the engine spends 1 % of its time on it at most.
class VolumeMeter {
  public:
    static constexpr std::chrono::minutes kLeastPause{5};
    static constexpr std::chrono::hours kMostPause{6};

    // The runtime outlives it.
    explicit VolumeMeter(runtime::ContainerRuntime& runtime) : runtime_(runtime) {}

    bool due() const { return std::chrono::steady_clock::now() >= next_; }
    // Bytes, by name; nothing when the engine could not tell, which the log says once.
    Task<std::optional<std::map<std::string, std::int64_t>>> measure();

    static std::chrono::milliseconds pause_after(std::chrono::milliseconds took);

  private:
    runtime::ContainerRuntime& runtime_;
    std::chrono::steady_clock::time_point next_{};
    std::string fault_;
};

}  // namespace trailer::agent
