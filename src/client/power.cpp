// `trailer start`, `stop` and `restart`; `trailer approve`.
#include <boost/json.hpp>

#include "client/api.h"
#include "client/arguments.h"
#include "client/commands.h"
#include "client/failure.h"
#include "client/terminal.h"
#include "client/wait.h"
#include "protocol/api.h"
#include "wire/json.h"

namespace trailer::client {
namespace {

namespace json = boost::json;

int act(const PowerFlags& flags, std::string_view action, std::string_view done) {
    const auto named = parse_named("workspaces", flags.workspaces);
    Api api(resolve_target(credentials_file(), flags.connection));
    int exit_code = kDone;
    std::vector<Goal> goals;
    for (const auto& name : named.names) {
        try {
            api.post(fmt::format("{}/{}", path_of(Subject::workspace, name), action),
                     json::object());
            print(stdout, fmt::format("workspace/{} {}\n", name, done));
            goals.push_back({.kind = protocol::Kind::workspace, .name = name});
        } catch (const Error& e) {
            if (e.kind() == ErrorKind::unauthenticated || e.kind() == ErrorKind::unavailable) throw;
            exit_code = report_failure(fmt::format("{} {}", action, name), e);
        }
    }
    if (flags.wait.wait && !wait_for(api, std::move(goals), flags.wait.timeout())) {
        exit_code = kFailed;
    }
    return exit_code;
}

}  // namespace

int start(const PowerFlags& flags) {
    return act(flags, "start", "is to start");
}

int stop(const PowerFlags& flags) {
    return act(flags, "stop", "is to stop");
}

int restart(const PowerFlags& flags) {
    return act(flags, "restart", "is to restart");
}

int approve(const ApproveFlags& flags) {
    const auto named = parse_named("hosts", {flags.host});
    Api api(resolve_target(credentials_file(), flags.connection));
    json::object body;
    if (!flags.fingerprint.empty()) body["fingerprint"] = flags.fingerprint;
    const auto path = path_of(Subject::host, named.names.front());
    const auto host = wire::from_json<protocol::HostView>(api.get(path));
    // Two keys claim one host: which of them is meant must be said.
    if (host.identity_conflict && flags.fingerprint.empty()) {
        throw CommandFailure(
            "another machine claims to be this host",
            fmt::format("compare with the key of the agent you trust, then: trailer approve {} "
                        "--fingerprint KEY",
                        host.name),
            {fmt::format("{} is approved", host.fingerprint),
             fmt::format("{} was refused, from {}", host.identity_conflict->fingerprint,
                         host.identity_conflict->address)});
    }
    api.post(path + "/approve", body);
    const auto key = flags.fingerprint.empty() ? host.fingerprint : flags.fingerprint;
    print(stdout, fmt::format("host/{} approved (key {})\n", one_line(host.name), one_line(key)));
    return kDone;
}

}  // namespace trailer::client
