// Remembers which events an engine has told, so that one stream can begin before the last one broke
// and nothing is told twice.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace trailer::runtime::docker {

class EventMemory {
  public:
    // False for an event that was told before. `nanoseconds`: the engine's time of it.
    bool is_new(std::string_view line, std::int64_t nanoseconds);

    // From when the next stream is to tell, for the query: the engine subscribes only after it has
    // answered (Docker 20.10), so that what happens in between would be lost. `now` counts until an
    // event has told the engine's clock.
    std::string since(std::chrono::sys_time<std::chrono::nanoseconds> now) const;

  private:
    // Docker keeps 256 events to tell again.
    static constexpr std::size_t kMost = 512;

    std::deque<std::size_t> told_;  // hashes, the newest last
    std::int64_t newest_ = 0;
};

}  // namespace trailer::runtime::docker
