#include "client/completion.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/subject.h"

namespace trailer::client {
namespace {

std::string kinds() {
    std::string text;
    for (const auto subject : kAllSubjects) text += (text.empty() ? "" : " ") + plural(subject);
    return text;
}

std::string verbs(const std::vector<CommandShape>& commands) {
    std::string text;
    for (const auto& command : commands) text += (text.empty() ? "" : " ") + command.name;
    return text;
}

bool has_choices(const FlagShape& flag) {
    return flag.value.find('|') != std::string::npos;
}

std::string choices_of(const FlagShape& flag) {
    auto text = flag.value;
    std::ranges::replace(text, '|', ' ');
    return text;
}

// 'text' for a POSIX shell, zsh and fish alike: these texts hold no backslash.
std::string shell_quoted(std::string_view text) {
    std::string result = "'";
    for (const char c : text) {
        if (c == '\'') {
            result += "'\\''";
        } else {
            result += c;
        }
    }
    return result + "'";
}

// "get:-o|get:--output"
std::string pattern_of(const CommandShape& command, const FlagShape& flag) {
    auto text = fmt::format("{}:--{}", command.name, flag.long_name);
    if (!flag.short_name.empty()) text += fmt::format("|{}:-{}", command.name, flag.short_name);
    return text;
}

// The command by which bash and zsh list what may stand after a verb, in terms of $kind, the first
// argument; empty: nothing may.
std::string arguments_command(const CommandShape& command,
                              const std::vector<CommandShape>& commands) {
    switch (command.arguments) {
        case Arguments::none:
            return {};
        case Arguments::kind_and_names:
            return fmt::format(
                "if [[ -z $kind ]]; then words={}; else words=$(_trailer_names "
                "\"$kind\"); fi",
                shell_quoted(kinds()));
        case Arguments::workspaces:
            return "words=$(_trailer_names workspaces)";
        case Arguments::copies:
            return "files=f";  // and "WORKSPACE:PATH", which only the person knows
        case Arguments::hosts:
            return "words=$(_trailer_names hosts)";
        case Arguments::shells:
            return "words='bash zsh fish'";
        case Arguments::verbs:
            return "words=" + shell_quoted(verbs(commands));
    }
    return {};
}

// What bash and zsh share: finds the verb and the first argument before the word that is being
// completed, and lists in $words what may stand here ($files: "f" for files, "d" for directories).
std::string shared_body(const std::vector<CommandShape>& commands) {
    std::string values;
    std::string after_flag;
    std::string flags;
    std::string arguments;
    for (const auto& command : commands) {
        std::string names;
        for (const auto& flag : command.flags) {
            names += (names.empty() ? "--" : " --") + flag.long_name;
            if (flag.value.empty()) continue;
            const auto pattern = pattern_of(command, flag);
            values += (values.empty() ? "" : "|") + pattern;
            if (has_choices(flag)) {
                after_flag += fmt::format("        {}) words={} ;;\n", pattern,
                                          shell_quoted(choices_of(flag)));
            } else if (flag.value == "FILE" || flag.value == "DIR") {
                after_flag += fmt::format("        {}) files={} ;;\n", pattern,
                                          flag.value == "DIR" ? "d" : "f");
            }
        }
        flags += fmt::format("            {}) words={} ;;\n", command.name, shell_quoted(names));
        const auto listing = arguments_command(command, commands);
        if (!listing.empty()) {
            arguments += fmt::format("            {}) {} ;;\n", command.name, listing);
        }
    }
    return fmt::format(R"(    for word in "${{before[@]}}"; do
        if [[ $word == = ]]; then skip=1; continue; fi
        if [[ -n $skip ]]; then skip=; continue; fi
        case $verb:$word in
            {0}) skip=1 ;;
            *:-*) ;;
            *) if [[ -z $verb ]]; then verb=$word; elif [[ -z $kind ]]; then kind=$word; fi ;;
        esac
    done
    case $verb:$previous in
{1}        {0}) return ;;
        :*) words={2} ;;
        *) if [[ $current == -* ]]; then case $verb in
{3}        esac; else case $verb in
{4}        esac; fi ;;
    esac
)",
                       values, after_flag, shell_quoted(verbs(commands)), flags, arguments);
}

std::string bash_script(const std::vector<CommandShape>& commands) {
    return fmt::format(R"(# Completion of trailer for bash: source <(trailer completion bash)
_trailer_names() {{ command trailer get "$1" -o name 2>/dev/null </dev/null; }}
_trailer() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}}
    local verb='' kind='' skip='' word words='' files=''
    local -a before=("${{COMP_WORDS[@]:1:COMP_CWORD - 1}}")
    COMPREPLY=()
    # bash takes --flag=value for three words.
    if [[ $current == = ]]; then current=''; elif [[ $previous == = ]]; then
        previous=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
{}    if [[ -n $files ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -"$files" -- "$current")
    else
        # Not compgen -W: it would run a $(command) that stands in a name.
        local -a list=()
        IFS=$' \t\n' read -r -d '' -a list <<<"$words"
        for word in "${{list[@]}}"; do
            if [[ $word == "$current"* ]]; then COMPREPLY+=("$word"); fi
        done
    fi
}}
complete -F _trailer trailer
)",
                       shared_body(commands));
}

std::string zsh_script(const std::vector<CommandShape>& commands) {
    return fmt::format(R"(#compdef trailer
# Completion of trailer for zsh: trailer completion zsh > "${{fpath[1]}}/_trailer"
_trailer_names() {{ command trailer get "$1" -o name 2>/dev/null </dev/null }}
_trailer() {{
    setopt local_options no_ksh_arrays
    local current=${{words[CURRENT]}} previous=${{words[CURRENT - 1]}}
    local -a before=("${{(@)words[2,CURRENT - 1]}}")
    local verb='' kind='' skip='' word words='' files=''
{}    case $files in
        f) _files ;;
        d) _files -/ ;;
        *) compadd -- ${{=words}} ;;
    esac
}}
if [[ $funcstack[1] == _trailer ]]; then _trailer "$@"; else compdef _trailer trailer; fi
)",
                       shared_body(commands));
}

std::string fish_flag(const CommandShape& command, const FlagShape& flag) {
    auto line = fmt::format("complete -c trailer -n '__fish_seen_subcommand_from {}' -l {}",
                            command.name, flag.long_name);
    if (!flag.short_name.empty()) line += " -s " + flag.short_name;
    if (flag.value == "FILE") {
        line += " -r -F";
    } else if (flag.value == "DIR") {
        line += " -x -a '(__fish_complete_directories)'";
    } else if (has_choices(flag)) {
        line += " -x -a " + shell_quoted(choices_of(flag));
    } else if (!flag.value.empty()) {
        line += " -x";
    }
    return line + " -d " + shell_quoted(flag.help) + "\n";
}

std::string fish_arguments(const CommandShape& command, const std::vector<CommandShape>& commands) {
    const auto line = [&](std::string_view condition, std::string_view what) {
        return fmt::format("complete -c trailer -n '__fish_seen_subcommand_from {}{}' -a {}\n",
                           command.name, condition, shell_quoted(what));
    };
    switch (command.arguments) {
        case Arguments::none:
            return {};
        case Arguments::kind_and_names: {
            const auto seen = fmt::format("__fish_seen_subcommand_from {}", kinds());
            return line("; and not " + seen, kinds()) +
                   line("; and " + seen, "(__trailer_names (__trailer_kind))");
        }
        case Arguments::workspaces:
            return line("", "(__trailer_names workspaces)");
        case Arguments::copies:
            return fmt::format("complete -c trailer -n '__fish_seen_subcommand_from {}' -F\n",
                               command.name);
        case Arguments::hosts:
            return line("", "(__trailer_names hosts)");
        case Arguments::shells:
            return line("", "bash zsh fish");
        case Arguments::verbs:
            return line("", verbs(commands));
    }
    return {};
}

std::string fish_script(const std::vector<CommandShape>& commands) {
    auto text = fmt::format(R"(# Completion of trailer for fish: trailer completion fish | source
function __trailer_names; command trailer get $argv[1] -o name 2>/dev/null </dev/null; end
function __trailer_kind
    for word in (commandline -opc)
        contains -- $word {}; and echo $word; and return
    end
end
complete -c trailer -f
)",
                            kinds());
    for (const auto& command : commands) {
        text += fmt::format("complete -c trailer -n __fish_use_subcommand -a {} -d {}\n",
                            command.name, shell_quoted(command.help));
        for (const auto& flag : command.flags) text += fish_flag(command, flag);
        text += fish_arguments(command, commands);
    }
    return text;
}

}  // namespace

std::optional<Shell> parse_shell(std::string_view name) {
    if (name == "bash") return Shell::bash;
    if (name == "zsh") return Shell::zsh;
    if (name == "fish") return Shell::fish;
    return std::nullopt;
}

std::string completion_script(Shell shell, const std::vector<CommandShape>& commands) {
    switch (shell) {
        case Shell::bash:
            return bash_script(commands);
        case Shell::zsh:
            return zsh_script(commands);
        case Shell::fish:
            return fish_script(commands);
    }
    return {};
}

}  // namespace trailer::client
