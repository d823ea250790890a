// A command line as a shell would split it into words, without a shell's expansions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trailer::compose {

// Nothing where a quote is not closed.
std::optional<std::vector<std::string>> split_words(std::string_view line);

}  // namespace trailer::compose
