#include "main/run_role.h"

#include <sys/stat.h>

#include "agent/agent.h"
#include "agent/oom.h"
#include "aio/task_group.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "client/terminal.h"
#include "client/version.h"
#include "main/listen.h"
#include "main/process.h"
#include "server/server.h"

namespace trailer {
namespace {

using config::Role;

server::ServerConfig server_config(const Setup& setup, std::string auto_approve_public_key) {
    return {.http = setup.listen,
            .data_directory = setup.config.data_directory,
            .auto_approve_public_key = std::move(auto_approve_public_key),
            .version = std::string(client::version()),
            .workspace_domain = setup.config.workspace_domain,
            .audit_retention = std::chrono::days(setup.config.audit_retention_days)};
}

// To standard output, and not to the log: the password is for the person who started this.
void welcome(const server::Server& server, const Setup& setup) {
    const auto url = loopback_url(setup.listen, server.port());
    log::info("listening on {}:{}", setup.listen.address, server.port());
    const auto password = server.initial_admin_password();
    if (!password) return;
    client::print(
        stdout,
        fmt::format("\nTrailer is at {0}. This is its first start: the first admin is\n\n"
                    "  username  admin\n  password  {1}\n\n"
                    "  trailer login --server {0} --username admin\n\n"
                    "The password is shown this once; {2} keeps it until it is changed.\n\n",
                    url, *password,
                    (setup.config.data_directory / "initial_admin_password").string()));
}

agent::AgentOptions agent_options(const Setup& setup, const std::string& name) {
    return {.config = setup.config,
            .version = std::string(client::version()),
            .log_file = setup.config.log_directory / (name + ".log")};
}

int run_server(const Setup& setup, const std::string& name) {
    Process process;
    server::Server server(process.executor(), server_config(setup, {}));
    welcome(server, setup);
    return process.run(server.serve(), name);
}

int run_agent_alone(const Setup& setup, const std::string& name) {
    agent::keep_malloc_small();
    agent::bound_memory();
    Process process;
    auto options = agent_options(setup, name);
    return process.run(agent::run_agent(std::move(options)), name);
}

Task<> run_both(server::Server* server, agent::AgentOptions options) {
    aio::TaskGroup group(co_await asio::this_coro::executor);
    group.spawn(server->serve());
    group.spawn(agent::run_agent(std::move(options)));
    co_await group.join();
}

int run_standalone(const Setup& setup, const std::string& name) {
    Process process;
    // This process's own agent is the one host that needs nobody's approval.
    const auto key = SigningKey::load_or_create(setup.config.state_directory / "agent_key");
    server::Server server(process.executor(), server_config(setup, key.public_key()));
    welcome(server, setup);
    auto options = agent_options(setup, name);
    options.config.server_url = loopback_url(setup.listen, server.port());
    return process.run(run_both(&server, std::move(options)), name);
}

}  // namespace

Setup prepare(Role role, config::Config config) {
    Setup setup{.config = std::move(config)};
    if (role != Role::agent) setup.listen = listen_options(setup.config.server_url);
    return setup;
}

int run_role(Role role, const Setup& setup, const std::string& name) {
    ::umask(077);  // logs, keys and the database are nobody else's
    log::open(setup.config.log_directory, name,
              static_cast<std::uint64_t>(setup.config.log_max_size));
    log::info("trailer {} {} ({})", name, client::version(),
              client::commit().empty() ? "no commit" : client::commit());
    try {
        switch (role) {
            case Role::server:
                return run_server(setup, name);
            case Role::agent:
                return run_agent_alone(setup, name);
            case Role::standalone:
                return run_standalone(setup, name);
        }
    } catch (const std::exception& e) {
        log::error("{}: {}", name, describe(e));
    }
    return 1;
}

}  // namespace trailer
