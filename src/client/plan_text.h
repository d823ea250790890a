// What a host would do, as a dry run shows it: like a diff.
#pragma once

#include <string>

#include "client/terminal.h"
#include "protocol/api.h"

namespace trailer::client {

// A line for each step: "+" makes, "-" takes away, "~" changes in place; "[replaces]" is a step of
// a replacement. A reason that several steps of a resource share stands with the first of them.
std::string plan_text(const protocol::PlanOfHost& host, const Palette& palette);

}  // namespace trailer::client
