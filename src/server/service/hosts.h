// Hosts as people see and settle them.
#pragma once

#include <boost/json/object.hpp>

#include "server/service/auth.h"

namespace trailer::server {

class HostService {
  public:
    explicit HostService(Core& core) : core_(core) {}

    // Throws Error(not_found).
    const HostEntry& get(const std::string& id_or_name) const;
    // For who may not see it, it is not there.
    const HostEntry& get(const Caller& caller, const std::string& id_or_name) const;

    // A JSON merge patch of `name`, `enabled` and `settings`. `enabled: true` approves a host that
    // waits for it.
    Task<> patch(std::string id_or_name, boost::json::value patch);
    // Binds the key that waits. `fingerprint` says which where a second one claims the host.
    Task<> approve(std::string id_or_name, std::optional<std::string> fingerprint);
    // With all its resources; what runs on it is left. Throws Error(conflict) unless disabled.
    Task<> remove(std::string id_or_name);

    // Turns the lights out of hosts that are no longer heard of. Never returns.
    Task<> watch_heartbeats();

  private:
    Core& core_;
};

}  // namespace trailer::server
