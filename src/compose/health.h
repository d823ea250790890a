// A service's `healthcheck`.
#pragma once

#include <optional>

#include "compose/findings.h"
#include "protocol/resources.h"

namespace trailer::compose {

std::optional<protocol::HealthCheck> read_health(const Node& node, Findings& findings);

}  // namespace trailer::compose
