// What people and programs exchange with the server, under /api/. The resource's `spec` is typed in
// resources.h; here it is the JSON as it is stored and shown.
#pragma once

#include "protocol/agent.h"

namespace trailer::protocol {

// RFC 9457, application/problem+json.
struct Problem {
    std::string type = "about:blank";
    std::string title;
    int status = 500;
    std::string detail;
    struct FieldFault {
        std::string pointer;
        std::string detail;
    };
    std::vector<FieldFault> errors;
};
BOOST_DESCRIBE_STRUCT(Problem::FieldFault, (), (pointer, detail))
BOOST_DESCRIBE_STRUCT(Problem, (), (type, title, status, detail, errors))

// The problem that says what `error` says.
Problem to_problem(const std::exception& error);
// The exception that says what `problem` says; an InvalidInput where it lists fields.
[[noreturn]] void throw_problem(const Problem& problem);

struct LoginRequest {
    std::string username;
    std::string password;

    static constexpr std::array kRequired{std::string_view{"username"},
                                          std::string_view{"password"}};
};
BOOST_DESCRIBE_STRUCT(LoginRequest, (), (username, password))

enum class Role { admin, user };
BOOST_DESCRIBE_ENUM(Role, admin, user)

struct UserView {
    std::string id;
    std::string username;
    Role role = Role::user;
    Timestamp created{};
};
BOOST_DESCRIBE_STRUCT(UserView, (), (id, username, role, created))

struct LoginAnswer {
    std::string token;
    UserView user;
};
BOOST_DESCRIBE_STRUCT(LoginAnswer, (), (token, user))

struct TokenRequest {
    std::string name;
    std::optional<std::int64_t> expires_in_ms;

    static constexpr std::array kRequired{std::string_view{"name"}};
};
BOOST_DESCRIBE_STRUCT(TokenRequest, (), (name, expires_in_ms))

struct TokenView {
    std::string id;
    std::string name;
    Timestamp created{};
    std::optional<Timestamp> expires;
    std::optional<Timestamp> last_used;
    std::optional<std::string> token;  // in the answer to POST only
};
BOOST_DESCRIBE_STRUCT(TokenView, (), (id, name, created, expires, last_used, token))

enum class HostState { pending_approval, online, offline };
BOOST_DESCRIBE_ENUM(HostState, pending_approval, online, offline)

// A second machine that came with a host's token and another key.
struct IdentityConflict {
    std::string fingerprint;  // of the key that was refused
    std::string address;      // where it came from
    Timestamp first{};
    Timestamp last{};

    bool operator==(const IdentityConflict&) const = default;
};
BOOST_DESCRIBE_STRUCT(IdentityConflict, (), (fingerprint, address, first, last))

struct HostView {
    std::string id;
    std::string name;
    HostState status = HostState::offline;
    Timestamp since{};  // of the status
    bool enabled = true;
    HostSettings settings;
    // Four parts, each on its own: no green light over a dead part.
    Condition heartbeat;
    Condition realtime;
    Condition engine;
    Condition reconcile;
    std::string version;
    std::string os;
    std::string architecture;
    Capabilities capabilities;
    std::string fingerprint;  // of the key that is bound, or that waits for approval
    std::string address;      // where the agent connects from
    std::optional<IdentityConflict> identity_conflict;
    Metrics metrics;                    // the latest
    Upkeep upkeep;                      // the latest
    std::int64_t revision = 0;          // wanted
    std::int64_t revision_applied = 0;  // told by the last heartbeat
    Timestamp created{};
    Timestamp updated{};
};
BOOST_DESCRIBE_STRUCT(HostView, (),
                      (id, name, status, since, enabled, settings, heartbeat, realtime, engine,
                       reconcile, version, os, architecture, capabilities, fingerprint, address,
                       identity_conflict, metrics, upkeep, revision, revision_applied, created,
                       updated))

// A workspace, network, volume or image as the API shows it. `running` and `messages` as told in
// api.md; `running` is there for workspaces only.
struct ResourceView {
    Kind kind = Kind::workspace;
    std::string id;
    std::string name;
    std::string host;  // its name
    std::string host_id;
    std::string group;  // empty: none
    std::string owner;  // the username of who made it; empty when that user is no more
    std::optional<bool> running;
    json::object spec;
    State status = State::pending;
    std::vector<Message> messages;
    json::object observed;
    std::int64_t revision = 0;
    Timestamp created{};
    Timestamp updated{};
};
BOOST_DESCRIBE_STRUCT(ResourceView, (),
                      (kind, id, name, host, host_id, group, owner, running, spec, status, messages,
                       observed, revision, created, updated))

// A document of `trailer apply -f`, an element of POST /api/apply, and the body of POST
// /api/workspaces and its like (there `kind` may be left out).
struct Document {
    std::optional<Kind> kind;
    std::string name;
    std::string host;  // name or id; empty: the group's, else the only host there is
    std::optional<std::string> group;  // missing: as it is; empty: none
    std::optional<bool> running;
    json::object spec;

    static constexpr std::array kRequired{std::string_view{"name"}};
};
BOOST_DESCRIBE_STRUCT(Document, (), (kind, name, host, group, running, spec))

enum class ApplyResult { created, updated, unchanged, deleted };
BOOST_DESCRIBE_ENUM(ApplyResult, created, updated, unchanged, deleted)

struct ApplyItem {
    Kind kind = Kind::workspace;
    std::string name;
    std::string id;
    ApplyResult result = ApplyResult::unchanged;
    std::vector<std::string> changes;  // "/spec/env/A", the members that differ
};
BOOST_DESCRIBE_STRUCT(ApplyItem, (), (kind, name, id, result, changes))

// What a host's agent would do, on a dry run.
struct PlanOfHost {
    std::string host;  // its name
    HostPlan plan;
};
BOOST_DESCRIBE_STRUCT(PlanOfHost, (), (host, plan))

// One resource by its names.
struct ResourceName {
    Kind kind = Kind::workspace;
    std::string name;
    std::string id;

    bool operator==(const ResourceName&) const = default;
};
BOOST_DESCRIBE_STRUCT(ResourceName, (), (kind, name, id))

struct ApplyAnswer {
    std::vector<ApplyItem> items;
    // What the groups of the request have, but the request has not; volumes apart, which stay.
    std::vector<ResourceName> left_over;
    std::optional<std::vector<PlanOfHost>> plans;  // of a dry run
};
BOOST_DESCRIBE_STRUCT(ApplyAnswer, (), (items, left_over, plans))

// What belongs together, such as the services of a Compose file. A group is there while something
// is in it.
struct GroupView {
    std::string name;
    std::vector<std::string> hosts;              // their names
    std::map<std::string, std::int64_t> states;  // of its workspaces: how many are in each
    std::int64_t workspaces = 0;
    std::int64_t networks = 0;
    std::int64_t volumes = 0;
    std::int64_t images = 0;
    Timestamp created{};  // the first of them
    Timestamp updated{};  // the last of them
};
BOOST_DESCRIBE_STRUCT(GroupView, (),
                      (name, hosts, states, workspaces, networks, volumes, images, created,
                       updated))

enum class EventType { created, updated, deleted };
BOOST_DESCRIBE_ENUM(EventType, created, updated, deleted)

// The data of one server-sent event of GET /api/events. The event's name is `resource`, or `reset`
// (with no data) when events were missed: list everything anew.
struct ResourceEvent {
    EventType type = EventType::updated;
    std::string kind;  // "Host", "Workspace", "Network", "Volume", "Image"
    std::string id;
    std::string name;
    json::value resource;  // as GET shows it; null when deleted
};
BOOST_DESCRIBE_STRUCT(ResourceEvent, (), (type, kind, id, name, resource))

}  // namespace trailer::protocol
