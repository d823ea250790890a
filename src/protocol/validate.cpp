#include "protocol/validate.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <cmath>
#include <set>

#include "base/id.h"

namespace trailer::protocol {
namespace {

namespace ip = boost::asio::ip;

constexpr std::int64_t kLeastMemory = 6LL << 20;  // what Docker (API 1.41) takes
constexpr std::size_t kLongest = 4096;            // of a single text member

bool alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Collects the faults of one document; `at` is the pointer of what is being checked.
class Checker {
  public:
    explicit Checker(std::vector<FieldError>& errors) : errors_(errors) {}

    void fail(std::string pointer, std::string detail) {
        errors_.push_back({std::move(pointer), std::move(detail)});
    }

    void text(const std::string& pointer, std::string_view value, std::string_view what) {
        if (value.empty()) fail(pointer, fmt::format("expected {}, got an empty text", what));
        if (value.size() > kLongest) fail(pointer, fmt::format("has more than {} bytes", kLongest));
        if (value.find('\0') != value.npos) fail(pointer, "has a zero byte inside");
    }

    void labels(const std::map<std::string, std::string>& labels) {
        for (const auto& [key, value] : labels) {
            const auto pointer = wire::append_pointer("/spec/labels", key);
            text(pointer, key, "a label's name");
            if (key.starts_with("dev.trailer."))
                fail(pointer, "is reserved for Trailer's own labels");
        }
    }

    void absolute_path(const std::string& pointer, std::string_view path) {
        if (!path.starts_with('/')) return fail(pointer, "expected an absolute path");
        for (std::size_t from = 1; from <= path.size();) {
            const auto to = std::min(path.find('/', from), path.size());
            const auto part = path.substr(from, to - from);
            if (part == "..") return fail(pointer, "must not contain \"..\"");
            from = to + 1;
        }
        text(pointer, path, "a path");
    }

    void path_beneath_root(const std::string& pointer, std::string_view path) {
        if (path == "/") return fail(pointer, "must not be the root directory");
        absolute_path(pointer, path);
    }

    std::optional<ip::address_v4> ipv4(const std::string& pointer, const std::string& value) {
        boost::system::error_code error;
        const auto address = ip::make_address_v4(value, error);
        if (!error) return address;
        fail(pointer, "expected an IPv4 address such as 10.40.0.10");
        return std::nullopt;
    }

    std::optional<ip::address_v6> ipv6(const std::string& pointer, const std::string& value) {
        boost::system::error_code error;
        const auto address = ip::make_address_v6(value, error);
        if (!error && address.scope_id() == 0) return address;
        fail(pointer, "expected an IPv6 address such as fd00:40::10");
        return std::nullopt;
    }

    std::optional<ip::network_v6> subnet6(const std::string& pointer, const std::string& value) {
        boost::system::error_code error;
        const auto network = ip::make_network_v6(value, error);
        if (error || value.find('/') == value.npos) {
            fail(pointer, "expected an IPv6 subnet such as fd00:40::/64");
            return std::nullopt;
        }
        if (network.canonical() != network) {
            fail(pointer, fmt::format("has host bits set; did you mean {}?",
                                      network.canonical().to_string()));
            return std::nullopt;
        }
        if (network.prefix_length() > 126) {
            fail(pointer, "is too small: at most /126, which has three addresses");
            return std::nullopt;
        }
        return network;
    }

    std::optional<ip::network_v4> subnet(const std::string& pointer, const std::string& value) {
        boost::system::error_code error;
        const auto network = ip::make_network_v4(value, error);
        if (error || value.find('/') == value.npos) {
            fail(pointer, "expected an IPv4 subnet such as 10.40.0.0/24");
            return std::nullopt;
        }
        if (network.canonical() != network) {
            fail(pointer, fmt::format("has host bits set; did you mean {}?",
                                      network.canonical().to_string()));
            return std::nullopt;
        }
        if (network.prefix_length() > 30) {
            fail(pointer, "is too small: at most /30, which has two addresses");
            return std::nullopt;
        }
        return network;
    }

  private:
    std::vector<FieldError>& errors_;
};

bool inside(const ip::network_v4& network, ip::address_v4 address) {
    return ip::network_v4(address, network.prefix_length()).canonical() == network.canonical();
}

bool inside(const ip::network_v6& network, const ip::address_v6& address) {
    return ip::network_v6(address, network.prefix_length()).canonical() == network.canonical();
}

void check_ports(Checker& check, const std::vector<Port>& ports) {
    std::set<std::tuple<std::string, std::uint16_t, PortProtocol>> taken;
    for (std::size_t i = 0; i < ports.size(); ++i) {
        const auto& port = ports[i];
        const auto at = fmt::format("/spec/ports/{}", i);
        if (port.container == 0) check.fail(at + "/container", "expected a port from 1 to 65535");
        if (!port.address.empty()) {
            boost::system::error_code error;
            ip::make_address(port.address, error);
            if (error) check.fail(at + "/address", "expected an IP address of the host");
        }
        if (port.host != 0 && !taken.emplace(port.address, port.host, port.protocol).second) {
            check.fail(at + "/host", fmt::format("port {} stands here twice", port.host));
        }
    }
}

void check_mounts(Checker& check, const std::vector<Mount>& mounts) {
    std::set<std::string> targets;
    for (std::size_t i = 0; i < mounts.size(); ++i) {
        const auto& mount = mounts[i];
        const auto at = fmt::format("/spec/mounts/{}", i);
        const int sources =
            (mount.volume.empty() ? 0 : 1) + (mount.bind.empty() ? 0 : 1) + (mount.tmpfs ? 1 : 0);
        if (sources != 1) check.fail(at, "expected one of `volume`, `bind` and `tmpfs`");
        if (mount.size != 0 && !mount.tmpfs) check.fail(at + "/size", "is for `tmpfs` only");
        if (mount.size < 0) check.fail(at + "/size", "expected a number of bytes");
        if (!mount.bind.empty()) check.absolute_path(at + "/bind", mount.bind);
        check.path_beneath_root(at + "/target", mount.target);
        if (!targets.insert(mount.target).second) {
            check.fail(at + "/target", "another mount has the same target");
        }
    }
}

// By what others on a network find a workspace; a single letter will do.
void check_host_name(Checker& check, const std::string& pointer, std::string_view name) {
    const bool good = !name.empty() && name.size() <= 63 && alphanumeric(name.front()) &&
                      alphanumeric(name.back()) && std::ranges::all_of(name, [](char c) {
                          return alphanumeric(c) || c == '-' || c == '_' || c == '.';
                      });
    if (good) return;
    check.fail(pointer,
               "expected 1 to 63 letters, digits, '-', '_' or '.', beginning and ending with a "
               "letter or digit");
}

void check_networks(Checker& check, const std::vector<NetworkAttachment>& networks) {
    std::set<std::string> names;
    for (std::size_t i = 0; i < networks.size(); ++i) {
        const auto& attachment = networks[i];
        const auto at = fmt::format("/spec/networks/{}", i);
        check.text(at + "/network", attachment.network, "a network's name");
        if (!names.insert(attachment.network).second) {
            check.fail(at + "/network", "the workspace is attached to it twice");
        }
        if (!attachment.ipv4.empty()) check.ipv4(at + "/ipv4", attachment.ipv4);
        if (!attachment.ipv6.empty()) check.ipv6(at + "/ipv6", attachment.ipv6);
        for (std::size_t j = 0; j < attachment.aliases.size(); ++j) {
            check_host_name(check, fmt::format("{}/aliases/{}", at, j), attachment.aliases[j]);
        }
    }
}

void check_resources(Checker& check, const Resources& resources) {
    if (resources.cpus &&
        !(std::isfinite(*resources.cpus) && *resources.cpus >= 0.01 && *resources.cpus <= 4096)) {
        check.fail("/spec/resources/cpus", "expected a number of CPUs from 0.01 to 4096");
    }
    if (resources.memory && *resources.memory < kLeastMemory) {
        check.fail("/spec/resources/memory",
                   fmt::format("expected at least {} bytes (6 MiB)", kLeastMemory));
    }
    if (resources.shm_size && *resources.shm_size < 4096) {
        check.fail("/spec/resources/shm_size", "expected at least 4096 bytes");
    }
    if (resources.pids && *resources.pids < 1) {
        check.fail("/spec/resources/pids", "expected at least 1");
    }
}

void check_health(Checker& check, const HealthCheck& health) {
    const std::string at = "/spec/health_check/";
    if (health.disabled && !health.command.empty()) {
        check.fail(at + "command", "must be empty with `disabled`");
    } else if (!health.disabled && health.command.empty()) {
        check.fail(at + "command", "expected a command, or `disabled: true`");
    }
    const auto duration = [&](const char* name, std::int64_t value, std::int64_t least) {
        constexpr std::int64_t kDay = 24 * 3'600'000;
        if (value < least || value > kDay) {
            check.fail(at + name, fmt::format("expected {} to {} ms", least, kDay));
        }
    };
    duration("interval_ms", health.interval_ms, 1);
    duration("timeout_ms", health.timeout_ms, 1);
    duration("start_period_ms", health.start_period_ms, 0);
    if (health.retries < 1 || health.retries > 1000) {
        check.fail(at + "retries", "expected 1 to 1000");
    }
}

void check_replace(Checker& check, const ReplacePolicy& replace) {
    constexpr std::int64_t kLeast = 1000;
    constexpr std::int64_t kDay = 24 * 3'600'000;
    if (replace.healthy_within_ms < kLeast || replace.healthy_within_ms > kDay) {
        check.fail("/spec/replace/healthy_within_ms",
                   fmt::format("expected {} to {} ms", kLeast, kDay));
    }
}

void check_around(Checker& check, const WorkspaceSpec& spec) {
    const auto address = [&](const std::string& pointer, const std::string& text) {
        boost::system::error_code error;
        ip::make_address(text, error);
        if (error) check.fail(pointer, "expected an IP address");
    };
    for (std::size_t i = 0; i < spec.dns.size(); ++i) {
        address(fmt::format("/spec/dns/{}", i), spec.dns[i]);
    }
    for (const auto& [name, value] : spec.extra_hosts) {
        const auto pointer = wire::append_pointer("/spec/extra_hosts", name);
        if (name.empty() || name.find_first_of(" \t\n:") != name.npos) {
            check.fail(pointer, "is no host name");
        }
        if (value != "host-gateway") address(pointer, value);
    }
    if (!spec.hostname.empty()) check_host_name(check, "/spec/hostname", spec.hostname);
    if (!spec.working_dir.empty()) check.absolute_path("/spec/working_dir", spec.working_dir);
    if (spec.user.find_first_of(" \t\n") != spec.user.npos) {
        check.fail("/spec/user", "expected a name, a uid, or uid:gid");
    }
    constexpr std::int64_t kHour = 3'600'000;
    if (spec.stop_grace_ms < 0 || spec.stop_grace_ms > kHour) {
        check.fail("/spec/stop_grace_ms", fmt::format("expected 0 to {} ms", kHour));
    }
    const auto& signal = spec.stop_signal;
    const bool numeric = std::ranges::all_of(signal, [](char c) { return c >= '0' && c <= '9'; });
    if (!numeric && !signal.starts_with("SIG")) {
        check.fail("/spec/stop_signal", "expected a signal such as SIGINT");
    }
    for (const auto& [name, limit] : spec.ulimits) {
        const auto pointer = wire::append_pointer("/spec/ulimits", name);
        static const std::set<std::string_view> kKnown{
            "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue", "nice",
            "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack"};
        if (!kKnown.contains(name)) {
            check.fail(pointer,
                       fmt::format("is unknown; expected one of: {}", fmt::join(kKnown, ", ")));
        }
        const bool unlimited = limit.hard == -1;
        if (limit.soft < -1 || limit.hard < -1 ||
            (!unlimited && (limit.soft == -1 || limit.soft > limit.hard))) {
            check.fail(pointer, "expected `soft` up to `hard`, or -1 for none");
        }
    }
    for (const auto& [name, value] : spec.sysctls) {
        if (name.find('.') == name.npos) {
            check.fail(wire::append_pointer("/spec/sysctls", name),
                       "expected a name such as net.core.somaxconn");
        }
    }
}

void check_capabilities(Checker& check, const char* member, const std::vector<std::string>& list) {
    for (std::size_t i = 0; i < list.size(); ++i) {
        const bool good = !list[i].empty() && !list[i].starts_with("CAP_") &&
                          std::ranges::all_of(list[i], [](char c) {
                              return (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
                          });
        if (!good) {
            check.fail(fmt::format("/spec/{}/{}", member, i),
                       "expected a capability such as NET_ADMIN, or ALL");
        }
    }
}

void check_rights(Checker& check, const WorkspaceSpec& spec) {
    check_capabilities(check, "cap_add", spec.cap_add);
    check_capabilities(check, "cap_drop", spec.cap_drop);
    for (std::size_t i = 0; i < spec.devices.size(); ++i) {
        const auto& device = spec.devices[i];
        const auto at = fmt::format("/spec/devices/{}", i);
        check.path_beneath_root(at + "/host", device.host);
        if (!device.container.empty()) check.path_beneath_root(at + "/container", device.container);
        if (device.permissions.empty() ||
            device.permissions.find_first_not_of("rwm") != std::string::npos) {
            check.fail(at + "/permissions", "expected some of r, w and m");
        }
    }
    if (spec.host_network && !spec.networks.empty()) {
        check.fail("/spec/networks", "must be empty with `host_network`");
    }
    if (spec.host_network && !spec.ports.empty()) {
        check.fail("/spec/ports", "must be empty with `host_network`: its ports are the host's");
    }
}

void check_dependencies(Checker& check, const std::vector<Dependency>& dependencies) {
    std::set<std::string> names;
    for (std::size_t i = 0; i < dependencies.size(); ++i) {
        if (names.insert(dependencies[i].workspace).second) continue;
        check.fail(fmt::format("/spec/depends_on/{}/workspace", i), "stands here twice");
    }
}

void check(const WorkspaceSpec& spec, std::vector<FieldError>& errors) {
    Checker check(errors);
    check.text("/spec/image", spec.image, "an image's name or reference");
    if (spec.image.find_first_of(" \t\n") != spec.image.npos) {
        check.fail("/spec/image", "must not contain blanks");
    }
    for (std::size_t i = 0; i < spec.command.size(); ++i) {
        if (spec.command[i].find('\0') != std::string::npos) {
            check.fail(fmt::format("/spec/command/{}", i), "has a zero byte inside");
        }
    }
    for (const auto& [name, value] : spec.env) {
        const auto pointer = wire::append_pointer("/spec/env", name);
        if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != name.npos) {
            check.fail(pointer, "a variable's name must not be empty or contain '='");
        }
        if (value.find('\0') != value.npos) check.fail(pointer, "has a zero byte inside");
    }
    check_ports(check, spec.ports);
    check_mounts(check, spec.mounts);
    check_networks(check, spec.networks);
    check_resources(check, spec.resources);
    if (spec.health_check) check_health(check, *spec.health_check);
    check_replace(check, spec.replace);
    check_dependencies(check, spec.depends_on);
    check_around(check, spec);
    check_rights(check, spec);
    check.labels(spec.labels);
}

// The gateway of a subnet, and that it has one.
void check_gateway4(Checker& check, const NetworkSpec& spec, const ip::network_v4& subnet) {
    const auto gateway = check.ipv4("/spec/gateway", spec.gateway);
    if (!gateway) return;
    if (!inside(subnet, *gateway)) {
        check.fail("/spec/gateway", "is not inside the subnet " + spec.subnet);
    } else if (*gateway == subnet.network() || *gateway == subnet.broadcast()) {
        check.fail("/spec/gateway",
                   "is the subnet's first or last address, which no machine can have");
    }
}

void check_ipv4_part(Checker& check, const NetworkSpec& spec) {
    if (spec.subnet.empty()) {
        if (spec.driver != NetworkDriver::bridge) {
            check.fail("/spec/subnet", "is required for " + wire::to_text(spec.driver));
        }
        if (!spec.gateway.empty()) check.fail("/spec/gateway", "needs `subnet`");
        if (!spec.ip_range.empty()) check.fail("/spec/ip_range", "needs `subnet`");
        return;
    }
    const auto subnet = check.subnet("/spec/subnet", spec.subnet);
    if (!spec.gateway.empty() && subnet) check_gateway4(check, spec, *subnet);
    if (!spec.ip_range.empty()) {
        const auto range = check.subnet("/spec/ip_range", spec.ip_range);
        if (subnet && range && !range->is_subnet_of(*subnet) && *range != *subnet) {
            check.fail("/spec/ip_range", "is not inside the subnet " + spec.subnet);
        }
    }
}

void check_ipv6_part(Checker& check, const NetworkSpec& spec) {
    if (!spec.ipv6) {
        if (!spec.ipv6_subnet.empty()) check.fail("/spec/ipv6_subnet", "needs `ipv6: true`");
        if (!spec.ipv6_gateway.empty()) check.fail("/spec/ipv6_gateway", "needs `ipv6: true`");
        return;
    }
    if (spec.ipv6_subnet.empty()) {
        if (spec.driver != NetworkDriver::bridge) {
            check.fail("/spec/ipv6_subnet",
                       fmt::format("is required for {} with `ipv6`", wire::to_text(spec.driver)));
        }
        if (!spec.ipv6_gateway.empty()) check.fail("/spec/ipv6_gateway", "needs `ipv6_subnet`");
        return;
    }
    const auto subnet = check.subnet6("/spec/ipv6_subnet", spec.ipv6_subnet);
    if (spec.ipv6_gateway.empty()) return;
    const auto gateway = check.ipv6("/spec/ipv6_gateway", spec.ipv6_gateway);
    if (subnet && gateway && !inside(*subnet, *gateway)) {
        check.fail("/spec/ipv6_gateway", "is not inside the subnet " + spec.ipv6_subnet);
    }
}

// netdevice(7): IFNAMSIZ, with its final zero.
constexpr std::size_t kLongestInterface = 15;

bool is_interface_name(std::string_view name) {
    return name.size() <= kLongestInterface && name != "." && name != ".." &&
           name.find_first_of("/ \t\n:") == name.npos;
}

void check_parent(Checker& check, const NetworkSpec& spec) {
    constexpr int kMostVlan = 4094;  // IEEE 802.1Q: 0 and 4095 are reserved
    const auto driver = wire::to_text(spec.driver);
    if (spec.driver == NetworkDriver::bridge) {
        if (!spec.parent.empty()) check.fail("/spec/parent", "is for macvlan and ipvlan only");
        if (spec.vlan != 0) check.fail("/spec/vlan", "is for macvlan and ipvlan only");
    } else if (spec.parent.empty()) {
        check.fail("/spec/parent",
                   fmt::format("is required for {}: an interface of the host", driver));
    } else if (!is_interface_name(spec.parent)) {
        check.fail("/spec/parent", "expected an interface's name such as eth0");
    } else if (spec.vlan > kMostVlan) {
        check.fail("/spec/vlan", fmt::format("expected a VLAN tag from 1 to {}", kMostVlan));
    } else if (spec.vlan != 0 && !is_interface_name(fmt::format("{}.{}", spec.parent, spec.vlan))) {
        check.fail("/spec/vlan",
                   fmt::format("with it, the interface's name {}.{} is longer than {} letters",
                               spec.parent, spec.vlan, kLongestInterface));
    }
    if (spec.mode && spec.driver != NetworkDriver::ipvlan) {
        check.fail("/spec/mode", "is for ipvlan only");
    }
}

void check(const NetworkSpec& spec, std::vector<FieldError>& errors) {
    Checker check(errors);
    check.labels(spec.labels);
    check_parent(check, spec);
    check_ipv4_part(check, spec);
    check_ipv6_part(check, spec);
}

void check(const VolumeSpec& spec, std::vector<FieldError>& errors) {
    Checker check(errors);
    check.text("/spec/driver", spec.driver, "a volume driver");
    for (const auto& [name, value] : spec.driver_options) {
        const auto pointer = wire::append_pointer("/spec/driver_options", name);
        check.text(pointer, name, "an option's name");
        if (value.find('\0') != value.npos) check.fail(pointer, "has a zero byte inside");
    }
    check.labels(spec.labels);
}

// docs.docker.com/reference: [registry/]path[:tag]; lower case but for the tag.
bool is_reference(std::string_view text) {
    if (text.empty() || text.size() > 255 || text.find('@') != text.npos) return false;
    const auto slash = text.rfind('/');
    const auto colon = text.find(':', slash == text.npos ? 0 : slash);
    const auto path = text.substr(0, colon);
    if (path.empty() || !alphanumeric(path.front()) || !alphanumeric(path.back())) return false;
    const auto in_path = [](char c) {
        return (alphanumeric(c) && !(c >= 'A' && c <= 'Z')) ||
               std::string_view("-_./:").find(c) != std::string_view::npos;
    };
    if (!std::ranges::all_of(path, in_path) || path.find("//") != path.npos) return false;
    if (colon == text.npos) return true;
    const auto tag = text.substr(colon + 1);
    return !tag.empty() && tag.size() <= 128 && tag.front() != '.' && tag.front() != '-' &&
           std::ranges::all_of(
               tag, [](char c) { return alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

void check(const ImageSpec& spec, std::vector<FieldError>& errors) {
    Checker check(errors);
    if (!is_reference(spec.reference)) {
        check.fail("/spec/reference", "expected an image reference such as tools:1");
    }
    if (spec.push) {
        check.fail("/spec/push", "pushing after a build is not there yet; leave it out");
    }
    if (spec.dockerfile.empty() && !spec.build_args.empty()) {
        check.fail("/spec/build_args", "need `dockerfile`");
    }
}

template <typename Spec>
json::object check_as(const json::object& spec, std::vector<FieldError>& errors) {
    std::vector<FieldError> faults;
    Spec typed{};
    const json::value value = spec;
    wire::Reader reader(value, wire::Unknown::refuse, faults, "/spec");
    wire::read(reader, typed);
    // Checking what could not be read would only repeat the same faults in other words.
    if (faults.empty()) check(typed, faults);
    errors.insert(errors.end(), faults.begin(), faults.end());
    return faults.empty() ? wire::to_json(typed).as_object() : spec;
}

template <typename Network>
bool overlapping(const Network& a, const Network& b) {
    return a.canonical() == b.canonical() || a.is_subnet_of(b) || b.is_subnet_of(a);
}

}  // namespace

void check_name(std::string_view name, std::string_view pointer, std::vector<FieldError>& errors) {
    static const std::set<std::string_view> kReserved{".next", ".former", ".failed"};
    const bool good = name.size() >= 2 && name.size() <= 63 && alphanumeric(name.front()) &&
                      alphanumeric(name.back()) && std::ranges::all_of(name, [](char c) {
                          return alphanumeric(c) || c == '-' || c == '_' || c == '.';
                      });
    if (!good) {
        errors.push_back({std::string(pointer),
                          "expected 2 to 63 letters, digits, '-', '_' or '.', beginning and ending "
                          "with a letter or digit"});
    } else if (is_uuid(name)) {
        errors.push_back({std::string(pointer), "must not look like an id (a UUID)"});
    } else if (const auto dot = name.rfind('.');
               dot != name.npos && kReserved.contains(name.substr(dot))) {
        errors.push_back({std::string(pointer),
                          fmt::format("must not end with {}: a container that is being replaced is "
                                      "called so",
                                      name.substr(dot))});
    }
}

json::object check_spec(Kind kind, const json::object& spec, std::vector<FieldError>& errors) {
    switch (kind) {
        case Kind::workspace:
            return check_as<WorkspaceSpec>(spec, errors);
        case Kind::network:
            return check_as<NetworkSpec>(spec, errors);
        case Kind::volume:
            return check_as<VolumeSpec>(spec, errors);
        case Kind::image:
            return check_as<ImageSpec>(spec, errors);
    }
    return spec;
}

bool subnets_overlap(const std::string& a, const std::string& b) {
    boost::system::error_code bad_a;
    boost::system::error_code bad_b;
    if (a.find(':') == a.npos) {
        const auto one = ip::make_network_v4(a, bad_a);
        const auto other = ip::make_network_v4(b, bad_b);
        return !bad_a && !bad_b && overlapping(one, other);
    }
    const auto one = ip::make_network_v6(a, bad_a);
    const auto other = ip::make_network_v6(b, bad_b);
    return !bad_a && !bad_b && overlapping(one, other);
}

}  // namespace trailer::protocol
