// Everything the server knows, in memory: what the database has, and what is known only while it
// runs. Reads cost no SQL (docs/decisions/0009).
//
// Each host and resource carries its JSON as the API shows it, rendered when it changes, so that a
// list is a concatenation. One thread. Changed by Core alone.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "protocol/api.h"
#include "store/store.h"

namespace trailer::server {

using protocol::Kind;

// What is known of a host while the server runs.
struct Presence {
    protocol::HostState status = protocol::HostState::offline;
    Timestamp since{};
    std::chrono::steady_clock::time_point heard{};  // the last heartbeat
    protocol::Condition heartbeat;
    protocol::Condition realtime;
    protocol::Condition engine;
    protocol::Condition reconcile;
    protocol::Metrics metrics;
    protocol::Upkeep upkeep;
    std::int64_t revision_applied = 0;
    std::chrono::milliseconds clock_ahead{0};  // the host's clock, of ours
};

struct HostEntry {
    store::Host record;
    Presence presence;
    std::string text;
};

using ResourceKey = std::pair<Kind, std::string>;  // kind and name

struct ResourceEntry {
    store::Resource record;
    std::string text;
    // Its host's revision that last changed what is wanted of it.
    std::int64_t wanted_since = 0;
    // A workspace's spec, read once: each change is checked against all of its host's.
    std::shared_ptr<const protocol::WorkspaceSpec> workspace;
    // Of a workspace: its image, networks and volumes.
    std::set<ResourceKey> uses;
};

// What is wanted of a host and was not at an earlier revision.
struct Difference {
    std::vector<const ResourceEntry*> changed;
    std::vector<std::string> removed;  // ids
};

// The image (it may be a reference that is no Image's name), networks and volumes of a workspace.
std::set<ResourceKey> uses_of(const protocol::WorkspaceSpec& spec);

// What changed, as listeners are told.
struct Change {
    protocol::EventType type = protocol::EventType::updated;
    std::string kind;
    std::string id;
    std::string name;
    std::string text;  // empty when deleted
};

class State {
  public:
    explicit State(store::Snapshot snapshot);

    const store::User* user(const std::string& id) const;
    const store::User* user_named(const std::string& username) const;
    const std::unordered_map<std::string, store::User>& users() const { return users_; }
    const store::Token* token_of_hash(const std::string& hash) const;
    const store::Token* token(const std::string& id) const;
    std::vector<const store::Token*> tokens_of(const std::string& user_id) const;
    std::string meta(const std::string& key) const;  // "" when it is not there
    // Nothing where none was granted.
    const store::Grant* grant(const std::string& user_id, const std::string& subject_id) const;
    // By user.
    const std::map<std::string, store::Grant>& grants_on(const std::string& subject_id) const;
    std::vector<const store::Grant*> grants_of(const std::string& user_id) const;

    const HostEntry* host(const std::string& id_or_name) const;
    const HostEntry* host_of_registration(const std::string& registration_token) const;
    const std::map<std::string, std::string>& host_names() const { return host_ids_; }
    const std::unordered_map<std::string, HostEntry>& hosts() const { return hosts_; }

    const ResourceEntry* resource(Kind kind, const std::string& id_or_name) const;
    // Name -> id, of one kind.
    const std::map<std::string, std::string>& names(Kind kind) const;
    const ResourceEntry* resource_of_id(const std::string& id) const;
    std::vector<const ResourceEntry*> resources_on(const std::string& host_id) const;
    // Of the host's revisions in this process: those of another are not to be compared with them.
    std::string history_of(const std::string& host_id) const;
    // Since that revision of this history; nothing where it is not remembered so far back.
    std::optional<Difference> difference(const std::string& host_id, std::int64_t since) const;
    // Names of groups -> ids of what is in them; never empty.
    const std::map<std::string, std::set<std::string>>& groups() const { return groups_; }
    std::vector<const ResourceEntry*> resources_in(const std::string& group) const;
    std::size_t count(Kind kind) const { return names(kind).size(); }

    // After the database has them.
    std::vector<Change> apply(const store::Changes& changes);
    // What is not in the database. Renders the host; nothing when it is not there (any more), or
    // when nothing but its metrics changed.
    std::optional<Change> set_presence(const std::string& host_id, Presence presence);

    protocol::HostView view(const HostEntry& host) const;
    protocol::ResourceView view(const store::Resource& resource) const;
    // Of a group, as far as these are of it.
    protocol::GroupView view(const std::string& group,
                             const std::vector<const ResourceEntry*>& members) const;

  private:
    void remove_user(const std::string& id);
    void remove_token(const std::string& id);
    using Removed = std::pair<std::string, std::string>;  // host's id, its own
    void remove_resource(const std::string& id, std::vector<Change>& told,
                         std::vector<Removed>& removed);
    void apply_grants(const store::Changes& changes, std::vector<Change>& told);
    std::optional<Change> change_of(const std::string& subject_id) const;
    Change put(const store::Host& host);
    Change put(const store::Resource& resource);
    void leave_group(const store::Resource& resource);
    void note_removal(const std::string& host_id, const std::string& id);
    void render(HostEntry& host) const;
    void render(ResourceEntry& resource) const;

    // Of a host, the newest last.
    struct Removals {
        std::int64_t since = 0;  // those after this revision are remembered
        std::deque<std::pair<std::int64_t, std::string>> ids;
    };

    std::string process_;                       // an id of its own, for history_of()
    std::map<std::string, Removals> removals_;  // by host id
    std::unordered_map<std::string, store::User> users_;
    std::unordered_map<std::string, store::Token> tokens_;
    std::unordered_map<std::string, std::string> token_ids_;             // by hash
    std::map<std::string, std::map<std::string, store::Grant>> grants_;  // by subject, by user
    std::map<std::string, std::string> meta_;
    std::unordered_map<std::string, HostEntry> hosts_;
    std::map<std::string, std::string> host_ids_;       // by name
    std::map<std::string, std::string> registrations_;  // token -> host id
    std::unordered_map<std::string, ResourceEntry> resources_;
    std::map<Kind, std::map<std::string, std::string>> ids_;  // by name
    std::map<std::string, std::set<std::string>> on_host_;    // resource ids
    std::map<std::string, std::set<std::string>> groups_;     // resource ids, by the group's name
};

}  // namespace trailer::server
