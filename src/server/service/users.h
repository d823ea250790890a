// Users, and what they are granted.
#pragma once

#include "server/service/auth.h"
#include "server/service/rights.h"

namespace trailer::server {

// Of what a grant is: a host, or a resource.
struct GrantSubject {
    std::string kind;  // "Host", "Workspace", …
    std::string id;
    std::string name;
    std::string host_id;
};

class UserService {
  public:
    explicit UserService(Core& core) : core_(core) {}

    // Throws Error(not_found).
    const store::User& get(const std::string& id_or_name) const;
    protocol::UserView view(const std::string& id_or_name) const;

    // Throw Error(conflict) for a name that is taken, and where no admin would be left.
    Task<protocol::UserView> create(protocol::UserRequest request);
    // A new password ends all that the user has open.
    Task<> patch(std::string id_or_name, protocol::UserPatch patch);
    // What they own stays, and is the admins' then.
    Task<> remove(std::string id_or_name);

    // What a user was granted, or who was granted something. A host's are the admins' to see and
    // give, a resource's also those of who may manage it.
    std::vector<protocol::GrantView> grants_of(const std::string& user) const;
    std::vector<protocol::GrantView> grants_on(const Caller& caller,
                                               const GrantSubject& subject) const;
    Task<protocol::GrantView> grant(Caller caller, GrantSubject subject, std::string user,
                                    protocol::ResourceGrantRequest request);
    Task<protocol::GrantView> grant(Caller caller, GrantSubject subject, std::string user,
                                    protocol::HostGrantRequest request);
    Task<> revoke(Caller caller, GrantSubject subject, std::string user);

  private:
    protocol::GrantView view(const store::Grant& grant) const;
    Task<protocol::GrantView> put(Caller caller, GrantSubject subject, std::string user,
                                  store::Grant grant);
    void check_may_grant(const Caller& caller, const GrantSubject& subject) const;

    Core& core_;
};

}  // namespace trailer::server
