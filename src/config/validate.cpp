#include "config/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <charconv>

namespace trailer::config {
namespace {

using Fault = std::optional<std::string>;

// Two log files and their bookkeeping need some room.
constexpr std::int64_t kMostRetentionDays = 3650;
constexpr std::int64_t kLeastLogSize = 65'536;

// Of the pools for networks: prefix lengths.
constexpr int kWidestPool4 = 8;
constexpr int kWidestPiece4 = 16;
constexpr int kLeastPiece4 = 29;  // six addresses
constexpr int kWidestPool6 = 16;
constexpr int kPiece6 = 64;

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

// RFC 1123, section 2.1; with room for "PORT--NAME." in front (RFC 1035: 253 letters in all).
Fault domain_fault(std::string_view domain) {
    if (domain.empty()) return std::nullopt;
    constexpr std::string_view kExpected = "expected a domain such as ws.example.org";
    if (domain.size() > 180) return fmt::format("is too long; {}", kExpected);
    while (!domain.empty()) {
        const auto label = domain.substr(0, domain.find('.'));
        const auto fits = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        };
        if (label.empty() || label.size() > 63 || label.starts_with('-') || label.ends_with('-') ||
            !std::ranges::all_of(label, fits)) {
            return fmt::format("`{}` is no label of a domain in lower case; {}", label, kExpected);
        }
        domain.remove_prefix(label.size());
        if (domain.empty()) break;
        domain.remove_prefix(1);
        if (domain.empty()) return fmt::format("must not end with a dot; {}", kExpected);
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

Fault parents_fault(const std::vector<std::string>& names) {
    constexpr std::size_t kLongest = 15;  // netdevice(7): IFNAMSIZ, with its final zero
    for (const auto& name : names) {
        if (!name.empty() && name.size() <= kLongest && name.find_first_of("/ \t\n") == name.npos) {
            continue;
        }
        return fmt::format("`{}` is no interface; expected a name such as eth0, or *", name);
    }
    return std::nullopt;
}

// An IPv4 network has a piece of its own prefix, an IPv6 network a /64.
Fault pools_fault(const std::vector<std::string>& pools) {
    namespace ip = boost::asio::ip;
    for (const auto& text : pools) {
        boost::system::error_code error;
        if (text.find(':') != text.npos) {
            const auto pool = ip::make_network_v6(text, error);
            if (!error && pool.canonical() == pool && pool.prefix_length() >= kWidestPool6 &&
                pool.prefix_length() <= kPiece6) {
                continue;
            }
            return fmt::format(
                "`{}` is no pool; expected an IPv6 subnet from /{} to /{} such as "
                "fd12:3456:789a::/48",
                text, kWidestPool6, kPiece6);
        }
        const auto pool = ip::make_network_v4(text, error);
        if (!error && text.find('/') != text.npos && pool.canonical() == pool &&
            pool.prefix_length() >= kWidestPool4 && pool.prefix_length() <= kLeastPiece4) {
            continue;
        }
        return fmt::format(
            "`{}` is no pool; expected an IPv4 subnet from /{} to /{} such as "
            "10.200.0.0/15",
            text, kWidestPool4, kLeastPiece4);
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
    if (flag == "workspace-domain") return domain_fault(config.workspace_domain);
    if (flag == "audit-retention-days" &&
        (config.audit_retention_days < 1 || config.audit_retention_days > kMostRetentionDays)) {
        return fmt::format("must be from 1 to {}", kMostRetentionDays);
    }
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
    if (flag == "allowed-parents") return parents_fault(config.bounds.allowed_parents);
    if (flag == "network-pools") return pools_fault(config.bounds.network_pools);
    if (flag == "network-pool-prefix" && (config.bounds.network_pool_prefix < kWidestPiece4 ||
                                          config.bounds.network_pool_prefix > kLeastPiece4)) {
        return fmt::format("must be from {} to {}", kWidestPiece4, kLeastPiece4);
    }
    return std::nullopt;
}

}  // namespace trailer::config
