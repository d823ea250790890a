// The checks of one setting's value, whoever gave it.
#pragma once

#include <optional>
#include <string>

#include "config/settings.h"

namespace trailer::config {

// What is wrong with the value that `config` holds for `setting`, and what is expected; nothing
// when it is right.
std::optional<std::string> fault_of(const Setting& setting, const Config& config);

}  // namespace trailer::config
