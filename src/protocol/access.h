// Who may what, and who did what: users, grants, the audit log.
#pragma once

#include "protocol/session.h"

namespace trailer::protocol {

// POST /api/users.
struct UserRequest {
    std::string username;
    std::string password;
    Role role = Role::user;

    static constexpr std::array kRequired{std::string_view{"username"},
                                          std::string_view{"password"}};
};
BOOST_DESCRIBE_STRUCT(UserRequest, (), (username, password, role))

// PATCH /api/users/NAME: what is missing stays.
struct UserPatch {
    std::optional<std::string> password;
    std::optional<Role> role;
};
BOOST_DESCRIBE_STRUCT(UserPatch, (), (password, role))

// What a user may do with one workspace, network, volume or image. Each may what those before it
// may: see it, its logs and its pages; change it, and run commands in it; delete it, and grant it
// to others.
enum class ResourceRole { viewer, editor, manager };
BOOST_DESCRIBE_ENUM(ResourceRole, viewer, editor, manager)

// What a user may do on one host. Volumes are made with `volume_mounts`.
enum class HostPermission {
    view,
    create_workspaces,
    create_images,
    create_networks,
    bind_mounts,
    volume_mounts,
};
BOOST_DESCRIBE_ENUM(HostPermission, view, create_workspaces, create_images, create_networks,
                    bind_mounts, volume_mounts)

// PUT /api/workspaces/NAME/grants/USERNAME and its like.
struct ResourceGrantRequest {
    ResourceRole role = ResourceRole::viewer;

    static constexpr std::array kRequired{std::string_view{"role"}};
};
BOOST_DESCRIBE_STRUCT(ResourceGrantRequest, (), (role))

// PUT /api/hosts/NAME/grants/USERNAME. `view` goes with any of them.
struct HostGrantRequest {
    std::vector<HostPermission> permissions;

    static constexpr std::array kRequired{std::string_view{"permissions"}};
};
BOOST_DESCRIBE_STRUCT(HostGrantRequest, (), (permissions))

struct GrantView {
    std::string user;  // the username
    std::string kind;  // "Host", "Workspace", …
    std::string name;
    std::string id;
    std::optional<ResourceRole> role;                        // of a resource
    std::optional<std::vector<HostPermission>> permissions;  // of a host
    Timestamp created{};
};
BOOST_DESCRIBE_STRUCT(GrantView, (), (user, kind, name, id, role, permissions, created))

enum class AuditKind { logs, exec, attach, port, host_logs, proxy };
BOOST_DESCRIBE_ENUM(AuditKind, logs, exec, attach, port, host_logs, proxy)

// One session that a person opened: who, what, when, from where, how long, how much, and how it
// ended. Never what was said in it; of a command only the program, for its arguments may be
// secrets. The requests of one person to one port through the proxy, with no pause of more than
// five minutes, are one session.
struct AuditEntry {
    std::string id;
    AuditKind kind = AuditKind::logs;
    std::string user;  // the username, as it was
    std::string user_id;
    std::string workspace;  // the name, as it was; empty for host_logs
    std::string workspace_id;
    std::string host;
    std::string host_id;
    std::string address;                // where the person connects from
    std::string program;                // exec: the command's first word
    std::optional<std::uint16_t> port;  // port and proxy
    Timestamp began{};
    std::optional<Timestamp> ended;  // none: under way
    std::int64_t bytes_in = 0;       // from the person
    std::int64_t bytes_out = 0;      // to the person
    std::int64_t connections = 0;    // over which it went; of the proxy, requests
    std::optional<int> exit_code;
    std::string failure;  // why it did not open

    bool operator==(const AuditEntry&) const = default;
};
BOOST_DESCRIBE_STRUCT(AuditEntry, (),
                      (id, kind, user, user_id, workspace, workspace_id, host, host_id, address,
                       program, port, began, ended, bytes_in, bytes_out, connections, exit_code,
                       failure))

}  // namespace trailer::protocol
