// UUIDv7 (RFC 9562, section 5.7): ids that sort by the time they were made.
#pragma once

#include <string>
#include <string_view>

namespace trailer {

// 36 letters, lower case. Monotonic within this process. Any thread.
std::string new_id();

// True for a UUID of any version in its 36-letter form, either case.
bool is_uuid(std::string_view text);

}  // namespace trailer
