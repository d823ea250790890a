// Workspaces, networks, volumes and images: what people want of them.
//
// A request is checked whole before anything changes, and is applied whole: one commit, one new
// revision of each host that it touches. What the caller may not do is refused as a whole too.
#pragma once

#include <boost/json/value.hpp>

#include "server/service/auth.h"

namespace trailer::server {

// What a person may tell a workspace to do, or an image.
enum class Act { start, stop, restart, redeploy, build };

// What an apply is to do beyond its documents.
struct ApplyOptions {
    bool dry_run = false;  // change nothing, and tell what the agents would do
    bool prune = false;    // delete what the documents' groups have and the documents have not
};

// What becomes of a group's volumes when it is deleted.
enum class Volumes { keep, remove };

class ResourceService {
  public:
    explicit ResourceService(Core& core) : core_(core) {}

    // Throws Error(not_found).
    const ResourceEntry& get(Kind kind, const std::string& id_or_name) const;
    // For who may not see it, it is not there.
    const ResourceEntry& get(const Caller& caller, Kind kind, const std::string& id_or_name) const;

    // Creates or updates by kind and name. `documents` is the request's JSON; throws InvalidInput
    // with pointers into it.
    Task<protocol::ApplyAnswer> apply(Caller caller, boost::json::value documents,
                                      ApplyOptions options);
    // Throws Error(conflict) when the name is taken. Gives the id.
    Task<std::string> create(Caller caller, Kind kind, boost::json::value document);
    // A JSON merge patch of `running` and `spec`.
    Task<> patch(Caller caller, Kind kind, std::string id_or_name, boost::json::value patch);
    Task<> act(Caller caller, Kind kind, std::string id_or_name, Act act);
    // It is gone once its host has removed it. Throws Error(conflict) that names who uses it.
    Task<> remove(Caller caller, Kind kind, std::string id_or_name);

    // All that is in it, at once, but for volumes unless they are asked for. Throws Error(conflict)
    // where something outside uses any of it.
    Task<> remove_group(Caller caller, std::string name, Volumes volumes);

  private:
    Task<std::vector<protocol::PlanOfHost>> ask_hosts(
        std::map<std::string, protocol::DesiredState> wanted);
    Task<> ask_host(std::string host_id, std::string question, protocol::HostPlan* plan);

    Core& core_;
};

}  // namespace trailer::server
