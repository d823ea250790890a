// The checks of a document that need the rest of what is known: names that must be there, ports and
// addresses that are taken, what the host has. What needs nothing but the document is protocol's
// (validate.h); what needs the engine is the agent's.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "server/service/state.h"

namespace trailer::server {

// What one host is to have once a change is applied: typed, by kind and name.
class HostPlan {
  public:
    HostPlan(const store::Host& host, const State& state);

    // Adds or replaces, by id; takes away what is being deleted.
    void put(const store::Resource& resource);
    // Takes away, by id.
    void take(const store::Resource& resource);

    // Appends the faults of one resource of this plan; pointers begin with `prefix`.
    void check(const store::Resource& resource, const std::string& prefix,
               std::vector<FieldError>& faults) const;

    // Names of the workspaces that use it.
    std::vector<std::string> users_of(const store::Resource& resource) const;

  private:
    struct Workspace {
        std::string name;
        bool running = true;
        std::shared_ptr<const protocol::WorkspaceSpec> spec;
    };

    struct Network {
        std::string name;
        protocol::NetworkSpec spec;
        // What the host chose where the spec names none.
        std::string subnet_seen;
        std::string ipv6_subnet_seen;
    };

    static void check_bounds(std::vector<FieldError> beyond, const std::string& prefix,
                             std::vector<FieldError>& faults);
    void check_workspace(const std::string& id, const Workspace& workspace,
                         const std::string& prefix, std::vector<FieldError>& faults) const;
    void check_references(const Workspace& workspace, const std::string& prefix,
                          std::vector<FieldError>& faults) const;
    void check_dependencies(const Workspace& workspace, const std::string& prefix,
                            std::vector<FieldError>& faults) const;
    bool leads_to(const std::string& from, const std::string& to,
                  std::set<std::string>& seen) const;
    void check_ports(const std::string& id, const Workspace& workspace, const std::string& prefix,
                     std::vector<FieldError>& faults) const;
    void check_addresses(const std::string& id, const Workspace& workspace,
                         const std::string& prefix, std::vector<FieldError>& faults) const;
    void check_limits(const Workspace& workspace, const std::string& prefix,
                      std::vector<FieldError>& faults) const;
    void check_gpus(const protocol::Gpus& gpus, const std::string& prefix,
                    std::vector<FieldError>& faults) const;
    // network_checks.cpp
    void check_network(const store::Resource& resource, const std::string& prefix,
                       std::vector<FieldError>& faults) const;
    void check_subnets(const std::string& id, const Network& network, const std::string& prefix,
                       std::vector<FieldError>& faults) const;
    void check_interfaces(const Network& network, const std::string& prefix,
                          std::vector<FieldError>& faults) const;
    void check_parent(const std::string& id, const Network& network, const std::string& prefix,
                      std::vector<FieldError>& faults) const;
    const Network* network_named(const std::string& name) const;
    void check_image(const store::Resource& resource, const std::string& prefix,
                     std::vector<FieldError>& faults) const;
    std::string lacks(Kind kind, const std::string& name) const;

    const store::Host& host_;
    std::map<std::string, Workspace> workspaces_;  // by id; those that stay
    std::map<std::string, Network> networks_;
    std::map<std::string, std::pair<std::string, protocol::VolumeSpec>> volumes_;  // with its name
    std::map<std::string, std::pair<std::string, protocol::ImageSpec>> images_;
};

}  // namespace trailer::server
