#include "main/roles.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "base/error.h"
#include "client/command_line.h"
#include "client/failure.h"
#include "config/settings.h"
#include "main/run_role.h"

namespace trailer {
namespace {

struct RoleFlags {
    std::optional<std::filesystem::path> config_file;
    config::Overrides overrides;
};

void add_flag(CLI::App& command, const config::Setting& setting,
              const std::shared_ptr<RoleFlags>& flags) {
    std::string names = "--" + std::string(setting.flag);
    if (setting.short_name != 0) names = fmt::format("-{},{}", setting.short_name, names);
    const std::string flag(setting.flag);
    command
        .add_option_function<std::string>(
            names,
            [flags, flag](const std::string& value) {
                if (flag == "config-file") {
                    flags->config_file = value;
                } else {
                    flags->overrides.push_back({flag, value});
                }
            },
            fmt::format("{} [{}]", setting.help, setting.default_text))
        ->type_name(std::string(setting.value_name));
}

// What is wrong with the configuration is the command line's fault in the end: exit code 2.
template <typename Load>
auto as_usage(Load load) {
    try {
        return load();
    } catch (const Error& e) {
        throw client::UsageError(describe(e));
    }
}

void add_role(CLI::App& app, client::Chosen& chosen, config::Role role, const std::string& name,
              const std::string& help) {
    auto* command = app.add_subcommand(name, help)->group("Roles");
    const auto flags = std::make_shared<RoleFlags>();
    for (const auto& setting : config::settings()) {
        if (setting.is_flag() && setting.used_by(role)) add_flag(*command, setting, flags);
    }
    command->callback([&chosen, flags, role, name] {
        chosen.what = name;
        chosen.run = [flags, role, name] {
            const auto setup = as_usage([&] {
                return prepare(role, config::load(flags->config_file, flags->overrides, role));
            });
            return run_role(role, setup, name);
        };
    });
}

}  // namespace

void add_roles(CLI::App& app, client::Chosen& chosen) {
    add_role(app, chosen, config::Role::server, "server",
             "Run the server: API, database, realtime hub");
    add_role(app, chosen, config::Role::agent, "agent",
             "Run the agent: brings this host to what the server wants");
    add_role(app, chosen, config::Role::standalone, "standalone",
             "Run server and agent in one process");
}

}  // namespace trailer
