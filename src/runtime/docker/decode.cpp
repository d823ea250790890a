#include <set>

#include "base/error.h"
#include "runtime/docker/codec.h"
#include "wire/json.h"

namespace trailer::runtime::docker {
namespace {

// The member at a path of names, or null.
const json::value& at(const json::value& value, std::initializer_list<std::string_view> path) {
    static const json::value null;
    const auto* here = &value;
    for (const auto name : path) {
        const auto* object = here->if_object();
        const auto* member = object != nullptr ? object->if_contains(name) : nullptr;
        if (member == nullptr) return null;
        here = member;
    }
    return *here;
}

std::string text(const json::value& value) {
    const auto* string = value.if_string();
    return string != nullptr ? std::string(*string) : std::string();
}

std::int64_t number(const json::value& value) {
    boost::system::error_code error;
    const auto result = value.to_number<std::int64_t>(error);
    return error ? 0 : result;
}

bool truth(const json::value& value) {
    return value.is_bool() && value.get_bool();
}

Labels labels_from(const json::value& value) {
    Labels labels;
    if (const auto* object = value.if_object()) {
        for (const auto& [key, each] : *object) labels.emplace(key, text(each));
    }
    return labels;
}

// The engine prints 0001-01-01T00:00:00Z for "never".
std::optional<Timestamp> time_from(const json::value& value) {
    const auto string = text(value);
    if (string.empty() || string.starts_with("0001-")) return std::nullopt;
    try {
        return parse_rfc3339(string);
    } catch (const InvalidInput&) {
        return std::nullopt;
    }
}

ContainerState state_from(std::string_view word) {
    if (word == "running") return ContainerState::running;
    if (word == "paused") return ContainerState::paused;
    if (word == "restarting") return ContainerState::restarting;
    if (word == "removing") return ContainerState::removing;
    if (word == "exited" || word == "stopped") return ContainerState::exited;
    if (word == "dead") return ContainerState::dead;
    return ContainerState::created;
}

void read_health(const json::value& health, Container& container) {
    const auto word = text(at(health, {"Status"}));
    if (word == "starting") container.health = ContainerHealth::starting;
    if (word == "healthy") container.health = ContainerHealth::healthy;
    if (word == "unhealthy") container.health = ContainerHealth::unhealthy;
    const auto* log = at(health, {"Log"}).if_array();
    if (log == nullptr) return;
    for (const auto& probe : *log) {
        if (number(at(probe, {"ExitCode"})) != 0)
            container.health_output = text(at(probe, {"Output"}));
    }
}

std::vector<Attachment> attachments_from(const json::value& networks, const Container& container) {
    std::vector<Attachment> attachments;
    const auto* object = networks.if_object();
    if (object == nullptr) return attachments;
    for (const auto& [name, endpoint] : *object) {
        Attachment attachment{.network = name,
                              .ipv4 = text(at(endpoint, {"IPAMConfig", "IPv4Address"})),
                              .ipv6 = text(at(endpoint, {"IPAMConfig", "IPv6Address"})),
                              .ipv4_seen = text(at(endpoint, {"IPAddress"})),
                              .ipv6_seen = text(at(endpoint, {"GlobalIPv6Address"})),
                              .network_id = text(at(endpoint, {"NetworkID"}))};
        if (const auto* aliases = at(endpoint, {"Aliases"}).if_array()) {
            for (const auto& each : *aliases) {
                // The engine adds the short id itself.
                auto alias = text(each);
                if (alias.empty() || alias == short_id(container.id)) continue;
                attachment.aliases.push_back(std::move(alias));
            }
        }
        attachments.push_back(std::move(attachment));
    }
    std::ranges::sort(attachments, {}, &Attachment::network);
    return attachments;
}

// Mounts of the host's paths have no name.
std::vector<std::string> volumes_from(const json::value& mounts) {
    std::vector<std::string> volumes;
    const auto* list = mounts.if_array();
    if (list == nullptr) return volumes;
    for (const auto& mount : *list) {
        auto name = text(at(mount, {"Name"}));
        if (!name.empty()) volumes.push_back(std::move(name));
    }
    std::ranges::sort(volumes);
    return volumes;
}

// The engine gives them a name of 64 hexadecimal digits.
std::map<std::string, std::string> anonymous_volumes_from(const json::value& mounts) {
    constexpr std::size_t kDigits = 64;
    std::map<std::string, std::string> volumes;
    const auto* list = mounts.if_array();
    if (list == nullptr) return volumes;
    for (const auto& mount : *list) {
        auto name = text(at(mount, {"Name"}));
        const bool anonymous =
            name.size() == kDigits && name.find_first_not_of("0123456789abcdef") == name.npos;
        if (anonymous) volumes[text(at(mount, {"Destination"}))] = std::move(name);
    }
    return volumes;
}

std::optional<protocol::Port> port_from(std::string_view key) {
    const auto slash = key.find('/');
    protocol::Port port;
    port.container =
        static_cast<std::uint16_t>(std::atoi(std::string(key.substr(0, slash)).c_str()));
    const auto word = slash == key.npos ? std::string_view("tcp") : key.substr(slash + 1);
    const auto protocol = wire::from_text<protocol::PortProtocol>(word);
    if (!protocol || port.container == 0) return std::nullopt;
    port.protocol = *protocol;
    return port;
}

std::vector<protocol::Port> ports_from(const json::value& ports) {
    std::vector<protocol::Port> result;
    const auto* object = ports.if_object();
    if (object == nullptr) return result;
    for (const auto& [key, bindings] : *object) {
        const auto* list = bindings.if_array();
        const auto port = port_from(key);
        if (list == nullptr || !port) continue;
        for (const auto& binding : *list) {
            auto each = *port;
            each.address = text(at(binding, {"HostIp"}));
            each.host =
                static_cast<std::uint16_t>(std::atoi(text(at(binding, {"HostPort"})).c_str()));
            result.push_back(std::move(each));
        }
    }
    std::ranges::sort(result);
    return result;
}

}  // namespace

Container container_from(const json::value& inspect) {
    Container container;
    container.id = text(at(inspect, {"Id"}));
    container.name = text(at(inspect, {"Name"}));
    if (container.name.starts_with('/')) container.name.erase(0, 1);
    container.image = text(at(inspect, {"Config", "Image"}));
    container.image_id = text(at(inspect, {"Image"}));
    container.labels = labels_from(at(inspect, {"Config", "Labels"}));
    container.state = state_from(text(at(inspect, {"State", "Status"})));
    container.exit_code = static_cast<int>(number(at(inspect, {"State", "ExitCode"})));
    container.oom_killed = truth(at(inspect, {"State", "OOMKilled"}));
    container.error = text(at(inspect, {"State", "Error"}));
    read_health(at(inspect, {"State", "Health"}), container);
    container.created = time_from(at(inspect, {"Created"})).value_or(Timestamp{});
    container.started = time_from(at(inspect, {"State", "StartedAt"}));
    container.finished = time_from(at(inspect, {"State", "FinishedAt"}));
    // Docker (20.10) that was ended in the middle of a start: containerd tells the next engine of a
    // task that it did not start. It may be a process that never begins, and nothing more is told.
    if (container.state == ContainerState::running && !container.started) {
        container.state = ContainerState::dead;
    }
    container.restarts = static_cast<int>(number(at(inspect, {"RestartCount"})));
    const auto& host = at(inspect, {"HostConfig"});
    container.limits = {.nano_cpus = number(at(host, {"NanoCpus"})),
                        .memory = std::max<std::int64_t>(0, number(at(host, {"Memory"}))),
                        .pids = std::max<std::int64_t>(0, number(at(host, {"PidsLimit"})))};
    container.restart =
        wire::from_text<protocol::RestartPolicy>(text(at(host, {"RestartPolicy", "Name"})))
            .value_or(protocol::RestartPolicy::no);
    container.networks = attachments_from(at(inspect, {"NetworkSettings", "Networks"}), container);
    container.volumes = volumes_from(at(inspect, {"Mounts"}));
    container.anonymous_volumes = anonymous_volumes_from(at(inspect, {"Mounts"}));
    container.ports = ports_from(at(inspect, {"NetworkSettings", "Ports"}));
    container.process_id = number(at(inspect, {"State", "Pid"}));
    container.tty = truth(at(inspect, {"Config", "Tty"}));
    return container;
}

namespace {

// The first of each family is the one that is shown.
void add_pool(const json::value& pool, Network& network) {
    auto subnet = text(at(pool, {"Subnet"}));
    // Docker 20.10 has it with its prefix after a restart: "fd00::1/64".
    auto gateway = text(at(pool, {"Gateway"}));
    gateway.resize(std::min(gateway.find('/'), gateway.size()));
    if (subnet.empty()) return;
    network.subnets.push_back(subnet);
    const bool v6 = subnet.find(':') != subnet.npos;
    auto& shown = v6 ? network.subnet6 : network.subnet;
    if (!shown.empty()) return;
    shown = std::move(subnet);
    (v6 ? network.gateway6 : network.gateway) = std::move(gateway);
}

// An endpoint without a sandbox is told by its own id, not by a container's (moby, 20.10).
bool is_forgotten(std::string_view id) {
    return id.starts_with("ep-");
}

}  // namespace

Network network_from(const json::value& inspect) {
    Network network{.id = text(at(inspect, {"Id"})),
                    .name = text(at(inspect, {"Name"})),
                    .driver = text(at(inspect, {"Driver"})),
                    .internal = truth(at(inspect, {"Internal"})),
                    .labels = labels_from(at(inspect, {"Labels"}))};
    if (const auto* pools = at(inspect, {"IPAM", "Config"}).if_array()) {
        for (const auto& pool : *pools) add_pool(pool, network);
    }
    if (const auto* containers = at(inspect, {"Containers"}).if_object()) {
        for (const auto& [id, each] : *containers) {
            if (!is_forgotten(id)) network.attached.push_back(text(at(each, {"Name"})));
        }
        std::ranges::sort(network.attached);
    }
    return network;
}

std::vector<std::string> forgotten_endpoints(const json::value& inspect) {
    std::vector<std::string> forgotten;
    std::set<std::string> living;
    if (const auto* containers = at(inspect, {"Containers"}).if_object()) {
        for (const auto& [id, each] : *containers) {
            auto name = text(at(each, {"Name"}));
            if (is_forgotten(id)) {
                forgotten.push_back(std::move(name));
            } else {
                living.insert(std::move(name));
            }
        }
    }
    std::erase_if(forgotten, [&](const auto& name) { return living.contains(name); });
    return forgotten;
}

std::map<std::string, std::int64_t> volume_sizes_from(const json::value& usage) {
    std::map<std::string, std::int64_t> sizes;
    const auto* volumes = at(usage, {"Volumes"}).if_array();
    if (volumes == nullptr) return sizes;
    for (const auto& each : *volumes) {
        const auto& size = at(each, {"UsageData", "Size"});
        // -1: the driver does not tell.
        if (size.is_number() && number(size) >= 0) sizes[text(at(each, {"Name"}))] = number(size);
    }
    return sizes;
}

Volume volume_from(const json::value& inspect) {
    return {.name = text(at(inspect, {"Name"})),
            .driver = text(at(inspect, {"Driver"})),
            .mountpoint = text(at(inspect, {"Mountpoint"})),
            .labels = labels_from(at(inspect, {"Labels"}))};
}

namespace {

Image image_with_tags(const json::value& value, const json::value& labels) {
    Image image{.id = text(at(value, {"Id"})),
                .labels = labels_from(labels),
                .size = number(at(value, {"Size"}))};
    if (const auto* tags = at(value, {"RepoTags"}).if_array()) {
        for (const auto& tag : *tags) {
            if (text(tag) != "<none>:<none>") image.references.push_back(text(tag));
        }
    }
    return image;
}

}  // namespace

Image image_from(const json::value& inspect) {
    auto image = image_with_tags(inspect, at(inspect, {"Config", "Labels"}));
    image.created = time_from(at(inspect, {"Created"})).value_or(Timestamp{});
    return image;
}

Image image_from_list(const json::value& summary) {
    auto image = image_with_tags(summary, at(summary, {"Labels"}));
    image.created = Timestamp{std::chrono::seconds{number(at(summary, {"Created"}))}};
    return image;
}

Info info_from(const json::value& info, const json::value& version) {
    Info result{.name = "docker",
                .version = text(at(version, {"Version"})),
                .api_version = text(at(version, {"ApiVersion"})),
                .id = text(at(info, {"ID"})),
                .os = text(at(info, {"OperatingSystem"})),
                .architecture = text(at(info, {"Architecture"})),
                .kernel = text(at(info, {"KernelVersion"})),
                .storage_driver = text(at(info, {"Driver"})),
                .cpus = number(at(info, {"NCPU"})),
                .memory_total = number(at(info, {"MemTotal"})),
                .root_directory = text(at(info, {"DockerRootDir"}))};
    result.cgroup_version = text(at(info, {"CgroupVersion"})) == "2" ? 2 : 1;
    if (const auto* drivers = at(info, {"Plugins", "Network"}).if_array()) {
        for (const auto& each : *drivers) result.network_drivers.push_back(text(each));
    }
    if (const auto* components = at(version, {"Components"}).if_array()) {
        for (const auto& component : *components) {
            if (text(at(component, {"Name"})).starts_with("Podman")) result.name = "podman";
        }
    }
    return result;
}

std::optional<Event> event_from(const json::value& event) {
    const auto type = text(at(event, {"Type"}));
    Event result{.action = text(at(event, {"Action"})), .id = text(at(event, {"Actor", "ID"}))};
    if (type == "container") {
        result.type = Event::Type::container;
    } else if (type == "network") {
        result.type = Event::Type::network;
    } else if (type == "volume") {
        result.type = Event::Type::volume;
    } else if (type == "image") {
        result.type = Event::Type::image;
    } else {
        return std::nullopt;
    }
    // A container's attributes are its labels, with its name and image among them.
    result.labels = labels_from(at(event, {"Actor", "Attributes"}));
    result.name = result.labels["name"];
    if (result.type == Event::Type::network) result.container = result.labels["container"];
    if (result.type == Event::Type::volume) result.name = result.id;
    return result;
}

std::int64_t event_nanoseconds(const json::value& event) {
    return number(at(event, {"timeNano"}));
}

ProgressLine progress_from(const json::value& line) {
    ProgressLine progress;
    progress.error = text(at(line, {"errorDetail", "message"}));
    if (progress.error.empty()) progress.error = text(at(line, {"error"}));
    progress.image_id = text(at(line, {"aux", "ID"}));
    progress.text = text(at(line, {"stream"}));
    if (progress.text.empty()) {
        progress.text = text(at(line, {"status"}));
        if (const auto id = text(at(line, {"id"})); !id.empty())
            progress.text = id + ": " + progress.text;
        if (const auto bar = text(at(line, {"progress"})); !bar.empty()) progress.text += " " + bar;
    }
    return progress;
}

namespace {

// The engine answers 500 for much that is the caller's or the world's doing; its words tell.
ErrorKind kind_from_words(std::string_view words) {
    struct Known {
        std::string_view words;
        ErrorKind kind;
    };
    static constexpr std::array kKnown{
        Known{"port is already allocated", ErrorKind::conflict},
        Known{"address already in use", ErrorKind::conflict},
        Known{"already in use", ErrorKind::conflict},
        Known{"has active endpoints", ErrorKind::conflict},
        Known{"volume is in use", ErrorKind::conflict},
        Known{"already exists", ErrorKind::conflict},
        Known{"ool overlaps", ErrorKind::conflict},
        Known{"non-overlapping IPv4 address pool", ErrorKind::conflict},
        Known{"No such image", ErrorKind::not_found},
        Known{"pull access denied", ErrorKind::not_found},
        Known{"manifest unknown", ErrorKind::not_found},
        Known{"no such host", ErrorKind::unavailable},
        Known{"connection refused", ErrorKind::unavailable},
        // An engine that is ending still answers, and its stores are closed already (20.10).
        Known{"failed to update store for object", ErrorKind::unavailable},
        Known{"database not open", ErrorKind::unavailable},
        Known{"transport is closing", ErrorKind::unavailable},
        Known{"client connection is closing", ErrorKind::unavailable},
        Known{"ttrpc: closed", ErrorKind::unavailable},
        Known{"context canceled", ErrorKind::unavailable},
        Known{"i/o timeout", ErrorKind::unavailable},
    };
    for (const auto& each : kKnown) {
        if (words.find(each.words) != words.npos) return each.kind;
    }
    return ErrorKind::internal;
}

}  // namespace

void throw_engine_error(int status, std::string_view body, std::string_view doing) {
    std::string words(body.substr(0, 2000));
    boost::system::error_code error;
    const auto value = json::parse(json::string_view(body.data(), body.size()), error);
    if (!error) words = text(at(value, {"message"}));
    while (words.ends_with('\n')) words.pop_back();
    auto kind = kind_from_words(words);
    if (kind == ErrorKind::internal) {
        if (status == 400) kind = ErrorKind::invalid;
        if (status == 403 || status == 409) kind = ErrorKind::conflict;
        if (status == 404) kind = ErrorKind::not_found;
        if (status == 503) kind = ErrorKind::unavailable;
    }
    throw Error(kind, "{}: {}", doing,
                words.empty() ? fmt::format("the engine answered {}", status) : words);
}

void LineSplitter::feed(std::string_view bytes, const std::function<void(std::string_view)>& each) {
    for (;;) {
        const auto end = bytes.find('\n');
        if (end == bytes.npos) break;
        if (rest_.empty()) {
            each(bytes.substr(0, end));
        } else {
            rest_ += bytes.substr(0, end);
            each(rest_);
            rest_.clear();
        }
        bytes.remove_prefix(end + 1);
    }
    rest_ += bytes;
}

}  // namespace trailer::runtime::docker
