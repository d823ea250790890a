#include "compose/service.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "compose/dotenv.h"
#include "compose/fields.h"
#include "compose/health.h"
#include "compose/limits.h"
#include "compose/ports.h"

namespace trailer::compose {
namespace {

using protocol::DependencyCondition;
using protocol::PullPolicy;
using protocol::WorkspaceSpec;

// By the Specification an empty one clears the image's own; a workspace without one has the
// image's.
std::vector<std::string> read_process_words(const Node& node, Findings& findings) {
    const auto faults = findings.faults.size();
    auto words = read_words(node, findings);
    if (words.empty() && findings.faults.size() == faults) {
        findings.leave_out(node, "empty, to clear the image's own, is not supported");
    }
    return words;
}

class ServiceReader {
  public:
    ServiceReader(const std::string& name, const Node& node, const ServiceSurroundings& around,
                  Findings& findings)
        : name_(name), node_(node), around_(around), findings_(findings), fields_(node, findings) {
        at("", node);
    }

    Document run() {
        fields_.accept({"profiles", "container_name", "expose", "attach"});
        read_image();
        read_process();
        read_environment();
        read_networks();
        if (const auto* ports = fields_.take("ports")) read_ports_of(*ports);
        read_mounts();
        read_limits_of();
        read_dependencies();
        if (const auto* health = fields_.take("healthcheck")) {
            spec_.health_check = read_health(*health, findings_);
            at("/spec/health_check", *health);
        }
        read_around();
        read_rights();
        leave_out();
        fields_.finish();
        Document document{.kind = protocol::Kind::workspace,
                          .name = around_.workspaces.at(name_),
                          .places = std::move(places_)};
        document.value["spec"] = spec_json(spec_);
        return document;
    }

  private:
    void at(std::string pointer, const Node& node) { places_[std::move(pointer)] = node.place; }

    // Reads one member by `read` into a member of the spec.
    template <typename Read, typename T>
    void take(std::string_view name, std::string pointer, Read read, T& into) {
        const auto* found = fields_.take(name);
        if (found == nullptr) return;
        at(std::move(pointer), *found);
        using Value = decltype(read(*found, findings_));
        if constexpr (requires(Value value) { value.has_value(); }) {
            if (auto value = read(*found, findings_)) into = *value;
        } else {
            into = read(*found, findings_);
        }
    }

    void read_image() {
        const auto* image = fields_.take("image");
        const auto* build = fields_.take("build");
        if (image != nullptr) {
            spec_.image = read_text(*image, findings_);
            at("/spec/image", *image);
        }
        if (build != nullptr) {
            const auto name = fmt::format("{}-{}", around_.project, name_);
            const auto reference = image == nullptr ? lower(name) : spec_.image;
            spec_.image = around_.images.add(*build, name, reference).value_or(reference);
        } else if (image == nullptr) {
            findings_.fault(node_, "needs `image` or `build`");
        }
        read_pull_policy(build != nullptr);
    }

    void read_pull_policy(bool built) {
        const auto* node = fields_.take("pull_policy");
        if (node == nullptr) return;
        at("/spec/pull", *node);
        const auto text = read_text(*node, findings_);
        if (text == "always" || text == "missing" || text == "never") {
            spec_.pull = *wire::from_text<PullPolicy>(text);
        } else if (text != "if_not_present" && !(text == "build" && built)) {
            findings_.leave_out(*node, fmt::format("the policy \"{}\" is not supported", text));
        }
    }

    void read_process() {
        take("command", "/spec/command", read_process_words, spec_.command);
        take("entrypoint", "/spec/entrypoint", read_process_words, spec_.entrypoint);
        take("user", "/spec/user", read_text, spec_.user);
        take("working_dir", "/spec/working_dir", read_text, spec_.working_dir);
        take("hostname", "/spec/hostname", read_text, spec_.hostname);
        take("init", "/spec/init", read_bool, spec_.init);
        take("tty", "/spec/tty", read_bool, spec_.tty);
        take("stdin_open", "/spec/stdin_open", read_bool, spec_.stdin_open);
        take("read_only", "/spec/read_only", read_bool, spec_.read_only);
        take("stop_grace_period", "/spec/stop_grace_ms", read_duration_ms, spec_.stop_grace_ms);
        take("stop_signal", "/spec/stop_signal", read_text, spec_.stop_signal);
        auto& signal = spec_.stop_signal;
        const bool number = signal.find_first_not_of("0123456789") == signal.npos;
        if (!number && !upper(signal).starts_with("SIG")) signal = "SIG" + signal;
        signal = upper(signal);
    }

    void read_environment() {
        if (const auto* files = fields_.take("env_file")) {
            if (files->is_list()) {
                for (const auto& item : files->items) read_env_file(item);
            } else {
                read_env_file(*files);
            }
        }
        const auto* environment = fields_.take("environment");
        if (environment == nullptr) return;
        at("/spec/env", *environment);
        for (const auto& pair : read_pairs(*environment, findings_)) {
            set_variable(pair.name, pair.value, *pair.node);
        }
    }

    // Without a value it takes that of the surroundings; without one there, it is not set.
    void set_variable(const std::string& name, const std::optional<std::string>& value,
                      const Node& node) {
        at(wire::append_pointer("/spec/env", name), node);
        const auto inherited = around_.variables.find(name);
        if (value) {
            spec_.env[name] = *value;
        } else if (inherited != around_.variables.end()) {
            spec_.env[name] = inherited->second;
        } else {
            spec_.env.erase(name);
        }
    }

    void read_env_file(const Node& node) {
        std::string path = node.text;
        bool required = true;
        bool raw = false;
        if (node.is_map()) {
            Fields fields(node, findings_);
            if (const auto* each = fields.take("path")) path = read_text(*each, findings_);
            if (const auto* each = fields.take("required")) {
                required = read_bool(*each, findings_).value_or(true);
            }
            if (const auto* each = fields.take("format")) {
                raw = read_text(*each, findings_) == "raw";
                if (!raw) findings_.fault(*each, "expected raw");
            }
            fields.finish();
        }
        if (path.empty()) return findings_.fault(node, "expected a file's path");
        namespace fs = std::filesystem;
        const auto file = (fs::path(around_.paths.directory) / path).lexically_normal().string();
        if (!required && !fs::exists(file)) return;
        std::string text;
        try {
            text = read_file(file);
        } catch (const Error& e) {
            return findings_.fault(node, e.what());
        }
        const auto made = raw ? parse_raw_env_file(text) : parse_env_file(text, around_.variables);
        for (const auto& each : made.faults) {
            findings_.fault(node, fmt::format("{}:{}: {}", file, each.line, each.what));
        }
        for (const auto& each : made.unset) {
            findings_.warn(node, fmt::format("{}: the variable {} is not set: it is taken as empty",
                                             file, each));
        }
        for (const auto& [name, value] : made.entries) set_variable(name, value, node);
    }

    // Services that name no network meet on the project's own.
    void read_networks() {
        const auto* mode = fields_.take("network_mode");
        const auto* networks = fields_.take("networks");
        if (mode != nullptr) {
            if (networks != nullptr) findings_.fault(*networks, "excludes network_mode");
            return read_network_mode(*mode);
        }
        const bool none =
            networks == nullptr || (networks->items.empty() && networks->members.empty());
        if (none) return attach("default", networks == nullptr ? node_ : *networks, nullptr);
        if (networks->is_list()) {
            for (const auto& item : networks->items) {
                attach(read_text(item, findings_), item, nullptr);
            }
            return;
        }
        if (!networks->is_map()) return findings_.fault(*networks, "expected a list or a map");
        std::vector<const Member*> ordered;
        for (const auto& member : networks->members) ordered.push_back(&member);
        // The one of the highest priority is the container's first; then the file's order holds.
        std::ranges::sort(ordered, {}, [&](const Member* member) {
            const auto* priority = member->node.find("priority");
            const auto value =
                priority == nullptr ? 0 : read_integer(*priority, findings_).value_or(0);
            return std::pair(-value, member);
        });
        for (const auto* member : ordered) attach(member->name, member->node, &member->node);
    }

    void attach(const std::string& key, const Node& place, const Node* details) {
        const auto index = spec_.networks.size();
        const auto pointer = fmt::format("/spec/networks/{}", index);
        protocol::NetworkAttachment attachment;
        attachment.network = around_.networks.use(key, place);
        attachment.aliases.push_back(name_);
        at(pointer, place);
        if (details != nullptr && !details->is_null()) {
            Fields fields(*details, findings_);
            if (const auto* aliases = fields.take("aliases")) {
                for (const auto& item : aliases->items) {
                    at(fmt::format("{}/aliases/{}", pointer, attachment.aliases.size()), item);
                    const auto alias = read_text(item, findings_);
                    if (alias != name_) attachment.aliases.push_back(alias);
                }
                if (!aliases->is_list()) findings_.fault(*aliases, "expected a list");
            }
            if (const auto* ipv4 = fields.take("ipv4_address")) {
                attachment.ipv4 = read_text(*ipv4, findings_);
                at(pointer + "/ipv4", *ipv4);
            }
            if (const auto* ipv6 = fields.take("ipv6_address")) {
                attachment.ipv6 = read_text(*ipv6, findings_);
                at(pointer + "/ipv6", *ipv6);
            }
            fields.accept({"priority"});
            fields.leave_out(
                {"link_local_ips", "mac_address", "gw_priority", "interface_name", "driver_opts"});
            fields.finish();
        }
        spec_.networks.push_back(std::move(attachment));
    }

    void read_network_mode(const Node& node) {
        const auto mode = read_text(node, findings_);
        at("/spec/host_network", node);
        if (mode == "host") {
            spec_.host_network = true;
        } else if (mode != "bridge" && mode != "default") {
            findings_.leave_out(node, fmt::format("the mode \"{}\" is not supported", mode));
        }
    }

    void read_ports_of(const Node& node) {
        at("/spec/ports", node);
        for (const auto& each : read_ports(node, findings_)) {
            at(fmt::format("/spec/ports/{}", spec_.ports.size()), *each.node);
            const bool doubled = std::ranges::find(spec_.ports, each.port) != spec_.ports.end();
            if (!doubled) spec_.ports.push_back(each.port);
        }
    }

    void read_mounts() {
        if (const auto* volumes = fields_.take("volumes")) {
            for (auto& each : read_volumes(*volumes, around_.paths, findings_)) {
                auto& volume = each.mount.volume;
                if (each.anonymous) {
                    volume = around_.volumes.use_anonymous(name_, each.mount.target, *each.node);
                } else if (!volume.empty()) {
                    volume = around_.volumes.use(volume, *each.node);
                }
                add(each);
            }
        }
        if (const auto* tmpfs = fields_.take("tmpfs")) {
            for (const auto& each : read_tmpfs(*tmpfs, findings_)) add(each);
        }
    }

    void add(const PlacedMount& placed) {
        at(fmt::format("/spec/mounts/{}", spec_.mounts.size()), *placed.node);
        spec_.mounts.push_back(placed.mount);
    }

    void read_limits_of() {
        auto limits = read_limits(fields_, findings_);
        spec_.resources = std::move(limits.resources);
        spec_.restart = limits.restart;
        for (const auto& [name, node] : limits.nodes) at("/spec/resources/" + name, *node);
    }

    void read_dependencies() {
        if (const auto* node = fields_.take("depends_on")) {
            if (node->is_map()) {
                for (const auto& [service, details] : node->members) {
                    read_dependency(service, details);
                }
            } else {
                for (const auto& service : read_texts(*node, findings_)) {
                    depend(service, DependencyCondition::started, *node);
                }
            }
        }
        if (const auto* links = fields_.take("links")) {
            for (const auto& link : read_texts(*links, findings_)) {
                const auto colon = link.find(':');
                const auto service = link.substr(0, colon);
                if (colon != link.npos && link.substr(colon + 1) != service) {
                    findings_.leave_out(*links, fmt::format("another name for {} is not supported: "
                                                            "give it an alias on the network",
                                                            service));
                }
                depend(service, DependencyCondition::started, *links);
            }
        }
    }

    void read_dependency(const std::string& service, const Node& node) {
        Fields fields(node, findings_);
        auto wanted = DependencyCondition::started;
        if (const auto* condition = fields.take("condition")) {
            const auto text = read_text(*condition, findings_);
            if (text == "service_healthy") {
                wanted = DependencyCondition::healthy;
            } else if (text == "service_completed_successfully") {
                findings_.leave_out(*condition, text + " is not supported");
            } else if (text != "service_started") {
                findings_.fault(*condition, "expected service_started or service_healthy");
            }
        }
        bool required = true;
        if (const auto* each = fields.take("required")) {
            required = read_bool(*each, findings_).value_or(true);
        }
        if (const auto* restart = fields.take("restart")) {
            if (read_bool(*restart, findings_).value_or(false)) {
                findings_.leave_out(*restart, "is not supported");
            }
        }
        fields.finish();
        if (!required && !around_.workspaces.contains(service)) return;
        depend(service, wanted, node);
    }

    void depend(const std::string& service, DependencyCondition condition, const Node& node) {
        const auto found = around_.workspaces.find(service);
        if (found == around_.workspaces.end()) {
            const bool rests = around_.resting.contains(service);
            return findings_.fault(
                node, rests ? fmt::format("the service \"{}\" takes part with --profile {} only",
                                          service, around_.resting.at(service))
                            : fmt::format("there is no service \"{}\"", service));
        }
        auto& list = spec_.depends_on;
        const auto known = std::ranges::find(list, found->second, &protocol::Dependency::workspace);
        if (known != list.end()) return;
        at(fmt::format("/spec/depends_on/{}", list.size()), node);
        list.push_back({.workspace = found->second, .condition = condition});
    }

    void read_around() {
        take("dns", "/spec/dns", read_text_or_texts, spec_.dns);
        take("sysctls", "/spec/sysctls", read_map, spec_.sysctls);
        take("labels", "/spec/labels", read_map, spec_.labels);
        if (const auto* hosts = fields_.take("extra_hosts")) read_extra_hosts(*hosts);
        if (const auto* ulimits = fields_.take("ulimits")) read_ulimits(*ulimits);
        if (const auto* logging = fields_.take("logging")) {
            at("/spec/logging", *logging);
            Fields fields(*logging, findings_);
            if (const auto* driver = fields.take("driver")) {
                spec_.logging.driver = read_text(*driver, findings_);
            }
            if (const auto* options = fields.take("options")) {
                spec_.logging.options = read_map(*options, findings_);
            }
            fields.finish();
        }
    }

    // "host:address", "host=address", or a map.
    void read_extra_hosts(const Node& node) {
        at("/spec/extra_hosts", node);
        const auto add = [&](const std::string& host, std::string address, const Node& place) {
            if (address.starts_with('[') && address.ends_with(']')) {
                address = address.substr(1, address.size() - 2);
            }
            at(wire::append_pointer("/spec/extra_hosts", host), place);
            if (!spec_.extra_hosts.emplace(host, address).second) {
                findings_.leave_out(place, "a second address of a host is not supported");
            }
        };
        for (const auto& [host, member] : node.members) {
            add(host, read_text(member, findings_), member);
        }
        for (const auto& item : node.items) {
            const auto text = read_text(item, findings_);
            const auto sign = text.find_first_of("=:");
            if (sign == text.npos) {
                findings_.fault(item, "expected HOST:ADDRESS");
            } else {
                add(text.substr(0, sign), text.substr(sign + 1), item);
            }
        }
        if (node.is_scalar()) findings_.fault(node, "expected a list or a map");
    }

    void read_ulimits(const Node& node) {
        if (!node.is_map()) return findings_.fault(node, "expected a map");
        for (const auto& [name, member] : node.members) {
            at(wire::append_pointer("/spec/ulimits", name), member);
            auto& limit = spec_.ulimits[name];
            if (!member.is_map()) {
                limit.soft = limit.hard = read_integer(member, findings_).value_or(0);
                continue;
            }
            Fields fields(member, findings_);
            const auto* soft = fields.take("soft");
            const auto* hard = fields.take("hard");
            fields.finish();
            if (soft == nullptr || hard == nullptr) {
                findings_.fault(member, "needs `soft` and `hard`");
                continue;
            }
            limit.soft = read_integer(*soft, findings_).value_or(0);
            limit.hard = read_integer(*hard, findings_).value_or(0);
        }
    }

    void read_rights() {
        take("privileged", "/spec/privileged", read_bool, spec_.privileged);
        take("cap_add", "/spec/cap_add", read_texts, spec_.cap_add);
        take("cap_drop", "/spec/cap_drop", read_texts, spec_.cap_drop);
        for (auto* list : {&spec_.cap_add, &spec_.cap_drop}) {
            for (auto& each : *list) {
                each = upper(each);
                if (each.starts_with("CAP_")) each = each.substr(4);
            }
        }
        const auto* devices = fields_.take("devices");
        if (devices == nullptr) return;
        if (!devices->is_list()) return findings_.fault(*devices, "expected a list");
        for (const auto& item : devices->items) read_device(item);
    }

    // "HOST[:CONTAINER[:PERMISSIONS]]", or a map.
    void read_device(const Node& node) {
        protocol::Device device;
        if (node.is_map()) {
            Fields fields(node, findings_);
            if (const auto* each = fields.take("source")) device.host = read_text(*each, findings_);
            if (const auto* each = fields.take("target")) {
                device.container = read_text(*each, findings_);
            }
            if (const auto* each = fields.take("permissions")) {
                device.permissions = read_text(*each, findings_);
            }
            fields.finish();
        } else {
            const auto text = read_text(node, findings_);
            if (!text.starts_with('/') && text.find('=') != text.npos) {
                return findings_.leave_out(node, "a device by its class (CDI) is not supported");
            }
            const auto first = text.find(':');
            device.host = text.substr(0, first);
            if (first != text.npos) {
                const auto second = text.find(':', first + 1);
                device.container = text.substr(first + 1, second - first - 1);
                if (second != text.npos) device.permissions = text.substr(second + 1);
            }
        }
        if (device.container == device.host) device.container.clear();
        at(fmt::format("/spec/devices/{}", spec_.devices.size()), node);
        spec_.devices.push_back(std::move(device));
    }

    void leave_out() {
        for (const auto* name : {"oom_kill_disable", "use_api_socket"}) {
            const auto* found = fields_.take(name);
            if (found == nullptr || !read_bool(*found, findings_).value_or(false)) continue;
            findings_.leave_out(*found, "is not supported");
        }
        fields_.leave_out({"annotations",
                           "blkio_config",
                           "cgroup",
                           "cgroup_parent",
                           "configs",
                           "cpu_count",
                           "cpu_percent",
                           "cpu_period",
                           "cpu_quota",
                           "cpu_rt_period",
                           "cpu_rt_runtime",
                           "cpu_shares",
                           "cpuset",
                           "credential_spec",
                           "develop",
                           "device_cgroup_rules",
                           "dns_opt",
                           "dns_search",
                           "domainname",
                           "external_links",
                           "group_add",
                           "ipc",
                           "isolation",
                           "label_file",
                           "mac_address",
                           "mem_reservation",
                           "mem_swappiness",
                           "memswap_limit",
                           "models",
                           "oom_score_adj",
                           "pid",
                           "platform",
                           "post_start",
                           "pre_stop",
                           "provider",
                           "runtime",
                           "secrets",
                           "security_opt",
                           "storage_opt",
                           "userns_mode",
                           "uts",
                           "volumes_from"});
        fields_.leave_out({"extends"},
                          "is not supported: write the service out, or merge a YAML anchor (<<)");
    }

    const std::string& name_;
    const Node& node_;
    const ServiceSurroundings& around_;
    Findings& findings_;
    Fields fields_;
    WorkspaceSpec spec_;
    Places places_;
};

}  // namespace

Document read_service(const std::string& name, const Node& node,
                      const ServiceSurroundings& surroundings, Findings& findings) {
    return ServiceReader(name, node, surroundings, findings).run();
}

}  // namespace trailer::compose
