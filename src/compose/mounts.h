// A service's `volumes` and `tmpfs`, in their short and long forms.
#pragma once

#include <vector>

#include "compose/findings.h"
#include "protocol/resources.h"

namespace trailer::compose {

// What paths and names are relative to.
struct MountSurroundings {
    std::string directory;  // of the project; absolute
    std::string home;       // what ~ stands for
};

struct PlacedMount {
    // `volume` is a name of the file's own (see networks.h), not yet the project's.
    protocol::Mount mount;
    bool anonymous = false;  // a volume without a name
    const Node* node = nullptr;
};

std::vector<PlacedMount> read_volumes(const Node& node, const MountSurroundings& surroundings,
                                      Findings& findings);
std::vector<PlacedMount> read_tmpfs(const Node& node, Findings& findings);

}  // namespace trailer::compose
