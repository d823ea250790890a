// Durations and sizes, as Compose files write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace trailer::compose {

// "1m30s", "1.5h", "500ms", "0"; units us, ms, s, m, h, d, w. In milliseconds, rounded up, so that
// a short time is never none.
std::optional<std::int64_t> parse_duration_ms(std::string_view text);

// "512m", "1.5g", "64kb", "1GiB", "1048576". A k is 1024.
std::optional<std::int64_t> parse_bytes(std::string_view text);

std::optional<std::int64_t> parse_integer(std::string_view text);
// A decimal number; neither infinite nor no number.
std::optional<double> parse_number(std::string_view text);

}  // namespace trailer::compose
