// What a host is to have, as its agent is told.
#pragma once

#include <vector>

#include "protocol/agent.h"
#include "store/store.h"

namespace trailer::server {

void add_to(protocol::DesiredState& desired, const store::Resource& resource);

}  // namespace trailer::server
