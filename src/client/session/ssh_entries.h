// OpenSSH's configuration for workspaces that run an sshd.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trailer::client {

struct SshEntry {
    std::string workspace;
    std::string id;  // host keys are kept under it: names may come again, elsewhere
    std::string user;
    std::uint16_t port = 22;
    std::vector<std::string> command;  // of the proxy, up to the workspace
};

// `Host trailer.NAME` and its options. Throws InvalidInput for a name that OpenSSH would misread.
std::string ssh_entry(const SshEntry& entry);

// `config` with an Include of `file` between our markers, at its top: an Include beneath a Host is
// a part of it. The same again when it is there already.
std::string with_include(std::string_view config, std::string_view file);

}  // namespace trailer::client
