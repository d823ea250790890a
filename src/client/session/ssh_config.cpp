// `trailer ssh-config`.
#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "client/api.h"
#include "client/arguments.h"
#include "client/commands.h"
#include "client/failure.h"
#include "client/session/ssh_entries.h"
#include "client/terminal.h"
#include "protocol/api.h"
#include "wire/json.h"

namespace trailer::client {
namespace {

std::vector<protocol::ResourceView> find_workspaces(Api& api,
                                                    const std::vector<std::string>& names) {
    std::vector<protocol::ResourceView> found;
    if (names.empty()) {
        for (const auto& each : api.list(Subject::workspace)) {
            found.push_back(wire::from_json<protocol::ResourceView>(each));
        }
        return found;
    }
    for (const auto& name : parse_named("workspaces", names).names) {
        const auto view = api.get(path_of(Subject::workspace, name));
        found.push_back(wire::from_json<protocol::ResourceView>(view));
    }
    return found;
}

// The same server and the same token later, whatever a login changes meanwhile.
std::vector<std::string> proxy_command(const Api& api, const ConnectionFlags& connection) {
    std::vector<std::string> command{std::filesystem::read_symlink("/proc/self/exe").string(),
                                     "ssh-proxy", "--server", api.server()};
    if (connection.token_file) {
        command.emplace_back("--token-file");
        command.push_back(std::filesystem::absolute(*connection.token_file).string());
    }
    return command;
}

std::filesystem::path ssh_directory() {
    const char* home = std::getenv("HOME");
    if (home == nullptr || *home == '\0') {
        throw Error(ErrorKind::invalid, "--write: HOME is not set: where is your .ssh?");
    }
    return std::filesystem::path(home) / ".ssh";
}

std::string read_if_there(const std::filesystem::path& file) {
    try {
        return read_file(file);
    } catch (const Error& e) {
        if (e.kind() != ErrorKind::not_found) throw;
        return {};
    }
}

int write_entries(const std::string& text, std::size_t count) {
    const auto directory = ssh_directory();
    const auto ours = directory / "trailer_config";
    write_file_atomically(ours, text, 0600);
    auto config = directory / "config";
    // A link into a person's own repository stays one.
    if (std::filesystem::is_symlink(config)) config = std::filesystem::weakly_canonical(config);
    const auto before = read_if_there(config);
    const auto after = with_include(before, ours.string());
    if (after != before) write_file_atomically(config, after, 0600);
    print(stdout, fmt::format("{} written, which {} includes: {} {}\n", ours.string(),
                              config.string(), count, count == 1 ? "workspace" : "workspaces"));
    return kDone;
}

}  // namespace

int ssh_config(const SshConfigFlags& flags) {
    Api api(resolve_target(credentials_file(), flags.connection));
    const auto workspaces = find_workspaces(api, flags.workspaces);
    std::string text = "# Made by `trailer ssh-config`; for example: ssh trailer.NAME\n";
    for (const auto& workspace : workspaces) {
        text += "\n" + ssh_entry({.workspace = workspace.name,
                                  .id = workspace.id,
                                  .user = flags.user,
                                  .port = flags.port,
                                  .command = proxy_command(api, flags.connection)});
    }
    if (flags.write) return write_entries(text, workspaces.size());
    print(stdout, text);
    return kDone;
}

}  // namespace trailer::client
