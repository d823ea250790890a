// What agents ask and tell.
#pragma once

#include "base/error.h"
#include "server/service/core.h"
#include "server/service/identity.h"

namespace trailer::server {

// A registration that waits for a person; `type` is the problem's.
class RegistrationHeld : public Error {
  public:
    RegistrationHeld(ErrorKind kind, std::string_view type, const std::string& message)
        : Error(kind, message), type_(type) {}
    std::string_view type() const { return type_; }

  private:
    std::string_view type_;
};

class AgentService {
  public:
    // An agent with `auto_approve_public_key` needs no approval (standalone's own).
    AgentService(Core& core, std::string auto_approve_public_key);

    protocol::ChallengeAnswer challenge(const protocol::ChallengeRequest& request) const;
    // Throws RegistrationHeld, Error(unauthenticated), InvalidInput.
    Task<protocol::RegisterAnswer> register_host(protocol::RegisterRequest request,
                                                 std::string address);
    // The host that a bearer token speaks for. Throws Error(unauthenticated).
    const HostEntry& authenticate(const std::string& token) const;

    protocol::HeartbeatAnswer heartbeat(const std::string& host_id,
                                        protocol::HeartbeatRequest request);
    // The document's text, or nothing when `revision` is the newest.
    std::optional<std::string> desired_state(const std::string& host_id, const std::string& history,
                                             std::int64_t revision) const;
    Task<> take_reports(std::string host_id, protocol::StatusRequest request);

  private:
    store::Changes decide_registration(const State& state, const protocol::RegisterRequest& request,
                                       const std::string& address);

    Core& core_;
    std::string auto_approve_public_key_;
    Identity identity_;
};

}  // namespace trailer::server
