// Where a workspace is on this host.
#pragma once

#include <optional>
#include <string>

#include "runtime/runtime.h"

namespace trailer::runtime {

struct Place {
    bool wanted = false;  // the host is to have it
    std::string name;
    std::optional<Container> container;  // that stands for it, as it was last seen
};

}  // namespace trailer::runtime
