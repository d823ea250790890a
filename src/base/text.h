// Text as protocols and files have it: ASCII, whatever the locale.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trailer {

std::string lower(std::string_view text);
std::string upper(std::string_view text);

// Without what of `blanks` stands at its ends.
std::string_view trimmed(std::string_view text, std::string_view blanks);

// The parts between separators, empty ones too: of "" that is one.
std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace trailer
