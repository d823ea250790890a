// What the server keeps, as records, and how it gets to the disk.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/access.h"

namespace trailer::store {

namespace json = boost::json;

struct User {
    std::string id;
    std::string username;
    std::string password_hash;  // argon2id
    protocol::Role role = protocol::Role::user;
    Timestamp created{};

    bool operator==(const User&) const = default;
};

enum class TokenKind { session, api };
BOOST_DESCRIBE_ENUM(TokenKind, session, api)

// Of a token only the hash is kept.
struct Token {
    std::string id;
    std::string user_id;
    TokenKind kind = TokenKind::session;
    std::string name;
    std::string hash;  // SHA-256, hexadecimal
    Timestamp created{};
    std::optional<Timestamp> expires;
    std::optional<Timestamp> last_used;

    bool operator==(const Token&) const = default;
};

// What one user may do with one resource, or on one host.
struct Grant {
    std::string user_id;
    std::string subject_id;                             // the resource's or the host's
    std::optional<protocol::ResourceRole> role;         // of a resource
    std::vector<protocol::HostPermission> permissions;  // on a host
    Timestamp created{};

    bool operator==(const Grant&) const = default;
};
using GrantKey = std::pair<std::string, std::string>;  // user's id, subject's id

struct Host {
    std::string id;
    std::string name;
    std::string registration_token;
    std::string public_key;  // bound at approval; before, the one that asks for it
    bool approved = false;
    bool enabled = true;
    protocol::HostSettings settings;
    std::string version;
    std::string os;
    std::string architecture;
    protocol::Capabilities capabilities;
    std::string address;
    std::optional<protocol::IdentityConflict> conflict;
    std::string conflict_key;   // the public key that was refused
    std::int64_t revision = 0;  // of the desired state
    Timestamp created{};
    Timestamp updated{};

    bool operator==(const Host&) const = default;
};

struct Resource {
    protocol::Kind kind = protocol::Kind::workspace;
    std::string id;
    std::string name;
    std::string host_id;
    std::string group;     // empty: none
    std::string owner_id;  // the user who made it
    bool running = true;   // workspaces
    json::object spec;     // canonical
    protocol::State status = protocol::State::pending;
    std::vector<protocol::Message> messages;
    json::object observed;
    std::int64_t revision = 1;  // of what is wanted
    bool deleting = false;
    std::optional<Timestamp> restart_before;  // by the host's clock
    std::int64_t rebuilds = 0;                // a workspace's redeploys, an image's rebuilds
    Timestamp created{};
    Timestamp updated{};

    bool operator==(const Resource&) const = default;
};

struct Snapshot {
    std::vector<User> users;
    std::vector<Token> tokens;
    std::vector<Grant> grants;
    std::vector<Host> hosts;
    std::vector<Resource> resources;
    std::map<std::string, std::string> meta;

    bool operator==(const Snapshot&) const = default;
};

// All or nothing. What is put is inserted or, by its id, replaced.
struct Changes {
    std::vector<User> put_users;
    std::vector<std::string> remove_users;  // with their tokens and grants
    std::vector<Token> put_tokens;
    std::vector<std::string> remove_tokens;
    std::vector<Grant> put_grants;
    std::vector<GrantKey> remove_grants;
    std::vector<Host> put_hosts;
    std::vector<std::string> remove_hosts;  // with their resources; grants go with either
    std::vector<Resource> put_resources;
    std::vector<std::string> remove_resources;
    std::map<std::string, std::string> put_meta;

    bool empty() const {
        return put_users.empty() && remove_users.empty() && put_tokens.empty() &&
               remove_tokens.empty() && put_grants.empty() && remove_grants.empty() &&
               put_hosts.empty() && remove_hosts.empty() && put_resources.empty() &&
               remove_resources.empty() && put_meta.empty();
    }
};

// A session in the audit log. Kept on the disk only: the log is long, and seldom read.
struct AuditRecord {
    protocol::AuditEntry entry;
    std::string session;  // SHA-256 of the session's id, which is a secret; may be empty

    bool operator==(const AuditRecord&) const = default;
};

// Which entries, the newest first. What is empty does not narrow.
struct AuditQuery {
    std::string user_id;
    std::string workspace_id;
    std::string host_id;
    std::optional<protocol::AuditKind> kind;
    std::optional<Timestamp> from;  // began then or later
    std::optional<Timestamp> to;    // began before
    std::string before;             // the id of an entry: those that began before it
    std::int64_t limit = 100;
};

// Calls block: run them on a pool. One at a time.
class Store {
  public:
    virtual ~Store() = default;
    virtual Snapshot load() = 0;
    // Returns when the changes would survive a loss of power. Throws Error, and then nothing is
    // changed.
    virtual void commit(const Changes& changes) = 0;
    // Throws Error(unavailable) when the database does not answer.
    virtual void check() = 0;

    // Inserted or, by its id, replaced; all or nothing.
    virtual void put_audit(const std::vector<AuditRecord>& records) = 0;
    virtual std::vector<protocol::AuditEntry> audit(const AuditQuery& query) = 0;
    virtual std::optional<AuditRecord> audit_of_session(const std::string& session) = 0;
    // Forgets entries that began before `oldest`.
    virtual void prune_audit(Timestamp oldest) = 0;
};

// Opens or creates `directory`/trailer.db, ends in the audit log what a server that died left
// under way, and brings its schema to this version. Throws Error that
// says what to do, for a database of a newer version too.
std::unique_ptr<Store> open_sqlite(const std::string& directory);

}  // namespace trailer::store
