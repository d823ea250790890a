// The verbs, each a function of its flags that returns the exit code. They throw what
// report_failure() prints: UsageError for a bad command line, Error for what failed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/connection.h"

namespace trailer::client {

enum class Format { table, wide, name, json, yaml };

struct WaitFlags {
    bool wait = false;
    std::optional<int> timeout_s;  // none: as long as it takes

    std::optional<std::chrono::seconds> timeout() const {
        if (!timeout_s) return std::nullopt;
        return std::chrono::seconds(*timeout_s);
    }
};

struct LoginFlags {
    ConnectionFlags connection;
    std::string username;
    std::string password_file;
};
int login(const LoginFlags& flags);
int logout(const ConnectionFlags& connection);

// How files are read, Compose files above all.
struct FileFlags {
    std::vector<std::string> files;
    std::string group;  // of what names none; a Compose file's project
    std::string host;   // of what names none
    std::vector<std::string> profiles;
    std::string env_file;  // in place of the `.env` beside the Compose file
    bool ignore_unsupported = false;
};

struct ApplyFlags {
    ConnectionFlags connection;
    FileFlags files;
    bool dry_run = false;
    bool prune = false;
    WaitFlags wait;
    Format format = Format::table;
};
int apply(const ApplyFlags& flags);

struct GetFlags {
    ConnectionFlags connection;
    std::string kind;
    std::vector<std::string> names;
    std::string group;  // only what is in it
    bool watch = false;
    Format format = Format::table;
};
int get(const GetFlags& flags);

struct DescribeFlags {
    ConnectionFlags connection;
    std::string kind;
    std::vector<std::string> names;
};
int describe_resources(const DescribeFlags& flags);

struct DeleteFlags {
    ConnectionFlags connection;
    std::string kind;
    std::vector<std::string> names;
    FileFlags files;
    bool volumes = false;  // of a group, or of a Compose file, too
    WaitFlags wait;
};
int remove(const DeleteFlags& flags);

struct PowerFlags {
    ConnectionFlags connection;
    std::vector<std::string> workspaces;
    WaitFlags wait;
};
int start(const PowerFlags& flags);
int stop(const PowerFlags& flags);
int restart(const PowerFlags& flags);

struct ApproveFlags {
    ConnectionFlags connection;
    std::string host;
    std::string fingerprint;
};
int approve(const ApproveFlags& flags);

struct ExecFlags {
    ConnectionFlags connection;
    std::string workspace;
    std::vector<std::string> command;
    bool interactive = false;
    bool terminal = false;
    std::string user;
    std::string working_dir;
    std::vector<std::string> env;  // NAME=VALUE
    std::string detach_keys = "ctrl-p,ctrl-q";
};
int exec(const ExecFlags& flags);

struct AttachFlags {
    ConnectionFlags connection;
    std::string workspace;
    std::string detach_keys = "ctrl-p,ctrl-q";
};
int attach(const AttachFlags& flags);

struct LogsFlags {
    ConnectionFlags connection;
    std::vector<std::string> subjects;   // workspaces, "host/NAME"
    std::vector<std::string> selectors;  // "KEY=VALUE"
    bool follow = false;
    bool timestamps = false;
    std::optional<std::int64_t> tail;
    std::string since;  // a time, or how long ago: "10m"
    std::string until;
};
int logs(const LogsFlags& flags);

struct PortForwardFlags {
    ConnectionFlags connection;
    std::string workspace;
    std::vector<std::string> ports;  // "8080:80", "80", "0:80"
    std::string address = "127.0.0.1";
};
int port_forward(const PortForwardFlags& flags);

struct CopyFlags {
    ConnectionFlags connection;
    std::string source;  // one of the two is "WORKSPACE:PATH"
    std::string target;
};
int copy(const CopyFlags& flags);

struct SshProxyFlags {
    ConnectionFlags connection;
    std::string workspace;
    std::uint16_t port = 22;
};
int ssh_proxy(const SshProxyFlags& flags);

struct SshConfigFlags {
    ConnectionFlags connection;
    std::vector<std::string> workspaces;  // none: all
    std::string user;
    std::uint16_t port = 22;
    bool write = false;
};
int ssh_config(const SshConfigFlags& flags);

struct UserFlags {
    ConnectionFlags connection;
    std::string action;  // "list", "add", "set", "remove"
    std::string name;
    std::string role;
    std::string password_file;
    Format format = Format::table;
};
int user(const UserFlags& flags);

struct GrantFlags {
    ConnectionFlags connection;
    std::string user;
    std::string role;     // of a host: permissions, with commas between
    std::string subject;  // "workspace/dev", "host/one"
};
int grant(const GrantFlags& flags);
int revoke(const GrantFlags& flags);

struct GrantsFlags {
    ConnectionFlags connection;
    std::string subject;  // "user/eve" too
    Format format = Format::table;
};
int grants(const GrantsFlags& flags);

struct AuditFlags {
    ConnectionFlags connection;
    std::string user;
    std::string workspace;
    std::string host;
    std::string kind;
    std::string since;  // a time, or how long ago: "10m"
    std::string until;
    int limit = 50;
    Format format = Format::table;
};
int audit(const AuditFlags& flags);

struct DoctorFlags {
    ConnectionFlags connection;
    std::string config_file;
    std::string docker_host;
    Format format = Format::table;
};
int doctor(const DoctorFlags& flags);

int show_version(Format format);

}  // namespace trailer::client
