// Variables in values: $X, ${X}, ${X:-default}, ${X-default}, ${X:?error}, ${X?error},
// ${X:+other}, ${X+other}, and $$ for a dollar sign. Defaults may hold variables in turn.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "compose/findings.h"
#include "compose/tree.h"

namespace trailer::compose {

using Variables = std::map<std::string, std::string>;

// Names that were taken as empty go to `unset`. Throws Error(invalid) for what is malformed, and
// for a variable that is required (`:?`) and not there; values are never in its message.
std::string interpolate(std::string_view text, const Variables& variables,
                        std::set<std::string>& unset);

// Every scalar at and below `node`. Faults are put where the scalar stands; a variable that is not
// set is warned of once in `unset`'s life.
void interpolate(Node& node, const Variables& variables, std::set<std::string>& unset,
                 Findings& findings);

}  // namespace trailer::compose
