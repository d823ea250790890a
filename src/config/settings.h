// The table of all settings: the one place that the flags of the command line, their help and
// completion, the keys of the file and the documentation come from.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "config/config.h"

namespace trailer::config {

// Bits of Setting::roles.
inline constexpr unsigned kServer = 1;
inline constexpr unsigned kAgent = 2;
inline constexpr unsigned kBoth = kServer | kAgent;

enum class Source { flag_only, flag_and_file, file_only };

// Where a setting's value lives; its alternative is the setting's type. std::monostate: not in
// Config (--config-file itself).
using Member = std::variant<std::monostate, std::string Config::*, std::filesystem::path Config::*,
                            bool Config::*, std::int64_t Config::*, bool HostBounds::*,
                            std::vector<std::string> HostBounds::*, std::int64_t HostBounds::*>;

// One row of the table.
struct Setting {
    std::string_view flag;  // "server-url": the flag without "--"
    char short_name;        // 'S', or 0 for none
    Source source;
    unsigned roles;                 // who uses it; standalone is both
    std::string_view value_name;    // "URL": in help
    std::string_view default_text;  // as help shows it
    std::string_view help;          // one line
    Member member;

    std::string key() const;  // "server_url": the key in the file
    bool is_flag() const { return source != Source::file_only; }
    bool in_file() const { return source != Source::flag_only; }
    bool used_by(Role role) const;
    // What a value looks like, in errors: "text", "true or false", "a whole number", …
    std::string_view type_text() const;
};

// In the order in which help shows them.
std::span<const Setting> settings();

// Null for a name that is no setting's.
const Setting* find_flag(std::string_view flag);
const Setting* find_key(std::string_view key);

}  // namespace trailer::config
