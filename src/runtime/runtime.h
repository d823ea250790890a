// ContainerRuntime: what Trailer asks of a container engine, in the product's terms. Abstract
// because the engine is pluggable (product.md, row A13) and so that reconcile is tested without one
// (fake_runtime.h, held to the real engine by runtime_contract_test).
//
// Threads: every call from the one thread that runs the executor; several may be under way at once.
// Errors: Error with kind not_found (no such object), conflict (a name or port that is taken, an
// object in use), invalid (the engine refuses the spec), unavailable (the engine does not answer:
// may pass), timeout. Messages carry the engine's own words. Every call is cancellable and has a
// deadline of its own: Options::deadline, but for pull and build, which are told theirs.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aio/deadline.h"
#include "aio/task.h"
#include "base/error.h"
#include "base/time.h"
#include "protocol/resources.h"
#include "protocol/session.h"

namespace trailer::runtime {

using Labels = std::map<std::string, std::string>;

// Every object that Trailer makes carries these; an object without kManaged is never touched.
namespace label {
inline constexpr const char* kManaged = "dev.trailer.managed";     // "true"
inline constexpr const char* kHost = "dev.trailer.host";           // the id of the host it is for
inline constexpr const char* kId = "dev.trailer.id";               // the resource's id
inline constexpr const char* kName = "dev.trailer.name";           // the resource's name
inline constexpr const char* kSpecHash = "dev.trailer.spec-hash";  // of what can't change in place
inline constexpr const char* kRevision = "dev.trailer.revision";   // wanted when it was made
inline constexpr const char* kSpec = "dev.trailer.spec";           // the same as JSON, to explain
}  // namespace label

// Empty where there is no such label.
inline const std::string& label_of(const Labels& labels, const char* name) {
    static const std::string kNone;
    const auto found = labels.find(name);
    return found == labels.end() ? kNone : found->second;
}
inline bool is_managed(const Labels& labels) {
    return label_of(labels, label::kManaged) == "true";
}

// As the engine's own command line shows an id.
inline std::string short_id(std::string_view id) {
    constexpr std::size_t kLetters = 12;
    if (id.starts_with("sha256:")) id.remove_prefix(7);
    return std::string(id.substr(0, kLetters));
}

struct Info {
    std::string name;  // "docker", "podman"
    std::string version;
    std::string api_version;
    std::string id;  // the engine's own, stable across restarts
    std::string os;
    std::string architecture;
    std::string kernel;
    std::string storage_driver;
    int cgroup_version = 0;
    std::int64_t cpus = 0;
    std::int64_t memory_total = 0;  // bytes
    std::string root_directory;
    std::vector<std::string> network_drivers;  // "bridge", "macvlan"

    bool operator==(const Info&) const = default;
};

// A container's attachment to a network, wanted or seen.
struct Attachment {
    std::string network;               // the network's name
    std::vector<std::string> aliases;  // seen: without those that the engine adds itself
    std::string ipv4;                  // wanted: empty = the engine picks
    std::string ipv6;                  // likewise
    std::string ipv4_seen;             // seen: the address in force while running
    std::string ipv6_seen;
    std::string network_id;  // seen

    bool operator==(const Attachment&) const = default;
};

// Limits that the engine can change while the container runs.
struct Limits {
    std::int64_t nano_cpus = 0;  // billionths of a CPU; 0: none
    std::int64_t memory = 0;     // bytes; 0: none
    std::int64_t pids = 0;       // 0: none

    bool operator==(const Limits&) const = default;
};

struct VolumeSpec {
    std::string name;
    std::string driver = "local";
    std::map<std::string, std::string> driver_options;
    Labels labels;

    bool operator==(const VolumeSpec&) const = default;
};

struct ContainerMount {
    enum class Type { volume, bind, tmpfs };
    Type type = Type::volume;
    std::string source;     // the volume's name, or the host's path
    std::int64_t size = 0;  // of a tmpfs, bytes; 0: as the engine likes
    std::string target;
    bool read_only = false;
    // As it is to be where the engine makes it by itself, because it has gone just before the
    // container is made: else it would belong to nobody.
    std::optional<VolumeSpec> volume;

    bool operator==(const ContainerMount&) const = default;
};

// What a container is to be made from.
struct ContainerSpec {
    std::string name;
    std::string image;  // reference or id
    std::vector<std::string> entrypoint;
    std::vector<std::string> command;
    std::map<std::string, std::string> env;
    std::string user;
    std::string working_dir;
    std::vector<protocol::Port> ports;
    std::vector<ContainerMount> mounts;
    std::vector<Attachment> networks;  // none: the engine's default bridge
    std::int64_t shm_size = 0;         // bytes; 0: the engine's default
    std::optional<protocol::Gpus> gpus;
    Limits limits;
    protocol::RestartPolicy restart = protocol::RestartPolicy::unless_stopped;
    std::optional<protocol::HealthCheck> health_check;
    std::string hostname;  // empty: the engine's choice
    std::vector<std::string> dns;
    std::map<std::string, std::string> extra_hosts;  // name -> address
    bool init = false;
    std::string stop_signal;
    bool read_only = false;
    std::map<std::string, protocol::Ulimit> ulimits;
    std::map<std::string, std::string> sysctls;
    protocol::Logging logging;
    std::vector<std::string> cap_add;
    std::vector<std::string> cap_drop;
    std::vector<protocol::Device> devices;
    bool privileged = false;
    bool host_network = false;
    bool tty = false;         // its process has a terminal
    bool stdin_open = false;  // its standard input stays open for those who attach
    Labels labels;

    bool operator==(const ContainerSpec&) const = default;
};

enum class ContainerState { created, running, paused, restarting, removing, exited, dead };
enum class ContainerHealth { none, starting, healthy, unhealthy };

// A container as the engine sees it now.
struct Container {
    std::string id;
    std::string name;      // without the leading '/'
    std::string image;     // as it was asked for
    std::string image_id;  // "sha256:…"
    Labels labels;
    ContainerState state = ContainerState::created;
    ContainerHealth health = ContainerHealth::none;
    std::string health_output;  // of the last failing probe
    int exit_code = 0;
    bool oom_killed = false;
    std::string error;  // why the engine could not start it
    Timestamp created{};
    std::optional<Timestamp> started;
    std::optional<Timestamp> finished;
    int restarts = 0;
    Limits limits;
    protocol::RestartPolicy restart = protocol::RestartPolicy::no;
    std::vector<Attachment> networks;
    std::vector<std::string> volumes;  // the names of those that it mounts
    // Those without a name of their own, by where they are mounted: of its image's VOLUME.
    std::map<std::string, std::string> anonymous_volumes;
    std::vector<protocol::Port> ports;  // published; host filled in while running
    std::int64_t process_id = 0;        // of its process 1, where the engine runs; 0: none
    bool tty = false;

    bool operator==(const Container&) const = default;
};

struct NetworkSpec {
    std::string name;
    std::string driver = "bridge";
    std::string subnet;
    std::string gateway;
    std::string ip_range;
    bool ipv6 = false;  // then `subnet6` must be given
    std::string subnet6;
    std::string gateway6;
    std::string parent;  // macvlan, ipvlan: "eth0", or "eth0.10" with a VLAN tag
    std::string mode;    // ipvlan: "l2"; empty: the engine's default
    bool internal = false;
    Labels labels;

    bool operator==(const NetworkSpec&) const = default;
};

struct Network {
    std::string id;
    std::string name;
    std::string driver;
    std::string subnet;   // in force
    std::string gateway;  // in force
    std::string subnet6;
    std::string gateway6;
    std::vector<std::string> subnets;  // all that are in force, of both families
    bool internal = false;
    Labels labels;
    std::vector<std::string> attached;  // names of running containers; by find_network() alone

    bool operator==(const Network&) const = default;
};

struct Volume {
    std::string name;
    std::string driver;
    std::string mountpoint;
    Labels labels;

    bool operator==(const Volume&) const = default;
};

struct Image {
    std::string id;
    std::vector<std::string> references;  // "tools:1"; none: a newer build took its name
    Labels labels;
    std::int64_t size = 0;  // bytes
    Timestamp created{};

    bool operator==(const Image&) const = default;
};

struct BuildSpec {
    std::string reference;
    std::string dockerfile;  // its text
    std::map<std::string, std::string> build_args;
    bool pull = false;
    Labels labels;

    bool operator==(const BuildSpec&) const = default;
};

// Told that something happened, so that the observed state can be looked at again.
struct Event {
    enum class Type {
        container,
        network,
        volume,
        image,
        gap,  // the stream was (re)opened: events may have been missed, list everything
    };
    Type type = Type::gap;
    std::string action;  // "die", "rename", "destroy", "connect", …
    std::string id;      // of the container, network or image; the volume's name
    std::string name;
    std::string container;  // of a network's connect and disconnect: the container's id
    Labels labels;          // where the engine tells them (containers)
};

// A line of a pull's or a build's progress, for people.
using Progress = std::function<void(std::string_view line)>;

// A command that is run in a container beside what runs there already.
struct ExecSpec {
    std::string container;  // id
    std::vector<std::string> command;
    std::vector<std::string> env;  // NAME=VALUE, beside the container's own
    std::string user;              // empty: the container's
    std::string working_dir;       // empty: the container's
    bool tty = false;
    protocol::TerminalSize size;  // of the terminal, before the command's first byte
};

struct Output {
    bool errors = false;  // of stderr; a terminal has but one stream
    std::string data;     // empty: the end
};

// What a process in a container reads and writes. One reader and one writer at a time, which may be
// different coroutines. Dropping it closes the connection to the engine; the process goes on.
class ProcessStream {
  public:
    virtual ~ProcessStream() = default;
    // Throws Error(unavailable) when the connection to the engine broke.
    virtual Task<Output> read() = 0;
    virtual Task<> write(std::string data) = 0;
    virtual void close_input() = 0;
    virtual Task<> resize(protocol::TerminalSize size) = 0;
    // After the end: the command's own; nothing where the engine does not tell one.
    virtual Task<std::optional<int>> exit_code() = 0;
    // Of the process, in the namespace that the engine runs in; 0 where it is not known.
    virtual Task<std::int64_t> process_id() = 0;
    virtual bool tty() const = 0;
};

struct LogSpec {
    std::string container;             // id
    bool follow = false;               // until the container ends
    std::optional<std::int64_t> tail;  // the last so many lines; absent: all
    std::string since;                 // RFC 3339; entries of that very time are among them
    std::string until;
};

// One entry of a container's log: a line, or a piece of a very long one. Views into what its stream
// holds, for a log has millions.
struct LogEntry {
    bool errors = false;
    std::string_view time;  // RFC 3339, as precise as the engine tells it
    std::string_view text;  // with its line end, if it has one
};

class LogStream {
  public:
    virtual ~LogStream() = default;
    // What has come, at least one entry; none at the end. They last until the next call.
    virtual Task<std::span<const LogEntry>> read() = 0;
};

// The engine can't start this container any more, and never will: one made anew from the same spec
// it can.
class Unstartable : public Error {
  public:
    explicit Unstartable(const std::string& message) : Error(ErrorKind::conflict, message) {}
};

class ContainerRuntime {
  public:
    virtual ~ContainerRuntime() = default;

    virtual Task<Info> info() = 0;

    // Those that carry `label` = kManaged: "true"; of networks all, for nobody may take the
    // addresses of another. A volume or network is found by name whoever made it, to tell a clash.
    virtual Task<std::vector<Container>> list_containers() = 0;
    virtual Task<std::optional<Container>> find_container(std::string id_or_name) = 0;
    virtual Task<std::vector<Network>> list_networks() = 0;
    virtual Task<std::optional<Network>> find_network(std::string id_or_name) = 0;
    virtual Task<std::vector<Volume>> list_volumes() = 0;
    virtual Task<std::optional<Volume>> find_volume(std::string name) = 0;
    virtual Task<std::vector<Image>> list_images() = 0;
    virtual Task<std::optional<Image>> find_image(std::string id_or_reference) = 0;

    // Returns the new container's id. It is attached to all its networks and not started. A failure
    // leaves nothing behind.
    virtual Task<std::string> create_container(ContainerSpec spec) = 0;
    // No-op when it runs. Throws Unstartable; Error(conflict) where what it needs is not to be had
    // now: a port or an address is another's, a network has gone or its name is two networks'.
    virtual Task<> start_container(std::string id) = 0;
    // SIGTERM, SIGKILL after `grace`, also of one that is paused. No-op when it does not run.
    virtual Task<> stop_container(std::string id, std::chrono::seconds grace) = 0;
    // No-op when it is not paused. All else can be done to a paused container, but for a start.
    virtual Task<> unpause_container(std::string id) = 0;
    virtual Task<> rename_container(std::string id, std::string name) = 0;
    // In place, running or not. A limit of CPUs or memory that is 0 stays as it is: engines can't
    // take these away from a container (Docker 20.10); a replacement can.
    virtual Task<> update_container(std::string id, Limits limits,
                                    protocol::RestartPolicy restart) = 0;
    // With its anonymous volumes, never with named ones; running or not. No-op when it is not
    // there.
    virtual Task<> remove_container(std::string id) = 0;

    virtual Task<> connect_network(std::string container_id, Attachment attachment) = 0;
    // By the network's id or name; also from a network that has gone, by its name.
    virtual Task<> disconnect_network(std::string container_id, std::string network) = 0;

    // Throws conflict when a network of that name is there. Returns its id.
    virtual Task<std::string> create_network(NetworkSpec spec) = 0;
    // By id. conflict while containers are attached; no-op when it is not there.
    virtual Task<> remove_network(std::string id) = 0;

    // Gives the volume, which may have been there. Throws conflict when a volume of that name is
    // there and is not labelled with the same kId.
    virtual Task<Volume> create_volume(VolumeSpec spec) = 0;
    // conflict while in use; no-op when it is not there.
    virtual Task<> remove_volume(std::string name) = 0;
    // In bytes, by name, of the volumes whose driver tells. Expensive: the engine reads through
    // every file, of images and containers too.
    virtual Task<std::map<std::string, std::int64_t>> volume_sizes(aio::Deadline deadline) = 0;

    virtual Task<> pull_image(std::string reference, aio::Deadline deadline, Progress progress) = 0;
    // Returns the image's id. A failing step throws with its command and the end of its output.
    virtual Task<std::string> build_image(BuildSpec spec, aio::Deadline deadline,
                                          Progress progress) = 0;
    // By reference; no-op when it is not there; conflict while in use.
    virtual Task<> remove_image(std::string reference) = 0;

    // Runs it. Throws conflict where the container does not run. A command that is not there is
    // told as the engine does: as output, and an exit code of 126 or 127.
    virtual Task<std::unique_ptr<ProcessStream>> exec(ExecSpec spec) = 0;
    // Joins the container's own process; conflict where it does not run.
    virtual Task<std::unique_ptr<ProcessStream>> attach(std::string container_id) = 0;
    virtual Task<std::unique_ptr<LogStream>> logs(LogSpec spec) = 0;

    // Calls `sink` for each event, first with a gap, until cancelled or until the stream breaks
    // (then it throws; the caller waits and calls again).
    virtual Task<> watch(std::function<void(Event)> sink) = 0;
};

}  // namespace trailer::runtime
