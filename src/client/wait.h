// Waiting until resources have settled, with progress for people: `apply --wait` and its siblings.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "client/api.h"
#include "client/subject.h"
#include "protocol/api.h"

namespace trailer::client {

struct Goal {
    enum class Aim { settled, gone };
    protocol::Kind kind = protocol::Kind::workspace;
    std::string name;
    std::string id;  // may be empty: then the name tells
    Aim aim = Aim::settled;
};

enum class Verdict { pending, done, failed };

// What `seen` (null: it is not there) means for the goal. A workspace has settled when it runs or
// is stopped, as its document wants.
Verdict judge(const Goal& goal, const protocol::ResourceView* seen);

// Follows until each goal is done or failed; prints progress and, for each that failed, its
// messages to standard error. False when one failed or time ran out.
bool wait_for(Api& api, std::vector<Goal> goals, std::optional<std::chrono::seconds> timeout);

}  // namespace trailer::client
