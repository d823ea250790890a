// The page of `trailer describe`, as text.
#pragma once

#include <boost/json/value.hpp>
#include <string>

#include "base/time.h"
#include "client/subject.h"
#include "client/terminal.h"
#include "protocol/api.h"

namespace trailer::client {

// All that the server says of one resource; `now` makes the ages.
std::string description(Subject subject, const boost::json::value& item, const Palette& palette,
                        Timestamp now);

// Of a group, with what is in it.
std::string group_description(const protocol::GroupView& group,
                              const std::vector<protocol::ResourceView>& members,
                              const Palette& palette, Timestamp now);

}  // namespace trailer::client
