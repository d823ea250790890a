#include "compose/limits.h"

#include "compose/units.h"

namespace trailer::compose {
namespace {

using protocol::Gpus;
using protocol::RestartPolicy;

class LimitsReader {
  public:
    explicit LimitsReader(Findings& findings) : findings_(findings) {}

    Limits run(Fields& service) {
        if (const auto* node = service.take("cpus")) read_cpus(*node);
        if (const auto* node = service.take("mem_limit")) read_memory(*node);
        if (const auto* node = service.take("pids_limit")) read_pids(*node);
        if (const auto* node = service.take("shm_size")) {
            set("shm_size", *node, made_.resources.shm_size, read_bytes(*node, findings_));
        }
        if (const auto* node = service.take("gpus")) read_gpus(*node);
        if (const auto* node = service.take("scale")) read_replicas(*node);
        if (const auto* node = service.take("restart")) read_restart(*node);
        if (const auto* node = service.take("deploy")) read_deploy(*node);
        return std::move(made_);
    }

  private:
    template <typename T>
    void set(const std::string& name, const Node& node, std::optional<T>& into,
             std::optional<T> value) {
        if (!value) return;
        if (into && *into != *value) {
            findings_.fault(node, fmt::format("is another limit than that at {}",
                                              made_.nodes.at(name)->place.text()));
        }
        into = std::move(value);
        made_.nodes[name] = &node;
    }

    // 0 is none, as in Docker.
    template <typename T>
    static std::optional<T> or_none(std::optional<T> value) {
        return value && *value == T{} ? std::nullopt : value;
    }

    void read_cpus(const Node& node) {
        set("cpus", node, made_.resources.cpus, or_none(read_number(node, findings_)));
    }
    void read_memory(const Node& node) {
        set("memory", node, made_.resources.memory, or_none(read_bytes(node, findings_)));
    }
    void read_pids(const Node& node) {
        auto pids = or_none(read_integer(node, findings_));
        if (pids && *pids == -1) pids.reset();
        set("pids", node, made_.resources.pids, pids);
    }

    void read_replicas(const Node& node) {
        const auto replicas = read_integer(node, findings_);
        if (replicas && *replicas != 1) {
            findings_.leave_out(node,
                                "another number than 1 is not supported: a service is one "
                                "workspace");
        }
    }

    void read_restart(const Node& node) {
        const auto text = read_text(node, findings_);
        const auto colon = text.find(':');
        const auto policy = wire::from_text<RestartPolicy>(text.substr(0, colon));
        if (!policy) {
            return findings_.fault(node, "expected no, always, on-failure or unless-stopped");
        }
        made_.restart = *policy;
        if (colon != text.npos) {
            findings_.leave_out(node,
                                "a number of tries is not supported: on-failure goes on "
                                "trying");
        }
    }

    void read_deploy(const Node& node) {
        Fields deploy(node, findings_);
        if (const auto* mode = deploy.take("mode")) {
            if (const auto text = read_text(*mode, findings_); text != "replicated") {
                findings_.leave_out(*mode, fmt::format("the mode \"{}\" is not supported", text));
            }
        }
        if (const auto* replicas = deploy.take("replicas")) read_replicas(*replicas);
        if (const auto* resources = deploy.take("resources")) read_resources(*resources);
        if (const auto* policy = deploy.take("restart_policy")) read_restart_policy(*policy);
        deploy.leave_out(
            {"labels", "placement", "update_config", "rollback_config", "endpoint_mode"});
        deploy.finish();
    }

    void read_restart_policy(const Node& node) {
        Fields policy(node, findings_);
        made_.restart = RestartPolicy::always;
        if (const auto* condition = policy.take("condition")) {
            const auto text = read_text(*condition, findings_);
            if (text == "none") {
                made_.restart = RestartPolicy::no;
            } else if (text == "on-failure") {
                made_.restart = RestartPolicy::on_failure;
            } else if (text != "any") {
                findings_.fault(*condition, "expected none, on-failure or any");
            }
        }
        policy.leave_out({"delay", "max_attempts", "window"});
        policy.finish();
    }

    void read_resources(const Node& node) {
        Fields resources(node, findings_);
        if (const auto* limits = resources.take("limits")) {
            Fields each(*limits, findings_);
            if (const auto* cpus = each.take("cpus")) read_cpus(*cpus);
            if (const auto* memory = each.take("memory")) read_memory(*memory);
            if (const auto* pids = each.take("pids")) read_pids(*pids);
            each.finish();
        }
        if (const auto* reservations = resources.take("reservations")) {
            Fields each(*reservations, findings_);
            if (const auto* devices = each.take("devices")) read_devices(*devices);
            each.leave_out({"cpus", "memory", "generic_resources"});
            each.finish();
        }
        resources.finish();
    }

    void read_gpus(const Node& node) {
        if (!node.is_scalar()) return read_devices(node);
        if (node.text != "all") return findings_.fault(node, "expected all, or a list");
        set_gpus(node, Gpus{.all = true});
    }

    void read_devices(const Node& node) {
        if (!node.is_list()) return findings_.fault(node, "expected a list");
        for (const auto& item : node.items) read_device(item);
    }

    // A request for GPUs; others are not known here.
    void read_device(const Node& node) {
        Fields fields(node, findings_);
        Gpus gpus;
        const auto* capabilities = fields.take("capabilities");
        const auto wanted = capabilities == nullptr ? std::vector<std::string>{"gpu"}
                                                    : read_texts(*capabilities, findings_);
        if (wanted != std::vector<std::string>{"gpu"}) {
            findings_.leave_out(node, "only a device with the one capability gpu is supported");
        }
        if (const auto* driver = fields.take("driver")) {
            if (const auto text = read_text(*driver, findings_); text != "nvidia") {
                findings_.leave_out(*driver,
                                    fmt::format("the driver \"{}\" is not supported", text));
            }
        }
        const auto* count = fields.take("count");
        if (const auto* ids = fields.take("device_ids")) gpus.uuids = read_texts(*ids, findings_);
        if (count == nullptr || count->text == "all" || count->text == "-1") {
            gpus.all = gpus.uuids.empty();
        } else if (const auto number = parse_integer(count->text);
                   number && *number > 0 && *number < 1024) {
            gpus.count = static_cast<std::uint32_t>(*number);
        } else {
            findings_.fault(*count, "expected all, or a number of GPUs");
        }
        if (count != nullptr && !gpus.uuids.empty()) {
            findings_.fault(*count, "excludes device_ids");
        }
        fields.leave_out({"options"});
        fields.finish();
        set_gpus(node, std::move(gpus));
    }

    void set_gpus(const Node& node, Gpus gpus) {
        set("gpus", node, made_.resources.gpus, std::optional(std::move(gpus)));
    }

    Findings& findings_;
    Limits made_;
};

}  // namespace

Limits read_limits(Fields& service, Findings& findings) {
    return LimitsReader(findings).run(service);
}

}  // namespace trailer::compose
