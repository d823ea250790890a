// What a host is to have: workspaces, networks, volumes, images. The shapes of api.md.
//
// Times are RFC 3339 UTC, durations integer milliseconds (`_ms`), sizes integer bytes, ids UUIDv7.
// A member that is missing on the wire keeps the default given here; an empty string or list means
// "the image's (or the engine's) own".
#pragma once

#include <array>
#include <boost/describe.hpp>
#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.h"
#include "wire/json.h"

namespace trailer::protocol {

namespace json = boost::json;

enum class Kind { workspace, network, volume, image };
inline constexpr std::array kAllKinds{Kind::workspace, Kind::network, Kind::volume, Kind::image};
std::string_view title(Kind kind);   // "Workspace": the `kind` of a document
std::string_view plural(Kind kind);  // "workspaces": the path
std::string_view noun(Kind kind);    // "workspace": in messages
std::optional<Kind> kind_from_title(std::string_view title);
// Also takes the singular and any case, for the command line.
std::optional<Kind> kind_from_plural(std::string_view plural);
// Written as its title.
json::value write_json(const Kind& kind);
void read_json(wire::Reader& reader, Kind& kind);

// An image's reference as the engine tells it: "tools" is tools:latest there.
std::string with_tag(const std::string& reference);

// One enum for all kinds; `states_of` tells which a kind may be in.
enum class State {
    pending,        // network, volume: not made yet
    created,        // network, volume
    build_pending,  // image; workspace that waits for one
    building,
    build_finished,
    build_cancelled,
    snapshotting,
    deployment_pending,  // workspace: the host has not begun
    deploying,           // pulling, creating, replacing
    starting,
    running,
    unhealthy,
    stopping,
    stopped,
    deleting,
    deleted,  // from agent to server only: the host has removed it
    error,
};
BOOST_DESCRIBE_ENUM(State, pending, created, build_pending, building, build_finished,
                    build_cancelled, snapshotting, deployment_pending, deploying, starting, running,
                    unhealthy, stopping, stopped, deleting, deleted, error)

enum class Severity { info, warning, error };
BOOST_DESCRIBE_ENUM(Severity, info, warning, error)

// What a person reads beside a resource's state: what happened, to what, why, and what to do.
struct Message {
    Severity severity = Severity::info;
    std::string text;
    Timestamp since{};

    bool operator==(const Message&) const = default;
};
BOOST_DESCRIBE_STRUCT(Message, (), (severity, text, since))

enum class PortProtocol { tcp, udp, sctp };
BOOST_DESCRIBE_ENUM(PortProtocol, tcp, udp, sctp)

struct Port {
    std::uint16_t host = 0;       // 0: the engine picks a free one
    std::uint16_t container = 0;  // 1 to 65535
    PortProtocol protocol = PortProtocol::tcp;
    std::string address;  // of the host to bind; empty: all

    static constexpr std::array kRequired{std::string_view{"container"}};
    auto operator<=>(const Port&) const = default;
};
BOOST_DESCRIBE_STRUCT(Port, (), (host, container, protocol, address))

// Exactly one of `volume`, `bind` and `tmpfs`.
struct Mount {
    std::string volume;     // a Volume's name on the same host
    std::string bind;       // an absolute path of the host, under one of the agent's allowed roots
    bool tmpfs = false;     // memory, gone with the container
    std::int64_t size = 0;  // of a tmpfs, bytes; 0: as the engine likes
    std::string target;     // an absolute path in the container
    bool read_only = false;

    static constexpr std::array kRequired{std::string_view{"target"}};
    auto operator<=>(const Mount&) const = default;
};
BOOST_DESCRIBE_STRUCT(Mount, (), (volume, bind, tmpfs, size, target, read_only))

struct NetworkAttachment {
    std::string network;               // a Network's name on the same host
    std::vector<std::string> aliases;  // names by which others on it find this workspace
    std::string ipv4;                  // fixed address; empty: the engine picks
    std::string ipv6;                  // likewise, on a network with IPv6

    static constexpr std::array kRequired{std::string_view{"network"}};
    auto operator<=>(const NetworkAttachment&) const = default;
};
BOOST_DESCRIBE_STRUCT(NetworkAttachment, (), (network, aliases, ipv4, ipv6))

// On the wire: "all", a count, or a list of GPU UUIDs.
struct Gpus {
    bool all = false;
    std::uint32_t count = 0;
    std::vector<std::string> uuids;

    bool any() const { return all || count > 0 || !uuids.empty(); }
    bool operator==(const Gpus&) const = default;
};
json::value write_json(const Gpus& gpus);
void read_json(wire::Reader& reader, Gpus& gpus);

// An absent limit: none.
struct Resources {
    std::optional<double> cpus;            // in CPUs, e.g. 1.5
    std::optional<std::int64_t> memory;    // bytes
    std::optional<std::int64_t> shm_size;  // bytes of /dev/shm
    std::optional<std::int64_t> pids;
    std::optional<Gpus> gpus;

    bool operator==(const Resources&) const = default;
};
BOOST_DESCRIBE_STRUCT(Resources, (), (cpus, memory, shm_size, pids, gpus))

enum class RestartPolicy { no, always, on_failure, unless_stopped };
BOOST_DESCRIBE_ENUM(RestartPolicy, no, always, on_failure, unless_stopped)
constexpr bool kebab_case(RestartPolicy) {
    return true;
}

struct HealthCheck {
    std::vector<std::string> command;  // executed directly, without a shell
    bool disabled = false;             // the image's own check too; then `command` must be empty
    std::int64_t interval_ms = 30'000;
    std::int64_t timeout_ms = 30'000;
    std::int64_t start_period_ms = 0;
    std::int64_t retries = 3;

    bool operator==(const HealthCheck&) const = default;
};
BOOST_DESCRIBE_STRUCT(HealthCheck, (),
                      (command, disabled, interval_ms, timeout_ms, start_period_ms, retries))

// A device of the host, given to a container.
struct Device {
    std::string host;                 // an absolute path; one of the agent's allowed devices
    std::string container;            // an absolute path; empty: the same
    std::string permissions = "rwm";  // of read, write, mknod

    static constexpr std::array kRequired{std::string_view{"host"}};
    auto operator<=>(const Device&) const = default;
};
BOOST_DESCRIBE_STRUCT(Device, (), (host, container, permissions))

struct Ulimit {
    std::int64_t soft = 0;  // -1: none
    std::int64_t hard = 0;

    static constexpr std::array kRequired{std::string_view{"soft"}, std::string_view{"hard"}};
    bool operator==(const Ulimit&) const = default;
};
BOOST_DESCRIBE_STRUCT(Ulimit, (), (soft, hard))

// Where the engine writes what the container prints.
struct Logging {
    std::string driver;  // empty: the engine's default
    std::map<std::string, std::string> options;

    bool operator==(const Logging&) const = default;
};
BOOST_DESCRIBE_STRUCT(Logging, (), (driver, options))

// When an image is fetched for a container that is made.
enum class PullPolicy { missing, always, never };
BOOST_DESCRIBE_ENUM(PullPolicy, missing, always, never)

enum class DependencyCondition { started, healthy };
BOOST_DESCRIBE_ENUM(DependencyCondition, started, healthy)

// Another workspace of the same host that is to be up before this one is started.
struct Dependency {
    std::string workspace;
    DependencyCondition condition = DependencyCondition::started;

    static constexpr std::array kRequired{std::string_view{"workspace"}};
    auto operator<=>(const Dependency&) const = default;
};
BOOST_DESCRIBE_STRUCT(Dependency, (), (workspace, condition))

// What becomes of a new container that does not get healthy.
enum class OnUnhealthy { keep, roll_back };
BOOST_DESCRIBE_ENUM(OnUnhealthy, keep, roll_back)

// How a container that can't change in place gives way to a new one.
struct ReplacePolicy {
    // With roll_back, and a health check in the spec or the image: the former container is kept,
    // stopped, until the new one is healthy. It comes back when the new one turns unhealthy, or is
    // not healthy after this long.
    OnUnhealthy on_unhealthy = OnUnhealthy::keep;
    std::int64_t healthy_within_ms = 60'000;

    bool operator==(const ReplacePolicy&) const = default;
};
BOOST_DESCRIBE_STRUCT(ReplacePolicy, (), (on_unhealthy, healthy_within_ms))

// What is done about a container that someone changed behind our back.
enum class DriftPolicy {
    repair,  // it is made as wanted again, at once
    report,  // it is told, and left as it is until the workspace is applied or redeployed
};
BOOST_DESCRIBE_ENUM(DriftPolicy, repair, report)

struct WorkspaceSpec {
    std::string image;  // an Image's name on the same host, or a reference
    PullPolicy pull = PullPolicy::missing;
    std::vector<std::string> entrypoint;
    std::vector<std::string> command;
    std::map<std::string, std::string> env;
    std::string user;         // "name", "uid", "uid:gid"
    std::string working_dir;  // an absolute path
    std::string hostname;     // empty: the workspace's name
    std::vector<Port> ports;
    std::vector<Mount> mounts;
    std::vector<NetworkAttachment> networks;
    Resources resources;
    RestartPolicy restart = RestartPolicy::unless_stopped;
    std::optional<HealthCheck> health_check;
    ReplacePolicy replace;
    DriftPolicy drift = DriftPolicy::repair;
    std::vector<Dependency> depends_on;
    std::vector<std::string> dns;                    // addresses of name servers
    std::map<std::string, std::string> extra_hosts;  // name -> address
    bool init = false;                               // a process 1 that reaps and passes signals
    std::string stop_signal;                         // "SIGINT"; empty: the image's
    std::int64_t stop_grace_ms = 10'000;             // from that signal to SIGKILL
    bool read_only = false;                          // the container's root file system
    std::map<std::string, Ulimit> ulimits;           // "nofile"
    std::map<std::string, std::string> sysctls;
    Logging logging;
    // Bounded by the agent's own configuration file.
    std::vector<std::string> cap_add;  // "NET_ADMIN"
    std::vector<std::string> cap_drop;
    std::vector<Device> devices;
    bool tty = false;         // the process has a terminal, which attach and logs show
    bool stdin_open = false;  // its standard input stays open for those who attach
    bool privileged = false;
    bool host_network = false;  // then `networks` and `ports` must be empty
    std::map<std::string, std::string> labels;

    static constexpr std::array kRequired{std::string_view{"image"}};
    bool operator==(const WorkspaceSpec&) const = default;
};
BOOST_DESCRIBE_STRUCT(WorkspaceSpec, (),
                      (image, pull, entrypoint, command, env, user, working_dir, hostname, ports,
                       mounts, networks, resources, restart, health_check, replace, drift,
                       depends_on, dns, extra_hosts, init, stop_signal, stop_grace_ms, read_only,
                       ulimits, sysctls, logging, cap_add, cap_drop, devices, tty, stdin_open,
                       privileged, host_network, labels))

enum class NetworkDriver { bridge, macvlan, ipvlan };
BOOST_DESCRIBE_ENUM(NetworkDriver, bridge, macvlan, ipvlan)

enum class IpvlanMode { l2, l3, l3s };
BOOST_DESCRIBE_ENUM(IpvlanMode, l2, l3, l3s)

// Fixed once created.
struct NetworkSpec {
    NetworkDriver driver = NetworkDriver::bridge;
    std::string subnet;    // CIDR; empty: the agent picks from its pools (bridge only)
    std::string gateway;   // inside the subnet
    std::string ip_range;  // CIDR inside the subnet
    bool ipv6 = false;
    std::string ipv6_subnet;         // CIDR; empty: the agent picks (bridge only)
    std::string ipv6_gateway;        // inside it
    std::string parent;              // macvlan, ipvlan: an interface of the host
    std::uint16_t vlan = 0;          // tag on the parent, 1 to 4094; 0: none
    std::optional<IpvlanMode> mode;  // ipvlan; none: l2
    bool internal = false;
    std::map<std::string, std::string> labels;

    bool operator==(const NetworkSpec&) const = default;
};
BOOST_DESCRIBE_STRUCT(NetworkSpec, (),
                      (driver, subnet, gateway, ip_range, ipv6, ipv6_subnet, ipv6_gateway, parent,
                       vlan, mode, internal, labels))

// Fixed once created.
struct VolumeSpec {
    std::string driver = "local";
    std::map<std::string, std::string> driver_options;
    std::map<std::string, std::string> labels;

    bool operator==(const VolumeSpec&) const = default;
};
BOOST_DESCRIBE_STRUCT(VolumeSpec, (), (driver, driver_options, labels))

// Built on the host from `dockerfile`, or, without one, pulled.
struct ImageSpec {
    std::string reference;   // "tools:1"
    std::string dockerfile;  // its text
    std::map<std::string, std::string> build_args;
    bool pull = false;  // force-pull the base (or the image itself)
    bool push = false;  // after a build

    static constexpr std::array kRequired{std::string_view{"reference"}};
    bool operator==(const ImageSpec&) const = default;
};
BOOST_DESCRIBE_STRUCT(ImageSpec, (), (reference, dockerfile, build_args, pull, push))

}  // namespace trailer::protocol
