// Wall-clock time as the wire carries it. Durations and deadlines use std::chrono::steady_clock.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace trailer {

// A point in UTC, to the millisecond.
using Timestamp = std::chrono::sys_time<std::chrono::milliseconds>;

Timestamp now();

// RFC 3339 in UTC with milliseconds: "2026-11-23T09:30:00.125Z".
std::string format_rfc3339(Timestamp time);

// Reads RFC 3339 with any offset and any number of fraction digits (finer than a millisecond is cut
// off). Throws InvalidInput.
Timestamp parse_rfc3339(std::string_view text);

// For people: "8 s", "3 min", "2 h", "5 d".
std::string format_duration(std::chrono::milliseconds duration);

}  // namespace trailer
