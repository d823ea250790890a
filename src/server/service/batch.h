// The changes of one request, as they come together: each document read and checked by itself, by
// what its author may do, and all of them against the rest.
//
// Nothing changes here: changes() is what is to be committed. Lives within one change of the state.
#pragma once

#include <boost/json/object.hpp>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "server/service/checks.h"
#include "server/service/rights.h"

namespace trailer::server {

// What a resource is before its host has begun.
protocol::State first_state(Kind kind);
// What changes a resource gets a new revision, and its host too.
void renew(store::Resource& resource, protocol::State status);

class Batch {
  public:
    Batch(const State& state, const std::string& user_id);

    // Reads and checks one document. `pointer` is where it stands in the request.
    void add(const boost::json::value& value, const std::string& pointer, std::optional<Kind> kind);

    // What the groups of the documents have and the documents have not. Volumes hold data: they go
    // only when they are named.
    void find_left_over();
    // Deletes what find_left_over() found.
    void prune();

    // Throws what was wrong with any; else checks them against the rest.
    void check();

    store::Changes changes() const;
    // What the hosts that it touches would be told, by their ids.
    std::map<std::string, protocol::DesiredState> desired_states() const;
    protocol::ApplyAnswer answer() const;

  private:
    struct Entry {
        store::Resource resource;
        std::string pointer;
        protocol::ApplyItem item;
    };
    void fail(std::string pointer, std::string detail);

    // "/0/spec/mounts/1/bind: this needs the permission bind_mounts on host one"
    void deny(const std::string& pointer, const std::string& what);
    void deny(const std::string& pointer, std::string_view noun, const std::string& name,
              std::string_view why, Right right);
    bool permitted(const std::string& pointer, const store::Host& host,
                   protocol::HostPermission permission);

    // What a workspace names anew, its author must be allowed to use.
    void check_uses(const protocol::WorkspaceSpec& spec, const protocol::WorkspaceSpec& before,
                    const store::Host& host, const std::string& pointer);

    // What is not there, or is made by this request, is not known here.
    void check_use(Kind kind, const std::string& name, const store::Host& host,
                   const std::string& pointer, Right right);
    void throw_faults();
    void add(protocol::Document document, const std::string& pointer, bool says_running);
    const store::Host* find_host(const protocol::Document& document, const ResourceEntry* known,
                                 const std::string& pointer);
    const HostEntry* only_host(const std::string& pointer);

    // Where all of its group is.
    const store::Host* host_of_group(const protocol::Document& document) const;
    void check_unused(const HostPlan& plan, const store::Resource& resource);
    void create(const protocol::Document& document, const store::Host& host,
                boost::json::object spec, const std::string& pointer);
    void update(const protocol::Document& document, const store::Resource& known,
                const store::Host& host, boost::json::object spec, const std::string& pointer);
    HostPlan& plan_of(const std::string& host_id);

    const State& state_;
    Rights rights_;
    std::vector<FieldError> faults_;
    std::vector<std::string> denied_;
    std::vector<Entry> entries_;
    std::set<std::pair<Kind, std::string>> seen_;
    std::set<std::string> groups_;  // that the documents name
    std::vector<const store::Resource*> left_over_;
    std::map<std::string, HostPlan> plans_;
};

}  // namespace trailer::server
