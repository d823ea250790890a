// What a host is to have, as its agent is told.
#pragma once

#include <vector>

#include "protocol/agent.h"
#include "store/store.h"

namespace trailer::server {

void add_to(protocol::DesiredState& desired, const store::Resource& resource);

// What the agent has told; 0, or an empty text, where it has not.
std::int64_t number_in(const boost::json::object& observed, const char* name);
std::string text_in(const boost::json::object& observed, const char* name);

}  // namespace trailer::server
