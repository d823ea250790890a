// What several verbs read from their arguments.
#pragma once

#include <string>
#include <vector>

#include "client/subject.h"

namespace trailer::client {

struct Named {
    Subject subject = Subject::workspace;
    std::vector<std::string> names;  // empty: all of them
};

// Takes "workspaces", "ws dev other", and "workspace/dev" as apply prints it. Throws UsageError for
// an unknown kind and for what can't be a name.
Named parse_named(const std::string& kind, const std::vector<std::string>& names);

}  // namespace trailer::client
