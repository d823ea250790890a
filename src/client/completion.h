// Completion scripts for shells, made from the shape of the command line.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trailer::client {

struct FlagShape {
    std::string long_name;   // "output", without "--"
    std::string short_name;  // "o"; empty: none
    std::string help;
    std::string
        value;  // empty: a switch; "FILE", "DIR"; "table|json|yaml": choices; else free text
};

// What stands after a verb.
enum class Arguments { none, kind_and_names, workspaces, copies, hosts, shells, verbs };

struct CommandShape {
    std::string name;
    std::string help;
    std::vector<FlagShape> flags;
    Arguments arguments = Arguments::none;
};

enum class Shell { bash, zsh, fish };
std::optional<Shell> parse_shell(std::string_view name);

// Names of resources come from `trailer get KIND -o name`, called while the person types.
std::string completion_script(Shell shell, const std::vector<CommandShape>& commands);

}  // namespace trailer::client
