#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "config/settings.h"
#include "config/validate.h"
#include "wire/json.h"
#include "wire/yaml.h"

namespace trailer::config {
namespace {

namespace json = boost::json;
using std::filesystem::path;

std::string_view noun(json::kind kind) {
    switch (kind) {
        case json::kind::null:
            return "nothing";
        case json::kind::bool_:
            return "true or false";
        case json::kind::int64:
        case json::kind::uint64:
        case json::kind::double_:
            return "a number";
        case json::kind::string:
            return "text";
        case json::kind::array:
            return "a list";
        case json::kind::object:
            return "a map";
    }
    return "something else";
}

// Puts a value of the file into `config`; false when it is of another type.
struct Assign {
    Config& config;
    const json::value& value;

    bool operator()(std::monostate) const { return false; }
    bool operator()(std::string Config::* member) const {
        if (value.is_string()) config.*member = std::string(value.get_string());
        return value.is_string();
    }
    bool operator()(path Config::* member) const {
        if (value.is_string()) config.*member = std::string(value.get_string());
        return value.is_string();
    }
    bool operator()(bool Config::* member) const {
        if (value.is_bool()) config.*member = value.get_bool();
        return value.is_bool();
    }
    bool operator()(bool HostBounds::* member) const {
        if (value.is_bool()) config.bounds.*member = value.get_bool();
        return value.is_bool();
    }
    bool operator()(std::int64_t Config::* member) const {
        if (value.is_int64()) config.*member = value.get_int64();
        return value.is_int64();
    }
    bool operator()(std::int64_t HostBounds::* member) const {
        if (value.is_int64()) config.bounds.*member = value.get_int64();
        return value.is_int64();
    }
    bool operator()(std::vector<std::string> HostBounds::* member) const {
        const auto* array = value.if_array();
        if (array == nullptr || !std::ranges::all_of(*array, &json::value::is_string)) return false;
        auto& list = config.bounds.*member;
        list.clear();
        for (const auto& each : *array) list.emplace_back(each.get_string());
        return true;
    }
};

// The value that is in force, as the file shows it.
struct Show {
    const Config& config;

    json::value operator()(std::monostate) const { return nullptr; }
    json::value operator()(std::string Config::* member) const {
        return json::value(json::string(config.*member));
    }
    json::value operator()(path Config::* member) const {
        return json::value(json::string((config.*member).native()));
    }
    json::value operator()(bool Config::* member) const { return config.*member; }
    json::value operator()(bool HostBounds::* member) const { return config.bounds.*member; }
    json::value operator()(std::int64_t Config::* member) const { return config.*member; }
    json::value operator()(std::int64_t HostBounds::* member) const {
        return config.bounds.*member;
    }
    json::value operator()(std::vector<std::string> HostBounds::* member) const {
        json::array array;
        for (const auto& each : config.bounds.*member) array.push_back(json::string(each));
        return array;
    }
};

// A flag's text as the value that the file would hold. Nothing for text of another type.
std::optional<json::value> flag_value(const Setting& setting, const std::string& text) {
    if (std::holds_alternative<bool Config::*>(setting.member)) {
        if (text == "true") return json::value(true);
        if (text == "false") return json::value(false);
        return std::nullopt;
    }
    if (std::holds_alternative<std::int64_t Config::*>(setting.member)) {
        std::int64_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
        return json::value(number);
    }
    return json::value(json::string(text));
}

std::string all_keys() {
    std::string keys;
    for (const auto& setting : settings()) {
        if (setting.in_file()) keys += (keys.empty() ? "" : ", ") + setting.key();
    }
    return keys;
}

[[noreturn]] void refuse(const path& file, wire::Position at, const std::string& what) {
    throw Error(ErrorKind::invalid, "{}:{}:{}: {}", file.string(), std::max(at.line, 1),
                std::max(at.column, 1), what);
}

// parse_yaml tells the place in its text: "line 3, column 1: …".
[[noreturn]] void refuse_malformed(const path& file, const InvalidInput& error) {
    const auto& detail = error.errors().empty() ? std::string(error.what())  //
                                                : error.errors().front().detail;
    wire::Position at;
    int used = 0;
    if (std::sscanf(detail.c_str(), "line %d, column %d: %n", &at.line, &at.column, &used) < 2) {
        used = 0;
    }
    refuse(file, at, detail.substr(static_cast<std::size_t>(used)));
}

void apply_file(const path& file, const std::string& text, Config& config,
                std::set<std::string, std::less<>>& given) {
    std::vector<wire::YamlDocument> documents;
    try {
        documents = wire::parse_yaml(text);
    } catch (const InvalidInput& e) {
        refuse_malformed(file, e);
    }
    if (documents.empty()) return;
    if (documents.size() > 1) {
        refuse(file, documents[1].position_of(""), "expected one document, found another");
    }
    const auto& document = documents.front();
    const auto* object = document.value.if_object();
    if (object == nullptr) {
        refuse(file, document.position_of(""),
               fmt::format("expected lines of the form `key: value`, found {}",
                           noun(document.value.kind())));
    }
    for (const auto& [key, value] : *object) {
        const auto at = document.position_of(wire::append_pointer("", key));
        const auto* setting = find_key(key);
        if (setting == nullptr) {
            refuse(file, at,
                   fmt::format("unknown key `{}`; expected one of: {}", std::string_view(key),
                               all_keys()));
        }
        if (!std::visit(Assign{config, value}, setting->member)) {
            refuse(file, at,
                   fmt::format("`{}` must be {}, found {}{}", std::string_view(key),
                               setting->type_text(), noun(value.kind()),
                               setting->type_text() == "text" && value.is_primitive()
                                   ? "; write it in quotes"
                                   : ""));
        }
        if (const auto fault = fault_of(*setting, config)) {
            refuse(file, at, fmt::format("`{}`: {}", std::string_view(key), *fault));
        }
        given.emplace(setting->flag);
    }
}

void apply_flags(const Overrides& overrides, Config& config,
                 std::set<std::string, std::less<>>& given) {
    for (const auto& [flag, text] : overrides) {
        const auto* setting = find_flag(flag);
        if (setting == nullptr || !setting->in_file()) {
            throw Error(ErrorKind::invalid, "--{}: there is no such setting", flag);
        }
        const auto value = flag_value(*setting, text);
        if (!value || !std::visit(Assign{config, *value}, setting->member)) {
            throw Error(ErrorKind::invalid, "--{}: expected {}, found `{}`", flag,
                        setting->type_text(), text);
        }
        if (const auto fault = fault_of(*setting, config)) {
            throw Error(ErrorKind::invalid, "--{}: {}", flag, *fault);
        }
        given.emplace(setting->flag);
    }
}

std::string host_name() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
    return name.data();
}

void fill_defaults(Config& config, const std::set<std::string, std::less<>>& given) {
    if (!given.contains("deployment-name")) config.deployment_name = host_name();
    if (!given.contains("log-directory")) config.log_directory = state_directory();
    if (!given.contains("state-directory")) config.state_directory = state_directory();
}

std::string_view command(Role role) {
    switch (role) {
        case Role::server:
            return "trailer server";
        case Role::agent:
            return "trailer agent";
        case Role::standalone:
            return "trailer standalone";
    }
    return "trailer";
}

std::string new_file(const Config& config, Role role) {
    auto text = fmt::format(
        "# Made by `{}` with the values in force when it first ran. A flag of the same\n"
        "# name, with '-' for '_', wins over a line of this file.\n",
        command(role));
    for (const auto& setting : settings()) {
        if (!setting.in_file() || !setting.used_by(role)) continue;
        const auto value = std::visit(Show{config}, setting.member);
        text += fmt::format("\n# {}. Default: {}.\n", setting.help, setting.default_text);
        // A list as JSON, which is YAML too: on one line.
        text += value.is_array() ? fmt::format("{}: {}\n", setting.key(), json::serialize(value))
                                 : wire::to_yaml(json::object{{setting.key(), value}});
    }
    return text;
}

std::optional<std::string> read_if_there(const path& file) {
    try {
        return read_file(file);
    } catch (const Error& e) {
        if (e.kind() == ErrorKind::not_found) return std::nullopt;
        throw Error(ErrorKind::invalid, "configuration file: {}", e.what());
    }
}

}  // namespace

Config load(const std::optional<path>& file, const Overrides& overrides, Role role) {
    const auto used = file ? *file : default_config_file();
    if (used.empty()) throw Error(ErrorKind::invalid, "--config-file: must not be empty");
    Config config;
    std::set<std::string, std::less<>> given;
    const auto text = read_if_there(used);
    if (text) apply_file(used, *text, config, given);
    apply_flags(overrides, config, given);
    fill_defaults(config, given);
    if (text) return config;
    try {
        write_file_atomically(used, new_file(config, role), 0600);
    } catch (const Error& e) {
        // Whoever named the file wants it; without one named, a read-only home is no reason to
        // stop.
        if (file) {
            throw Error(ErrorKind::internal,
                        "configuration file {} is missing and can't be made: {}", used.string(),
                        e.what());
        }
        log::warning("configuration file {} is missing and can't be made: {}", used.string(),
                     e.what());
    }
    return config;
}

}  // namespace trailer::config
