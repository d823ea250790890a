#include "client/command_line.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/log.h"
#include "client/commands.h"
#include "client/completion.h"
#include "client/failure.h"
#include "client/subject.h"
#include "client/terminal.h"
#include "client/version.h"

namespace trailer::client {
namespace {

constexpr std::string_view kKinds =
    "hosts, groups, workspaces, networks, volumes or images (also ws, net, vol, img)";

void add_connection(CLI::App& command, ConnectionFlags& flags) {
    command.add_option("--server", flags.server, "The server, for this call alone")
        ->type_name("URL");
    command
        .add_option("--token-file", flags.token_file, "A file with the token, for this call alone")
        ->type_name("FILE");
}

std::string fault_of_format(const std::string& text, const std::string& allowed) {
    const bool one_word = text.find('|') == std::string::npos;
    if (one_word && ("|" + allowed + "|").find("|" + text + "|") != std::string::npos) return {};
    return fmt::format("expected one of {}, got \"{}\"", allowed, text);
}

Format parse_format(const std::string& text) {
    if (text == "wide") return Format::wide;
    if (text == "name") return Format::name;
    if (text == "json") return Format::json;
    if (text == "yaml") return Format::yaml;
    return Format::table;
}

void add_format(CLI::App& command, Format& format, const std::string& allowed) {
    command
        .add_option_function<std::string>(
            "-o,--output", [&format](const std::string& text) { format = parse_format(text); },
            "How to show it")
        ->type_name(allowed)
        ->check([allowed](const std::string& text) { return fault_of_format(text, allowed); });
}

void add_wait(CLI::App& command, WaitFlags& flags, const std::string& help) {
    auto* wait = command.add_flag("--wait", flags.wait, help);
    command.add_option("--timeout", flags.timeout_s, "Give up waiting after this many seconds")
        ->type_name("SECONDS")
        ->needs(wait)
        ->check([](const std::string& text) {
            const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
            const bool good = digits && !text.empty() && text.size() < 9 && text != "0";
            return good ? std::string()
                        : "expected a whole number of seconds, got \"" + text + "\"";
        });
}

void add_files(CLI::App& command, FileFlags& flags, bool required) {
    command
        .add_option("-f,--file", flags.files,
                    "A YAML or JSON file or a Compose file, - for standard input; may be repeated")
        ->type_name("FILE")
        ->required(required)
        ->allow_extra_args(false);
    command
        .add_option("--group", flags.group,
                    "The group of what names none; of a Compose file, its project's name")
        ->type_name("NAME");
    command
        .add_option("--profile", flags.profiles,
                    "Take the Compose file's services of this profile too; may be repeated")
        ->type_name("NAME")
        ->allow_extra_args(false);
    command
        .add_option("--env-file", flags.env_file,
                    "Variables for a Compose file; default: the .env beside it")
        ->type_name("FILE");
}

// A verb whose flags live as long as its callback. `body` adds them, and returns what runs it.
template <typename Flags>
CLI::App* add_verb(CLI::App& app, Chosen& chosen, const std::string& name, const std::string& help,
                   int (*run)(const Flags&), void (*add_flags)(CLI::App&, Flags&)) {
    auto* command = app.add_subcommand(name, help);
    const auto flags = std::make_shared<Flags>();
    add_flags(*command, *flags);
    command->callback([&chosen, name, flags, run] {
        chosen.what = name;
        chosen.run = [flags, run] { return run(*flags); };
    });
    return command;
}

void add_reading(CLI::App& app, Chosen& chosen) {
    add_verb<GetFlags>(
        app, chosen, "get", "List resources, or show some by name", get,
        [](CLI::App& command, GetFlags& flags) {
            command.add_option("KIND", flags.kind, std::string(kKinds))->required();
            command.add_option("NAME", flags.names, "Names or ids; none: all");
            command.add_option("-g,--group", flags.group, "Only what is in this group")
                ->type_name("NAME");
            command.add_flag("-w,--watch", flags.watch, "Go on, and show each change as it comes");
            add_format(command, flags.format, "table|wide|name|json|yaml");
            add_connection(command, flags.connection);
        });
    add_verb<DescribeFlags>(
        app, chosen, "describe", "Show all there is to know of a resource", describe_resources,
        [](CLI::App& command, DescribeFlags& flags) {
            command.add_option("KIND", flags.kind, std::string(kKinds))->required();
            command.add_option("NAME", flags.names, "Names or ids");
            add_connection(command, flags.connection);
        });
}

void add_writing(CLI::App& app, Chosen& chosen) {
    add_verb<ApplyFlags>(
        app, chosen, "apply", "Create or update what documents describe", apply,
        [](CLI::App& command, ApplyFlags& flags) {
            add_files(command, flags.files, true);
            command.add_option("--host", flags.files.host, "The host of what names none")
                ->type_name("NAME");
            command.add_flag("--dry-run", flags.dry_run,
                             "Say what would change, and change nothing");
            command.add_flag("--prune", flags.prune,
                             "Delete what the group has and the documents have "
                             "not; volumes stay");
            command.add_flag("--ignore-unsupported", flags.files.ignore_unsupported,
                             "Leave out what of a Compose file is not supported");
            add_wait(command, flags.wait, "Wait until all of it runs, or fails");
            add_format(command, flags.format, "table|name|json|yaml");
            add_connection(command, flags.connection);
        });
    add_verb<DeleteFlags>(app, chosen, "delete", "Delete resources by name, or those of documents",
                          remove, [](CLI::App& command, DeleteFlags& flags) {
                              command.add_option("KIND", flags.kind, std::string(kKinds));
                              command.add_option("NAME", flags.names, "Names or ids");
                              add_files(command, flags.files, false);
                              command.add_flag("--volumes", flags.volumes,
                                               "Delete the volumes of a group or a Compose file "
                                               "too, with all that is in them");
                              add_wait(command, flags.wait, "Wait until all of it is gone");
                              add_connection(command, flags.connection);
                          });
    const auto power = [](CLI::App& command, PowerFlags& flags) {
        command.add_option("WORKSPACE", flags.workspaces, "Names or ids")->required();
        add_wait(command, flags.wait, "Wait until it is so");
        add_connection(command, flags.connection);
    };
    add_verb<PowerFlags>(app, chosen, "start", "Start workspaces", start, power);
    add_verb<PowerFlags>(app, chosen, "stop", "Stop workspaces; they stay stopped", stop, power);
    add_verb<PowerFlags>(app, chosen, "restart", "Restart workspaces", restart, power);
    add_verb<ApproveFlags>(app, chosen, "approve",
                           "Let a new host, or a host with a new key, take part", approve,
                           [](CLI::App& command, ApproveFlags& flags) {
                               command.add_option("HOST", flags.host, "Its name or id")->required();
                               command
                                   .add_option("--fingerprint", flags.fingerprint,
                                               "The key that is meant, as the agent's log shows it")
                                   ->type_name("KEY");
                               add_connection(command, flags.connection);
                           });
}

void add_detach_keys(CLI::App& command, std::string& keys) {
    command
        .add_option("--detach-keys", keys,
                    "What leaves it running, on a terminal; default: ctrl-p,ctrl-q")
        ->type_name("KEYS");
}

void add_exec(CLI::App& app, Chosen& chosen) {
    auto* command = app.add_subcommand("exec", "Run a command in a workspace");
    const auto flags = std::make_shared<ExecFlags>();
    command->add_option("WORKSPACE", flags->workspace, "Its name or id")->required();
    command->add_option("COMMAND", flags->command, "After --: the command and its arguments");
    command->add_flag("-i,--interactive", flags->interactive,
                      "Read standard input, even if it is a terminal");
    command->add_flag("-t,--tty", flags->terminal, "Give the command a terminal");
    command->add_option("-u,--user", flags->user, "Run it as this user")->type_name("USER");
    command->add_option("-w,--workdir", flags->working_dir, "Run it in this directory")
        ->type_name("PATH");
    command->add_option("-e,--env", flags->env, "Set a variable; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    add_detach_keys(*command, flags->detach_keys);
    add_connection(*command, flags->connection);
    command->callback([&chosen, flags] {
        chosen.what = "exec";
        chosen.run = [&chosen, flags] {
            auto& words = flags->command;
            words.insert(words.end(), chosen.after_mark.begin(), chosen.after_mark.end());
            return exec(*flags);
        };
    });
}

void add_streams(CLI::App& app, Chosen& chosen) {
    add_exec(app, chosen);
    add_verb<AttachFlags>(
        app, chosen, "attach", "Join the terminal of what a workspace runs", attach,
        [](CLI::App& command, AttachFlags& flags) {
            command.add_option("WORKSPACE", flags.workspace, "Its name or id")->required();
            add_detach_keys(command, flags.detach_keys);
            add_connection(command, flags.connection);
        });
    add_verb<LogsFlags>(
        app, chosen, "logs", "Show what workspaces, or hosts' agents, have written", logs,
        [](CLI::App& command, LogsFlags& flags) {
            command.add_option("SUBJECT", flags.subjects, "Workspaces, or host/NAME");
            command.add_flag("-f,--follow", flags.follow, "Go on, and show what comes");
            command.add_flag("-t,--timestamps", flags.timestamps, "Begin each line with its time");
            command.add_option("--tail", flags.tail, "Begin with the last so many lines")
                ->type_name("LINES")
                ->check(CLI::NonNegativeNumber);
            command
                .add_option("--since", flags.since, "Not what was before: a time, or how long ago")
                ->type_name("TIME");
            command
                .add_option("--until", flags.until, "Not what came after: a time, or how long ago")
                ->type_name("TIME");
            command
                .add_option("-l,--selector", flags.selectors,
                            "The workspaces with this label; may be repeated")
                ->type_name("KEY=VALUE")
                ->allow_extra_args(false);
            add_connection(command, flags.connection);
        });
    add_verb<CopyFlags>(
        app, chosen, "cp", "Copy files into a workspace, or out of it", copy,
        [](CLI::App& command, CopyFlags& flags) {
            command.add_option("SOURCE", flags.source, "A path, or WORKSPACE:PATH")->required();
            command.add_option("TARGET", flags.target, "A path, or WORKSPACE:PATH")->required();
            add_connection(command, flags.connection);
        });
}

void add_ports(CLI::App& app, Chosen& chosen) {
    add_verb<PortForwardFlags>(
        app, chosen, "port-forward", "Make a workspace's ports reachable on this machine",
        port_forward, [](CLI::App& command, PortForwardFlags& flags) {
            command.add_option("WORKSPACE", flags.workspace, "Its name or id")->required();
            command.add_option("PORT", flags.ports, "LOCAL:REMOTE, or PORT for both; LOCAL 0: any")
                ->required();
            command.add_option("--address", flags.address, "Where to listen; default: 127.0.0.1")
                ->type_name("ADDRESS");
            add_connection(command, flags.connection);
        });
    add_verb<SshProxyFlags>(
        app, chosen, "ssh-proxy", "Join standard input and output to a port, for ssh", ssh_proxy,
        [](CLI::App& command, SshProxyFlags& flags) {
            command.add_option("WORKSPACE", flags.workspace, "Its name or id")->required();
            command.add_option("PORT", flags.port, "Where its sshd listens; default: 22")
                ->check(CLI::Range(1, 65535).description(""));
            add_connection(command, flags.connection);
        });
    add_verb<SshConfigFlags>(
        app, chosen, "ssh-config", "Print ssh's configuration for workspaces", ssh_config,
        [](CLI::App& command, SshConfigFlags& flags) {
            command.add_option("WORKSPACE", flags.workspaces, "Names or ids; none: all");
            command.add_flag("--write", flags.write, "Write it, and include it in ~/.ssh/config");
            command.add_option("-u,--user", flags.user, "Whom to log in as")->type_name("USER");
            command.add_option("-p,--port", flags.port, "Where sshd listens; default: 22")
                ->type_name("PORT")
                ->check(CLI::Range(1, 65535).description(""));
            add_connection(command, flags.connection);
        });
}

void add_session(CLI::App& app, Chosen& chosen) {
    add_verb<LoginFlags>(
        app, chosen, "login", "Log in, and keep the token for later commands", login,
        [](CLI::App& command, LoginFlags& flags) {
            command.add_option("-u,--username", flags.username, "Who logs in")->type_name("NAME");
            command
                .add_option("--password-file", flags.password_file,
                            "A file with the password, - for standard input")
                ->type_name("FILE");
            add_connection(command, flags.connection);
        });
    add_verb<ConnectionFlags>(app, chosen, "logout", "Give the token back and forget it", logout,
                              add_connection);
    add_verb<DoctorFlags>(
        app, chosen, "doctor", "Check what has to be in place, and say what to do", doctor,
        [](CLI::App& command, DoctorFlags& flags) {
            command
                .add_option("-C,--config-file", flags.config_file, "The roles' configuration file")
                ->type_name("FILE");
            command
                .add_option("--docker-host", flags.docker_host,
                            "Where the engine listens; default: as configured")
                ->type_name("ADDRESS");
            add_format(command, flags.format, "table|json|yaml");
            add_connection(command, flags.connection);
        });
    add_verb<Format>(
        app, chosen, "version", "Say which build this is",
        [](const Format& format) { return show_version(format); },
        [](CLI::App& command, Format& format) {
            add_format(command, format, "table|name|json|yaml");
        });
}

void add_access(CLI::App& app, Chosen& chosen) {
    add_verb<UserFlags>(
        app, chosen, "user", "List, add, change and remove users", user,
        [](CLI::App& command, UserFlags& flags) {
            command.add_option("ACTION", flags.action, "list, add, set or remove")->required();
            command.add_option("NAME", flags.name, "The user's name");
            command.add_option("--role", flags.role, "admin or user")->type_name("ROLE");
            command
                .add_option("--password-file", flags.password_file,
                            "A file with the password, - for standard input")
                ->type_name("FILE");
            add_format(command, flags.format, "table|json|yaml");
            add_connection(command, flags.connection);
        });
    add_verb<GrantFlags>(
        app, chosen, "grant", "Let a user see, change or manage a resource, or use a host", grant,
        [](CLI::App& command, GrantFlags& flags) {
            command.add_option("USER", flags.user, "Who")->required();
            command
                .add_option("ROLE", flags.role,
                            "viewer, editor or manager; of a host, permissions: view, "
                            "create_workspaces, create_images, create_networks, bind_mounts, "
                            "volume_mounts, with commas between")
                ->required();
            command
                .add_option("SUBJECT", flags.subject, "KIND/NAME: workspace/dev, host/gpu-box-1")
                ->required();
            add_connection(command, flags.connection);
        });
    add_verb<GrantFlags>(app, chosen, "revoke", "Take back what a user was granted", revoke,
                         [](CLI::App& command, GrantFlags& flags) {
                             command.add_option("USER", flags.user, "Who")->required();
                             command.add_option("SUBJECT", flags.subject, "KIND/NAME")->required();
                             add_connection(command, flags.connection);
                         });
    add_verb<GrantsFlags>(
        app, chosen, "grants", "Show who was granted something, or what a user was granted", grants,
        [](CLI::App& command, GrantsFlags& flags) {
            command.add_option("SUBJECT", flags.subject, "KIND/NAME, or user/NAME")->required();
            add_format(command, flags.format, "table|json|yaml");
            add_connection(command, flags.connection);
        });
    add_verb<AuditFlags>(
        app, chosen, "audit", "Show who opened which sessions, the newest first", audit,
        [](CLI::App& command, AuditFlags& flags) {
            command.add_option("--user", flags.user, "Only this user's")->type_name("NAME");
            command.add_option("--workspace", flags.workspace, "Only on this workspace")
                ->type_name("NAME");
            command.add_option("--host", flags.host, "Only on this host")->type_name("NAME");
            command
                .add_option("--kind", flags.kind,
                            "Only these: logs, exec, attach, port, host_logs or proxy")
                ->type_name("KIND");
            command
                .add_option("--since", flags.since,
                            "Begun since then: a time, or 10m for ten "
                            "minutes ago")
                ->type_name("TIME");
            command.add_option("--until", flags.until, "Begun before then")->type_name("TIME");
            command.add_option("-n,--limit", flags.limit, "At most so many; default: 50")
                ->type_name("COUNT")
                ->check(CLI::Range(1, 1000).description(""));
            add_format(command, flags.format, "table|json|yaml");
            add_connection(command, flags.connection);
        });
}

Arguments arguments_of(const std::string& verb) {
    if (verb == "get" || verb == "describe" || verb == "delete") return Arguments::kind_and_names;
    constexpr std::array on_workspaces{"start", "stop",      "restart",      "exec",      "attach",
                                       "logs",  "ssh-proxy", "port-forward", "ssh-config"};
    if (std::ranges::find(on_workspaces, verb) != on_workspaces.end()) return Arguments::workspaces;
    if (verb == "cp") return Arguments::copies;
    if (verb == "approve") return Arguments::hosts;
    if (verb == "completion") return Arguments::shells;
    if (verb == "help") return Arguments::verbs;
    return Arguments::none;
}

std::vector<CommandShape> shape_of(const CLI::App& app) {
    std::vector<CommandShape> shapes;
    for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        CommandShape shape{.name = command->get_name(),
                           .help = command->get_description(),
                           .arguments = arguments_of(command->get_name())};
        for (const auto* option : command->get_options()) {
            if (option->get_lnames().empty()) continue;  // an argument
            const auto& shorts = option->get_snames();
            shape.flags.push_back(
                {.long_name = option->get_lnames().front(),
                 .short_name = shorts.empty() ? "" : shorts.front(),
                 .help = option->get_description(),
                 .value = option->get_items_expected_max() > 0 ? option->get_type_name() : ""});
        }
        shapes.push_back(std::move(shape));
    }
    return shapes;
}

void add_help(CLI::App& app, Chosen& chosen) {
    auto* completion = app.add_subcommand("completion", "Print a script that completes commands");
    const auto shell = std::make_shared<std::string>();
    completion->add_option("SHELL", *shell, "bash, zsh or fish")->required();
    completion->callback([&app, &chosen, shell] {
        chosen.what = "completion";
        chosen.run = [&app, shell] {
            const auto known = parse_shell(*shell);
            if (!known) {
                throw UsageError(fmt::format("expected bash, zsh or fish, got \"{}\"", *shell));
            }
            print(stdout, completion_script(*known, shape_of(app)));
            return kDone;
        };
    });
    auto* help = app.add_subcommand("help", "Explain a command");
    const auto verb = std::make_shared<std::string>();
    help->add_option("COMMAND", *verb, "Which one; none: an overview");
    help->callback([&app, &chosen, verb] {
        chosen.what = "help";
        chosen.run = [&app, verb] {
            const auto found = app.get_subcommands(
                [&](const CLI::App* each) { return each->get_name() == *verb; });
            if (found.empty() && !verb->empty()) {
                throw UsageError(fmt::format("there is no command \"{}\"", *verb));
            }
            // app.help() would explain the command that was read, which is this one.
            print(stdout, found.empty() ? app.get_formatter()->make_help(&app, app.get_name(),
                                                                         CLI::AppFormatMode::Normal)
                                        : found.front()->help(app.get_name()));
            return kDone;
        };
    });
}

// Levenshtein's distance, for "did you mean".
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        auto diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const auto cost = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, cost}));
        }
    }
    return row[b.size()];
}

std::string nearest(const std::string& word, const std::vector<std::string>& words) {
    std::string best;
    std::size_t least = 3;  // two slips at most
    for (const auto& each : words) {
        if (const auto d = distance(word, each); d < least) {
            least = d;
            best = each;
        }
    }
    return best.empty() ? "" : fmt::format(", did you mean {}?", best);
}

UsageError unexpected(const CLI::App& app, const CLI::App* command) {
    const auto rest = app.remaining(true);
    const auto word = rest.empty() ? std::string("?") : rest.front();
    std::vector<std::string> known;
    if (command == nullptr) {
        for (const auto& shape : shape_of(app)) known.push_back(shape.name);
        if (!word.starts_with('-')) {
            return UsageError(
                fmt::format("there is no command \"{}\"{}", word, nearest(word, known)));
        }
    } else if (!word.starts_with('-')) {
        return UsageError(fmt::format("\"{}\" is one argument too many", word));
    }
    for (const auto* option : (command == nullptr ? &app : command)->get_options()) {
        for (const auto& name : option->get_lnames()) known.push_back("--" + name);
    }
    return UsageError(fmt::format("there is no flag {}{}", word, nearest(word, known)));
}

// The subcommand that was being read.
const CLI::App* command_in(const CLI::App& app) {
    const auto parsed = app.get_subcommands();
    return parsed.empty() ? nullptr : parsed.front();
}

int parse(CLI::App& app, int argc, const char* const* argv) {
    try {
        app.parse(argc, argv);
        return -1;
    } catch (const CLI::Success& e) {
        return app.exit(e);  // --help, --version: printed
    } catch (const CLI::ParseError& e) {
        const auto* command = command_in(app);
        const auto name = command == nullptr ? std::string() : command->get_name();
        const bool extra = dynamic_cast<const CLI::ExtrasError*>(&e) != nullptr;
        return report_failure(name, extra ? unexpected(app, command) : UsageError(e.what()));
    }
}

// Where "--" stands in `exec`, else -1. What follows is another program's: CLI11 would take "[a,b]"
// for two words.
int mark_of(int argc, const char* const* argv) {
    if (argc < 2 || std::string_view(argv[1]) != "exec") return -1;
    for (int i = 2; i < argc; ++i) {
        if (std::string_view(argv[i]) == "--") return i;
    }
    return -1;
}

}  // namespace

int run_command_line(int argc, const char* const* argv,
                     const std::function<void(CLI::App&, Chosen&)>& add_roles) {
    CLI::App app("Trailer: development workspaces on many hosts.", "trailer");
    app.set_version_flag("--version", fmt::format("trailer {}", version()));
    app.get_formatter()->column_width(36);
    app.require_subcommand(0, 1);  // what comes after a verb is its argument, even "start"
    Chosen chosen;
    app.option_defaults()->group("Flags");
    add_writing(app, chosen);
    add_reading(app, chosen);
    add_streams(app, chosen);
    add_ports(app, chosen);
    add_session(app, chosen);
    add_access(app, chosen);
    add_help(app, chosen);
    for (auto* command : app.get_subcommands([](CLI::App*) { return true; })) {
        command->group("Commands");
    }
    add_roles(app, chosen);

    if (const int mark = mark_of(argc, argv); mark >= 0) {
        chosen.after_mark.assign(argv + mark + 1, argv + argc);
        argc = mark;
    }
    if (const int ended = parse(app, argc, argv); ended >= 0) return ended;
    if (!chosen.run) {
        print(stderr, app.help());
        return kBadUsage;
    }
    try {
        return chosen.run();
    } catch (const std::exception& e) {
        return report_failure(chosen.what, e);
    }
}

}  // namespace trailer::client
