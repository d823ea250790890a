// Who may do what: the one place to ask.
//
// Admins may everything. Who makes a resource owns it, and may everything with it. Others are
// granted a role on a resource, or permissions on a host (protocol/access.h). Who sees a workspace
// sees what it uses: its host, image, networks and volumes. What someone may not see does not exist
// for them.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "protocol/access.h"
#include "server/service/state.h"

namespace trailer::server {

// On a resource or a host; each holds those before it.
enum class Right {
    none,
    view,    // see it, read its logs, open its pages
    modify,  // change it, run commands in it, reach its ports
    manage,  // delete it, grant it to others
};

// What a session of this sort needs. A host's own log needs `modify`, on the host.
Right right_for(protocol::SessionKind kind);
inline constexpr Right kRightForProxy = Right::view;

// One user's rights on the state as it is. Short-lived: for one decision, with no suspension.
class Rights {
  public:
    // A user that is not known has none.
    Rights(const State& state, std::string user_id);

    const std::string& user_id() const { return user_id_; }
    bool is_admin() const { return admin_; }

    Right on(const store::Resource& resource) const;
    Right on(const store::Host& host) const;  // `modify` and more are the admins'
    bool may(const std::string& host_id, protocol::HostPermission permission) const;

    bool see(const store::Resource& resource) const { return on(resource) >= Right::view; }
    bool see(const store::Host& host) const { return on(host) >= Right::view; }

    // Throw Error: not_found for what they may not see, else forbidden, with what is lacking.
    void require(const store::Resource& resource, Right right) const;
    void require(const store::Host& host, Right right) const;
    // `what`: "approving hosts".
    void require_admin(std::string_view what) const;

  private:
    using Used = std::tuple<std::string, Kind, std::string>;  // host's id, kind, name

    Right granted(const store::Resource& resource) const;
    const std::set<Used>& seen_with_workspaces() const;

    const State& state_;
    std::string user_id_;
    bool admin_ = false;
    // What the workspaces that they see use; made when it is asked for.
    mutable std::optional<std::set<Used>> used_;
};

// "the right to modify it"
std::string_view right_text(Right right);
// Of users that are no admins: those who may see it. Admins see all.
std::set<std::string> audience_of(const State& state, const store::Resource& resource);
std::set<std::string> audience_of(const State& state, const store::Host& host);

}  // namespace trailer::server
