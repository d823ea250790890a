// A moment as people name it: "2026-11-24T09:30:00Z", or how long ago, "1h30m".
#pragma once

#include <string>
#include <string_view>

namespace trailer::client {

// RFC 3339; "" for "". `flag` stands in the UsageError for anything else.
std::string read_moment(std::string_view flag, std::string_view text);

}  // namespace trailer::client
