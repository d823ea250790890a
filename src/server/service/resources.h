// Workspaces, networks, volumes and images: what people want of them.
//
// A request is checked whole before anything changes, and is applied whole: one commit, one new
// revision of each host that it touches.
#pragma once

#include <boost/json/value.hpp>

#include "server/service/core.h"

namespace trailer::server {

// What a person may tell a workspace to do, or an image.
enum class Act { start, stop, restart, redeploy, build };

class ResourceService {
  public:
    explicit ResourceService(Core& core) : core_(core) {}

    // Throws Error(not_found).
    const ResourceEntry& get(Kind kind, const std::string& id_or_name) const;

    // Creates or updates by kind and name. `documents` is the request's JSON; throws InvalidInput
    // with pointers into it. A dry run changes nothing, and tells what the agents would do.
    Task<protocol::ApplyAnswer> apply(boost::json::value documents, bool dry_run);
    // Throws Error(conflict) when the name is taken. Gives the id.
    Task<std::string> create(Kind kind, boost::json::value document);
    // A JSON merge patch of `running` and `spec`.
    Task<> patch(Kind kind, std::string id_or_name, boost::json::value patch);
    Task<> act(Kind kind, std::string id_or_name, Act act);
    // It is gone once its host has removed it. Throws Error(conflict) that names who uses it.
    Task<> remove(Kind kind, std::string id_or_name);

  private:
    Task<std::vector<protocol::PlanOfHost>> ask_hosts(
        std::map<std::string, protocol::DesiredState> wanted);
    Task<> ask_host(std::string host_id, std::string question, protocol::HostPlan* plan);

    Core& core_;
};

}  // namespace trailer::server
