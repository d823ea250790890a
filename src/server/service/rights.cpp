#include "server/service/rights.h"

#include "base/error.h"

namespace trailer::server {

Right right_for(protocol::SessionKind kind) {
    switch (kind) {
        case protocol::SessionKind::logs:
            return Right::view;
        case protocol::SessionKind::exec:
        case protocol::SessionKind::attach:
        case protocol::SessionKind::port:
        case protocol::SessionKind::host_logs:
            return Right::modify;
    }
    return Right::modify;
}

void check_right(const State& state, const std::string& user_id, Right right) {
    const auto* user = state.user(user_id);
    if (user != nullptr && user->role == protocol::Role::admin) return;
    throw Error(ErrorKind::forbidden, "this needs the right to {}",
                right == Right::view ? "view it" : "modify it");
}

}  // namespace trailer::server
