// What an agent and the server tell each other, under /api/agent/.
//
// A connection begins with challenge and register: the agent proves its Ed25519 key by signing the
// server's challenge, and gets a bearer token for the calls that follow. A 401 to any of them
// means: register again.
#pragma once

#include "protocol/bounds.h"
#include "protocol/resources.h"

namespace trailer::protocol {

// POST /api/agent/challenge
struct ChallengeRequest {
    std::string public_key;  // base64url, 32 bytes

    static constexpr std::array kRequired{std::string_view{"public_key"}};
};
BOOST_DESCRIBE_STRUCT(ChallengeRequest, (), (public_key))

struct ChallengeAnswer {
    std::string challenge;  // opaque; good once, for a minute, for that key
};
BOOST_DESCRIBE_STRUCT(ChallengeAnswer, (), (challenge))

// What the agent signs: a prefix that no other use of the key shares, then the challenge and the
// token that it vouches for.
std::string signed_text(std::string_view challenge, std::string_view registration_token);

struct NetworkInterface {
    std::string name;
    std::string mac;
    bool up = false;
    std::vector<std::string> addresses;  // CIDR

    bool operator==(const NetworkInterface&) const = default;
};
BOOST_DESCRIBE_STRUCT(NetworkInterface, (), (name, mac, up, addresses))

struct Gpu {
    std::string uuid;
    std::string name;
    std::int64_t memory_total = 0;  // bytes; 0: it does not tell

    bool operator==(const Gpu&) const = default;
};
BOOST_DESCRIBE_STRUCT(Gpu, (), (uuid, name, memory_total))

// What the host can do, as the host detail view shows it, and what it allows.
struct Capabilities : HostBounds {
    std::string runtime;              // "docker"
    std::string runtime_version;      // "20.10.24"
    std::string runtime_api_version;  // "1.41"
    std::string storage_driver;
    std::string kernel;
    int cgroup_version = 0;
    std::int64_t cpus = 0;
    std::int64_t memory_total = 0;  // bytes
    std::vector<Gpu> gpus;          // none: no NVIDIA GPU, or none that the agent can see
    std::vector<std::string> network_drivers;          // "bridge", "ipvlan", of the engine
    std::vector<NetworkInterface> network_interfaces;  // those that can carry macvlan and ipvlan

    bool operator==(const Capabilities&) const = default;
};
BOOST_DESCRIBE_STRUCT(Capabilities, (HostBounds),
                      (runtime, runtime_version, runtime_api_version, storage_driver, kernel,
                       cgroup_version, cpus, memory_total, gpus, network_drivers,
                       network_interfaces))

// POST /api/agent/register. Refused with 403: "pending approval" (try again later), or with 409
// when the token belongs to a host that is bound to another key.
struct RegisterRequest {
    std::string registration_token;  // 32 hex letters, derived from the machine ID
    std::string public_key;
    std::string challenge;
    std::string signature;  // base64url, 64 bytes, over signed_text()
    std::string deployment_name;
    std::string version;
    std::string os;
    std::string architecture;
    std::string runtime;
    Capabilities capabilities;

    static constexpr std::array kRequired{
        std::string_view{"registration_token"}, std::string_view{"public_key"},
        std::string_view{"challenge"},          std::string_view{"signature"},
        std::string_view{"deployment_name"},    std::string_view{"version"}};
};
BOOST_DESCRIBE_STRUCT(RegisterRequest, (),
                      (registration_token, public_key, challenge, signature, deployment_name,
                       version, os, architecture, runtime, capabilities))

// `type` members of the problems that register answers with, so that the agent can tell them apart.
inline constexpr std::string_view kProblemPendingApproval = "urn:trailer:pending-approval";
inline constexpr std::string_view kProblemIdentityConflict = "urn:trailer:identity-conflict";

struct MetricToggles {
    bool host = true;
    bool workspaces = true;
    bool gpus = true;
    bool volumes =
        true;  // their sizes: the engine reads every file for them, at most 1 % of the time

    bool operator==(const MetricToggles&) const = default;
};
BOOST_DESCRIBE_STRUCT(MetricToggles, (), (host, workspaces, gpus, volumes))

// When what Trailer made on a host and nobody uses any more goes: images of which a newer build
// took the name.
struct CollectionPolicy {
    bool enabled = true;
    std::int64_t keep = 1;                        // of each Image, the newest former builds
    std::int64_t older_than_ms = 24 * 3'600'000;  // younger ones stay
    // While the engine's disk is fuller than this, all of them go; 100: never.
    std::int64_t disk_above_percent = 85;

    bool operator==(const CollectionPolicy&) const = default;
};
BOOST_DESCRIBE_STRUCT(CollectionPolicy, (), (enabled, keep, older_than_ms, disk_above_percent))

// Per host, kept by the server, in force at the agent as soon as an answer brings them.
struct HostSettings {
    std::int64_t heartbeat_interval_ms = 5'000;
    std::int64_t reconcile_interval_ms = 10'000;  // the poll; changes come sooner, by nudge
    std::int64_t pull_timeout_ms = 30 * 60'000;
    std::int64_t push_timeout_ms = 30 * 60'000;
    std::int64_t build_timeout_ms = 60 * 60'000;
    MetricToggles metrics;
    std::int64_t metrics_retention_ms = 7 * 24 * 3'600'000LL;
    // What carries our label and belongs to nothing known stays this long.
    std::int64_t leftover_grace_ms = 5 * 60'000;
    CollectionPolicy collection;

    bool operator==(const HostSettings&) const = default;
};
BOOST_DESCRIBE_STRUCT(HostSettings, (),
                      (heartbeat_interval_ms, reconcile_interval_ms, pull_timeout_ms,
                       push_timeout_ms, build_timeout_ms, metrics, metrics_retention_ms,
                       leftover_grace_ms, collection))

struct RegisterAnswer {
    std::string host_id;
    std::string name;
    std::string token;  // bearer, for the calls below
    bool enabled = true;
    HostSettings settings;
    std::int64_t revision = 0;  // wanted
};
BOOST_DESCRIBE_STRUCT(RegisterAnswer, (), (host_id, name, token, enabled, settings, revision))

// Whether one part works, since when, and why not.
enum class Health { ok, failing, unknown };
BOOST_DESCRIBE_ENUM(Health, ok, failing, unknown)

struct Condition {
    Health status = Health::unknown;
    Timestamp since{};
    std::string reason;

    bool operator==(const Condition&) const = default;
};
BOOST_DESCRIBE_STRUCT(Condition, (), (status, since, reason))

// Sets status and reason; `since` moves only when the status changes. True when anything changed.
bool update(Condition& condition, Health status, std::string reason = {});

// Counters grow since the host's boot; rates are made from two samples.
struct HostMetrics {
    Timestamp at{};
    int cpus = 0;
    double cpu_percent = 0;  // of all CPUs together, 0 to 100
    std::int64_t memory_total = 0;
    std::int64_t memory_free = 0;  // MemAvailable: what can be had without swapping
    std::int64_t memory_used = 0;
    std::int64_t disk_read_bytes = 0;
    std::int64_t disk_written_bytes = 0;
    std::int64_t network_received_bytes = 0;
    std::int64_t network_sent_bytes = 0;
    std::int64_t processes = 0;

    bool operator==(const HostMetrics&) const = default;
};
BOOST_DESCRIBE_STRUCT(HostMetrics, (),
                      (at, cpus, cpu_percent, memory_total, memory_free, memory_used,
                       disk_read_bytes, disk_written_bytes, network_received_bytes,
                       network_sent_bytes, processes))

// What a card does not tell is absent.
struct GpuMetrics {
    Timestamp at{};
    std::string uuid;
    std::string name;
    std::optional<double> utilization_percent;  // of the last second or less, 0 to 100
    std::optional<std::int64_t> memory_total;   // bytes
    std::optional<std::int64_t> memory_free;
    std::optional<std::int64_t> memory_used;  // with what the driver keeps for itself
    std::optional<std::int64_t> temperature_c;
    std::optional<double> power_w;

    bool operator==(const GpuMetrics&) const = default;
};
BOOST_DESCRIBE_STRUCT(GpuMetrics, (),
                      (at, uuid, name, utilization_percent, memory_total, memory_free, memory_used,
                       temperature_c, power_w))

struct Metrics {
    std::optional<HostMetrics> host;
    std::vector<GpuMetrics> gpus;

    bool operator==(const Metrics&) const = default;
};
BOOST_DESCRIBE_STRUCT(Metrics, (), (host, gpus))

// An object on the host that carries our label and belongs to nothing known.
struct Leftover {
    Kind kind = Kind::workspace;  // of what it was made for
    std::string name;             // in the engine
    std::string object;           // its id there
    Timestamp since{};            // when it was first seen so
    Timestamp removal{};

    bool operator==(const Leftover&) const = default;
};
BOOST_DESCRIBE_STRUCT(Leftover, (), (kind, name, object, since, removal))

// Something that was removed because nobody uses it any more.
struct Collected {
    Timestamp at{};
    Kind kind = Kind::image;
    std::string name;
    std::string reason;
    std::int64_t bytes = 0;  // its size, some of which others may share; 0: not known

    bool operator==(const Collected&) const = default;
};
BOOST_DESCRIBE_STRUCT(Collected, (), (at, kind, name, reason, bytes))

// What lies about on a host, and what was cleared away last.
struct Upkeep {
    std::vector<Leftover> leftovers;          // the first of them, up to kMostTold
    std::int64_t leftovers_count = 0;         // all of them
    std::vector<Collected> collected;         // the newest first, up to kMostTold
    std::int64_t collected_count = 0;         // all since the agent's start
    std::optional<double> disk_used_percent;  // of the engine's data; absent where it can't be seen

    static constexpr std::size_t kMostTold = 20;
    bool operator==(const Upkeep&) const = default;
};
BOOST_DESCRIBE_STRUCT(Upkeep, (),
                      (leftovers, leftovers_count, collected, collected_count, disk_used_percent))

// POST /api/agent/heartbeat
struct HeartbeatRequest {
    Timestamp clock{};  // the host's, to translate times between the two
    Condition engine;
    Condition reconcile;
    Metrics metrics;
    Upkeep upkeep;
    std::int64_t revision = 0;  // applied
};
BOOST_DESCRIBE_STRUCT(HeartbeatRequest, (), (clock, engine, reconcile, metrics, upkeep, revision))

struct HeartbeatAnswer {
    bool enabled = true;
    HostSettings settings;
    std::int64_t revision = 0;  // wanted
};
BOOST_DESCRIBE_STRUCT(HeartbeatAnswer, (), (enabled, settings, revision))

template <typename Spec>
struct Desired {
    std::string id;
    std::string name;
    std::int64_t revision = 0;  // of this resource
    bool deleting = false;      // remove it, then report State::deleted
    Spec spec;

    bool operator==(const Desired&) const = default;
    BOOST_DESCRIBE_CLASS(Desired, (), (id, name, revision, deleting, spec), (), ())
};
using DesiredNetwork = Desired<NetworkSpec>;
using DesiredVolume = Desired<VolumeSpec>;

struct DesiredImage : Desired<ImageSpec> {
    // Part of what the image is made from: another number builds (or pulls) it again.
    std::int64_t rebuilds = 0;
    // The agent has told that its own pull brought this image to the host.
    bool pulled = false;
    // What the agent has told of the image that it pulled though it was here: made from this.
    std::string forced_pull;

    bool operator==(const DesiredImage&) const = default;
};
BOOST_DESCRIBE_STRUCT(DesiredImage, (Desired<ImageSpec>), (rebuilds, pulled, forced_pull))

struct DesiredWorkspace : Desired<WorkspaceSpec> {
    bool running = true;
    // Restart a container that was started before this time of the host's own clock.
    std::optional<Timestamp> restart_before;
    // Part of what the container is made from: another number replaces it.
    std::int64_t redeploys = 0;
    // The newest revision of this workspace that the agent has told to be in force. What differs
    // from a revision that was in force, someone else has changed.
    std::int64_t applied_revision = 0;

    bool operator==(const DesiredWorkspace&) const = default;
};
BOOST_DESCRIBE_STRUCT(DesiredWorkspace, (Desired<WorkspaceSpec>),
                      (running, restart_before, redeploys, applied_revision))

// All that is wanted on a host.
struct DesiredState {
    std::string host_id;
    std::int64_t revision = 0;
    std::vector<DesiredNetwork> networks;
    std::vector<DesiredVolume> volumes;
    std::vector<DesiredImage> images;
    std::vector<DesiredWorkspace> workspaces;

    bool operator==(const DesiredState&) const = default;
};
BOOST_DESCRIBE_STRUCT(DesiredState, (), (host_id, revision, networks, volumes, images, workspaces))

// GET /api/agent/desired-state?revision=N&history=H: 304 when N is the newest; else the whole, or
// what has changed since N, where N is of a history that the server remembers. A revision's number
// alone does not tell what it was: a server's database may have been restored from a backup.
struct DesiredAnswer : DesiredState {
    std::string history;                // that `revision` is of
    std::optional<std::int64_t> since;  // absent: this is the whole
    std::vector<std::string> removed;   // ids

    bool operator==(const DesiredAnswer&) const = default;
};
BOOST_DESCRIBE_STRUCT(DesiredAnswer, (DesiredState), (history, since, removed))

// One resource's news. The newest replaces all before it.
struct StatusReport {
    Kind kind = Kind::workspace;
    std::string id;
    std::int64_t revision = 0;  // of the resource that this is about
    State status = State::pending;
    std::vector<Message> messages;
    json::object observed;  // what the engine tells: container id, addresses, ports, exit code…

    static constexpr std::array kRequired{std::string_view{"kind"}, std::string_view{"id"},
                                          std::string_view{"status"}};
    bool operator==(const StatusReport&) const = default;
};
BOOST_DESCRIBE_STRUCT(StatusReport, (), (kind, id, revision, status, messages, observed))

// POST /api/agent/status: a batch, oldest first. Idempotent. Reports about resources that the
// server no longer knows are ignored.
struct StatusRequest {
    std::vector<StatusReport> reports;

    static constexpr std::array kRequired{std::string_view{"reports"}};
};
BOOST_DESCRIBE_STRUCT(StatusRequest, (), (reports))

// A member of a spec that differs, as people read it; "none" where it is not there. Secrets are not
// shown.
struct FieldChange {
    std::string field;  // "image", "env/EDITOR", "resources/memory"
    std::string from;
    std::string to;

    bool operator==(const FieldChange&) const = default;
};
BOOST_DESCRIBE_STRUCT(FieldChange, (), (field, from, to))

// What would be done to reach a desired state, on the host as it is now.
struct PlanStep {
    Kind kind = Kind::workspace;
    std::string name;    // of the resource, or of the object that is left over
    std::string action;  // "create_container"
    std::string reason;  // "is not there", or the changes in words: "image: a -> b"
    std::vector<FieldChange> changes;
    bool replaces = false;            // a step of a replacement: in place is not possible
    std::vector<std::int64_t> after;  // places in the list of the steps that come first

    bool operator==(const PlanStep&) const = default;
};
BOOST_DESCRIBE_STRUCT(PlanStep, (), (kind, name, action, reason, changes, replaces, after))

// What stands in the way of a resource, step or not.
struct PlanObstacle {
    Kind kind = Kind::workspace;
    std::string name;
    std::string text;

    bool operator==(const PlanObstacle&) const = default;
};
BOOST_DESCRIBE_STRUCT(PlanObstacle, (), (kind, name, text))

// POST /api/agent/plans/ID: the answer to ControlType::plan.
struct HostPlan {
    std::vector<PlanStep> steps;
    std::vector<PlanObstacle> obstacles;
    std::vector<Leftover> leftovers;  // that stay until their time
    std::string fault;                // why there is no plan: "the engine does not answer"

    bool operator==(const HostPlan&) const = default;
};
BOOST_DESCRIBE_STRUCT(HostPlan, (), (steps, obstacles, leftovers, fault))

// Text frames of GET /api/agent/realtime, both ways.
enum class ControlType {
    nudge,     // to the agent: `revision` is wanted now
    settings,  // to the agent: heartbeat at once, the settings have changed
    plan,      // to the agent: GET /api/agent/plans/ID, say what it would do, and POST that there
    session,   // to the agent: somebody waits for a connection of GET /api/agent/session
    trunk,     // to the agent: one of GET /api/agent/trunk would be of use, if there is none
    echo,      // either way: answer with echo_reply and the same id
    echo_reply,
};
BOOST_DESCRIBE_ENUM(ControlType, nudge, settings, plan, session, trunk, echo, echo_reply)

struct ControlMessage {
    ControlType type = ControlType::nudge;
    std::optional<std::int64_t> revision;
    std::optional<std::int64_t> id;
    // In an echo to the agent: over how long the agents are to spread their return, should they all
    // lose their connections at once.
    std::optional<std::int64_t> spread_ms;

    static constexpr std::array kRequired{std::string_view{"type"}};
};
BOOST_DESCRIBE_STRUCT(ControlMessage, (), (type, revision, id, spread_ms))

}  // namespace trailer::protocol
