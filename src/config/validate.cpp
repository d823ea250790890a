#include "config/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace trailer::config {
namespace {

using Fault = std::optional<std::string>;

// Two log files and their bookkeeping need some room.
constexpr std::int64_t kLeastLogSize = 65'536;

bool is_port(std::string_view text) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && value >= 1 && value <= 65535;
}

bool is_host(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
    });
}

enum class PortRule { optional, required };

// "host", "host:port", "[::1]:port" (RFC 3986, section 3.2, without user information).
Fault authority_fault(std::string_view text, PortRule rule) {
    std::string_view port;
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == text.npos || close == 1) return "the address in brackets has no end";
        const auto after = text.substr(close + 1);
        if (!after.empty() && after.front() != ':') return "a port stands after ':'";
        if (!after.empty()) port = after.substr(1);
        if (after.empty() && rule == PortRule::required) return "the port is missing";
        if (!after.empty() && !is_port(port)) return "the port must be a number from 1 to 65535";
        return std::nullopt;
    }
    const auto colon = text.find(':');
    if (!is_host(text.substr(0, colon))) return "the host name is missing or malformed";
    if (colon == text.npos) {
        return rule == PortRule::required ? Fault("the port is missing") : std::nullopt;
    }
    if (!is_port(text.substr(colon + 1))) return "the port must be a number from 1 to 65535";
    return std::nullopt;
}

Fault server_url_fault(std::string_view url) {
    constexpr std::string_view kExpected = "expected http://HOST:PORT or https://HOST:PORT";
    std::string_view rest = url;
    if (rest.starts_with("http://")) {
        rest.remove_prefix(7);
    } else if (rest.starts_with("https://")) {
        rest.remove_prefix(8);
    } else {
        return std::string(kExpected);
    }
    const auto bad = rest.find_first_of("@?# \t\r\n");
    if (bad != rest.npos) {
        // The text itself is not shown: what stands before an '@' may be a password.
        return fmt::format("'{}' has no place in it; {}", rest[bad], kExpected);
    }
    if (auto fault = authority_fault(rest.substr(0, rest.find('/')), PortRule::optional)) {
        return fmt::format("{}; {}", *fault, kExpected);
    }
    return std::nullopt;
}

Fault docker_host_fault(std::string_view address) {
    constexpr std::string_view kExpected = "expected unix:///PATH or tcp://HOST:PORT";
    if (address.starts_with("unix://")) {
        const auto path = address.substr(7);
        if (!path.starts_with('/') || path.size() < 2) return std::string(kExpected);
        // sockaddr_un::sun_path holds 108 bytes with its end.
        if (path.size() > 107) return "the socket's path is longer than 107 letters";
        return std::nullopt;
    }
    if (!address.starts_with("tcp://")) return std::string(kExpected);
    auto rest = address.substr(6);
    if (rest.ends_with('/')) rest.remove_suffix(1);
    if (auto fault = authority_fault(rest, PortRule::required)) {
        return fmt::format("{}; {}", *fault, kExpected);
    }
    return std::nullopt;
}

Fault name_fault(std::string_view name) {
    if (name.empty()) return "must not be empty";
    if (name.size() > 253) return "must not be longer than 253 letters";
    if (std::ranges::any_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
        return "must not contain control characters";
    }
    return std::nullopt;
}

Fault directory_fault(const std::filesystem::path& path) {
    const auto& text = path.native();
    if (text.empty()) return "must not be empty";
    if (text == "~" || text.starts_with("~/")) {
        return "'~' is not expanded here: write the whole path";
    }
    if (text.find('\0') != text.npos) return "must not contain a zero byte";
    return std::nullopt;
}

Fault absolute_fault(const std::vector<std::string>& paths) {
    for (const auto& path : paths) {
        if (!path.starts_with('/')) return fmt::format("`{}` is no absolute path", path);
        for (const auto& part : std::filesystem::path(path)) {
            if (part == "..") return fmt::format("`{}` must not contain '..'", path);
        }
    }
    return std::nullopt;
}

Fault capabilities_fault(const std::vector<std::string>& names) {
    for (const auto& name : names) {
        const auto is_letter = [](unsigned char c) {
            return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        };
        if (name.empty() || !std::ranges::all_of(name, is_letter)) {
            return fmt::format("`{}` is no capability; expected a name such as NET_ADMIN", name);
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string> fault_of(const Setting& setting, const Config& config) {
    if (const auto* path = std::get_if<std::filesystem::path Config::*>(&setting.member)) {
        return directory_fault(config.*(*path));
    }
    const auto& flag = setting.flag;
    if (flag == "server-url") return server_url_fault(config.server_url);
    if (flag == "deployment-name") return name_fault(config.deployment_name);
    if (flag == "docker-host") return docker_host_fault(config.docker_host);
    if (flag == "runtime" && config.runtime != "docker") {
        return fmt::format("`{}` is no runtime of this version; expected docker", config.runtime);
    }
    if (flag == "log-max-size" && config.log_max_size < kLeastLogSize) {
        return fmt::format("must be at least {}", kLeastLogSize);
    }
    if (flag == "allowed-bind-roots") return absolute_fault(config.bounds.allowed_bind_roots);
    if (flag == "allowed-devices") return absolute_fault(config.bounds.allowed_devices);
    if (flag == "allowed-capabilities") {
        return capabilities_fault(config.bounds.allowed_capabilities);
    }
    return std::nullopt;
}

}  // namespace trailer::config
