// Several Compose files to one: later ones add to and override earlier ones.
#pragma once

#include "compose/tree.h"

namespace trailer::compose {

// Maps are merged, lists appended (a volume with the same target, and an equal entry, replaced),
// all else replaced, as are command, entrypoint and a health check's test. `!override` replaces,
// `!reset` takes away.
Node merge(Node base, const Node& over);

// Takes away what `!reset` marks, in a file that overrides nothing too.
void drop_resets(Node& node);

}  // namespace trailer::compose
