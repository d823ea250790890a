// Files of variables: `.env`, and a service's env_file.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compose/interpolate.h"

namespace trailer::compose {

// A line that can't be read.
struct BadLine {
    int line = 0;
    std::string what;  // never shows a value
};

struct EnvFile {
    // No value: the name stands alone, and takes the value of the surroundings.
    std::vector<std::pair<std::string, std::optional<std::string>>> entries;
    std::vector<BadLine> faults;
    std::set<std::string> unset;  // variables in values that were taken as empty
};

// KEY=VALUE lines, comments, `export KEY=VALUE`. Values in single quotes are as they are; in double
// quotes, where they may span lines, \n, \r, \t, \", \\ and \$ are escapes; others end at " #".
// Variables in the latter two come from `surroundings`, then from the lines before.
EnvFile parse_env_file(std::string_view text, const Variables& surroundings);
// As `format: raw` asks for: everything behind '=' is the value.
EnvFile parse_raw_env_file(std::string_view text);

}  // namespace trailer::compose
