#include "client/session/ssh_entries.h"

#include <algorithm>

#include "base/error.h"

namespace trailer::client {
namespace {

constexpr std::string_view kBegin = "# >>> trailer ssh-config >>>\n";
constexpr std::string_view kEnd = "# <<< trailer ssh-config <<<\n";

bool is_plain(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    });
}

// For the shell that runs a ProxyCommand, in which OpenSSH replaces % and what follows.
std::string shell_word(std::string_view word) {
    std::string text = "'";
    for (const char c : word) {
        if (c == '\'') {
            text += "'\\''";
        } else if (c == '%') {
            text += "%%";
        } else {
            text += c;
        }
    }
    return text + "'";
}

std::string without_block(std::string_view config) {
    const auto begin = config.find(kBegin);
    if (begin == config.npos) return std::string(config);
    const auto end = config.find(kEnd, begin);
    if (end == config.npos) {
        throw Error(ErrorKind::conflict,
                    "the SSH configuration has a line \"{}\" without its end: mend it by hand",
                    kBegin.substr(0, kBegin.size() - 1));
    }
    auto rest = config.substr(end + kEnd.size());
    if (begin == 0 && rest.starts_with('\n')) rest.remove_prefix(1);  // the blank line is ours
    return std::string(config.substr(0, begin)) + std::string(rest);
}

}  // namespace

std::string ssh_entry(const SshEntry& entry) {
    if (!is_plain(entry.workspace) || entry.workspace.starts_with('-')) {
        throw InvalidInput("/name",
                           fmt::format("\"{}\" can't be a host's name for ssh", entry.workspace));
    }
    if (!entry.user.empty() && !is_plain(entry.user)) {
        throw InvalidInput("/user",
                           fmt::format("\"{}\" can't be a user's name for ssh", entry.user));
    }
    std::string command;
    for (const auto& word : entry.command) command += shell_word(word) + " ";
    auto text = fmt::format("Host trailer.{}\n", entry.workspace);
    text +=
        fmt::format("    ProxyCommand {}{} {}\n", command, shell_word(entry.workspace), entry.port);
    if (!entry.user.empty()) text += fmt::format("    User {}\n", entry.user);
    text += fmt::format("    HostKeyAlias trailer.{}\n", entry.id);
    // The way there is authenticated already; a key that changes later is still told.
    text += "    StrictHostKeyChecking accept-new\n";
    text += "    CheckHostIP no\n";
    // Longer than a session outlives a cut.
    text += "    ServerAliveInterval 30\n    ServerAliveCountMax 4\n";
    return text;
}

std::string with_include(std::string_view config, std::string_view file) {
    const auto rest = without_block(config);
    return fmt::format("{}Include \"{}\"\n{}{}{}", kBegin, file, kEnd, rest.empty() ? "" : "\n",
                       rest);
}

}  // namespace trailer::client
