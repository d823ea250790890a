// The verbs, each a function of its flags that returns the exit code. They throw what
// report_failure() prints: UsageError for a bad command line, Error for what failed.
#pragma once

#include <chrono>
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

struct ApplyFlags {
    ConnectionFlags connection;
    std::vector<std::string> files;
    bool dry_run = false;
    WaitFlags wait;
    Format format = Format::table;
};
int apply(const ApplyFlags& flags);

struct GetFlags {
    ConnectionFlags connection;
    std::string kind;
    std::vector<std::string> names;
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
    std::vector<std::string> files;
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

struct DoctorFlags {
    ConnectionFlags connection;
    std::string config_file;
    std::string docker_host;
    Format format = Format::table;
};
int doctor(const DoctorFlags& flags);

int show_version(Format format);

}  // namespace trailer::client
