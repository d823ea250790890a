// Which right each sort of session needs, and who has it: the one place to ask.
#pragma once

#include "protocol/session.h"
#include "server/service/auth.h"

namespace trailer::server {

// On a workspace or a host; each holds those before it.
enum class Right {
    view,    // see it, read its logs, open its pages
    modify,  // run commands in it, reach its ports
};

// What a session of this sort needs. A host's own log needs `modify`, on the host.
Right right_for(protocol::SessionKind kind);
inline constexpr Right kRightForProxy = Right::view;

// Throws Error(forbidden). Admins may everything; grants for others come with them.
void check_right(const State& state, const std::string& user_id, Right right);

}  // namespace trailer::server
