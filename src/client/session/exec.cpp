// `trailer exec`, `attach` and `ssh-proxy`: a session joined to our own standard streams.
#include "client/arguments.h"
#include "client/commands.h"
#include "client/failure.h"
#include "client/session/joined.h"
#include "client/session/query.h"
#include "client/terminal.h"

namespace trailer::client {
namespace {

std::string path_of_workspace(const std::string& name) {
    const auto named = parse_named("workspaces", {name});
    return path_of(Subject::workspace, named.names.front());
}

// Failures of the product have a code of their own, which no command gives by chance.
template <typename Run>
int with_own_code(const std::string& what, Run run) {
    try {
        return run();
    } catch (const UsageError&) {
        throw;
    } catch (const std::exception& e) {
        report_failure(what, e);
        return kSessionFailed;
    }
}

int join(const ConnectionFlags& connection, SessionRoute route, JoinOptions options) {
    Api api(resolve_target(credentials_file(), connection));
    JoinedSession session(api, std::move(route), std::move(options));
    return api.run(session.run());
}

void check_env(const std::vector<std::string>& env) {
    for (const auto& each : env) {
        const auto equals = each.find('=');
        if (equals == each.npos || equals == 0) {
            throw UsageError("--env: expected NAME=VALUE");  // not shown: it may be a secret
        }
    }
}

}  // namespace

int exec(const ExecFlags& flags) {
    if (flags.command.empty()) {
        throw UsageError("expected a command: trailer exec WORKSPACE -- COMMAND ARGUMENT…");
    }
    const bool from_terminal = is_terminal(stdin);
    if (flags.terminal && !from_terminal) {
        throw UsageError("-t: the standard input is no terminal; leave -t out");
    }
    check_env(flags.env);
    JoinOptions options{.reads_input = flags.interactive || flags.terminal || !from_terminal,
                        .raw_terminal = flags.terminal,
                        .detach_keys = DetachKeys(flags.detach_keys)};
    protocol::ExecQuery query{.command = flags.command,
                              .env = flags.env,
                              .user = flags.user,
                              .working_dir = flags.working_dir,
                              .tty = flags.terminal};
    if (flags.terminal) query.size = terminal_size(0);
    SessionRoute route{path_of_workspace(flags.workspace), exec_address(query)};
    return with_own_code("exec " + flags.workspace, [&] {
        return join(flags.connection, std::move(route), std::move(options));
    });
}

int attach(const AttachFlags& flags) {
    const bool from_terminal = is_terminal(stdin);
    // Others may be attached too: its input is not ours to end.
    JoinOptions options{.ends_input = false,
                        .raw_terminal = from_terminal,
                        .detach_keys = DetachKeys(flags.detach_keys)};
    const auto size = from_terminal ? terminal_size(0) : protocol::TerminalSize{};
    SessionRoute route{path_of_workspace(flags.workspace), attach_address(size)};
    return with_own_code("attach " + flags.workspace, [&] {
        return join(flags.connection, std::move(route), std::move(options));
    });
}

int ssh_proxy(const SshProxyFlags& flags) {
    SessionRoute route{path_of_workspace(flags.workspace), fmt::format("ports/{}", flags.port)};
    return with_own_code("ssh-proxy " + flags.workspace, [&] {
        return join(flags.connection, std::move(route), {.output_may_end = true});
    });
}

}  // namespace trailer::client
