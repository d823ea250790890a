// `trailer doctor`: the checks that ask the server and the engine, and the list of all of them.
#include "client/doctor.h"

#include <boost/json.hpp>

#include "client/api.h"
#include "client/commands.h"
#include "client/failure.h"
#include "client/version.h"
#include "config/config.h"
#include "protocol/api.h"
#include "wire/json.h"
#include "wire/yaml.h"

namespace trailer::client {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

std::string text_member(std::string_view body, std::string_view name) {
    try {
        const auto value = wire::parse(body);
        const auto* object = value.if_object();
        const auto* found = object != nullptr ? object->if_contains(name) : nullptr;
        return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
    } catch (const InvalidInput&) {
        return {};  // an answer for people, without the member
    }
}

// The configuration in force, and whether it is well. Unlike the roles, this makes no file.
Check check_configuration(const std::string& named, config::Config& config) {
    try {
        const std::filesystem::path file =
            named.empty() ? config::default_config_file() : std::filesystem::path(named);
        if (!std::filesystem::exists(file)) {
            return {"configuration", named.empty() ? CheckResult::ok : CheckResult::failed,
                    file.string() + " is not there: the defaults are in force",
                    named.empty() ? "" : "check the name given by --config-file"};
        }
        config = config::load(file, {}, config::Role::standalone);
        return {"configuration", CheckResult::ok, file.string(), ""};
    } catch (const std::exception& e) {
        return {"configuration", CheckResult::failed, describe(e), "correct that line"};
    }
}

void check_server(Api& api, std::vector<Check>& checks) {
    net::Response ready;
    try {
        ready = api.fetch("/readyz");
    } catch (const Error& e) {
        checks.push_back({"server", CheckResult::failed, describe(e),
                          "start it there (trailer server), or name another: --server URL"});
        return;
    }
    if (ready.status != 200) {
        checks.push_back({"server", CheckResult::failed,
                          fmt::format("{} is not ready: {} {}", api.server(), ready.status,
                                      ready.body.substr(0, 200)),
                          "its log says why; it may just be starting"});
    } else {
        const auto theirs = text_member(ready.body, "version");
        auto detail = api.server() + " is ready";
        if (!theirs.empty()) detail += ", version " + theirs;
        const bool same = theirs.empty() || theirs == version();
        checks.push_back(
            {"server", same ? CheckResult::ok : CheckResult::warning, detail,
             same ? "" : fmt::format("this is {}: bring both to one version", version())});
    }
    checks.push_back(check_clock(ready.headers.get("Date"), now()));
}

Check check_token(Api& api) {
    if (!api.has_token()) {
        return {"login", CheckResult::warning, "not logged in to " + api.server(),
                fmt::format("trailer login --server {} --username NAME", api.server())};
    }
    try {
        const auto me = wire::from_json<protocol::UserView>(api.get("/api/auth/me"));
        return {"login", CheckResult::ok,
                fmt::format("{} ({})", me.username, wire::to_text(me.role)), ""};
    } catch (const Error& e) {
        return {
            "login", CheckResult::failed, describe(e),
            fmt::format("log in again: trailer login --server {} --username NAME", api.server())};
    }
}

Task<Check> ask_engine(asio::any_io_executor executor, std::string address) {
    net::HttpClient client(executor, net::Endpoint::parse(address));
    const auto deadline = aio::Deadline::in(5s);
    net::Request ping{.target = "/_ping"};
    const auto pong = co_await client.request(std::move(ping), deadline);
    if (pong.status != 200) {
        co_return Check{"engine", CheckResult::failed,
                        fmt::format("{} answered {} to /_ping", address, pong.status),
                        "is that a Docker engine? See --docker-host"};
    }
    net::Request question{.target = "/version"};
    const auto facts = co_await client.request(std::move(question), deadline);
    co_return Check{"engine", CheckResult::ok,
                    fmt::format("{} at {}, API {}", text_member(facts.body, "Version"), address,
                                text_member(facts.body, "ApiVersion")),
                    ""};
}

// Without --docker-host, a machine that has no engine is a workstation, and well.
Check check_engine(Api& loop, const std::string& given, const config::Config& config) {
    const auto& address = given.empty() ? config.docker_host : given;
    try {
        const auto endpoint = net::Endpoint::parse(address);
        const bool local = endpoint.transport == net::Endpoint::Transport::unix_socket;
        if (given.empty() && local && !std::filesystem::exists(endpoint.path)) {
            return {"engine", CheckResult::skipped, "none here; hosts with an agent need one", ""};
        }
        return loop.run(ask_engine(loop.executor(), address));
    } catch (const std::exception& e) {
        return {"engine", CheckResult::failed, describe(e),
                "start it (systemctl start docker), check --docker-host, and that this user may "
                "use its socket (group docker)"};
    }
}

// What login saved may be at fault itself; the other checks go on without it.
Target target_or_default(const ConnectionFlags& flags, std::vector<Check>& checks) {
    try {
        return resolve_target(credentials_file(), flags);
    } catch (const Error& e) {
        checks.push_back(
            {"credentials", CheckResult::failed, describe(e), "trailer login writes them anew"});
    }
    return {.server = flags.server.value_or(kDefaultServer), .token = {}};
}

json::array to_json(const std::vector<Check>& checks) {
    json::array list;
    for (const auto& check : checks) {
        const auto* result = check.result == CheckResult::ok        ? "ok"
                             : check.result == CheckResult::warning ? "warning"
                             : check.result == CheckResult::failed  ? "failed"
                                                                    : "skipped";
        list.push_back(json::object{{"name", check.name},
                                    {"result", result},
                                    {"detail", check.detail},
                                    {"remedy", check.remedy}});
    }
    return list;
}

}  // namespace

int doctor(const DoctorFlags& flags) {
    std::vector<Check> checks;
    config::Config config;
    checks.push_back(check_configuration(flags.config_file, config));
    checks.push_back(check_private_file("credentials", credentials_file()));
    const auto state =
        config.state_directory.empty() ? config::state_directory() : config.state_directory;
    checks.push_back(check_private_file("agent's key", state / "agent_key"));

    Api api(target_or_default(flags.connection, checks));
    check_server(api, checks);
    const bool reachable = std::ranges::none_of(checks, [](const Check& check) {
        return check.name == "server" && check.result == CheckResult::failed;
    });
    checks.push_back(reachable ? check_token(api)
                               : Check{"login", CheckResult::skipped, "the server is not there"});
    checks.push_back(check_engine(api, flags.docker_host, config));
    checks.push_back(check_machine_id("/etc/machine-id"));
    checks.push_back(check_cgroups("/sys/fs/cgroup"));

    switch (flags.format) {
        case Format::json:
            print(stdout, wire::pretty(to_json(checks)) + "\n");
            break;
        case Format::yaml:
            print(stdout, wire::to_yaml(to_json(checks)));
            break;
        case Format::table:
        case Format::wide:
        case Format::name:
            print(stdout, check_list(checks, palette_for(stdout)));
            break;
    }
    const bool failed = std::ranges::any_of(
        checks, [](const Check& check) { return check.result == CheckResult::failed; });
    return failed ? kFailed : kDone;
}

}  // namespace trailer::client
