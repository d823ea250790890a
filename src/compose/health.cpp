#include "compose/health.h"

#include "compose/fields.h"

namespace trailer::compose {
namespace {

std::vector<std::string> in_shell(std::string command) {
    return {"/bin/sh", "-c", std::move(command)};
}

void read_test(const Node& node, protocol::HealthCheck& health, Findings& findings) {
    if (node.is_scalar()) {
        health.command = in_shell(node.text);
        return;
    }
    auto words = read_texts(node, findings);
    const auto kind = words.empty() ? std::string() : words.front();
    if (kind == "NONE" && words.size() == 1) {
        health.disabled = true;
    } else if (kind == "CMD-SHELL" && words.size() == 2) {
        health.command = in_shell(words.at(1));
    } else if (kind == "CMD" && words.size() > 1) {
        health.command.assign(words.begin() + 1, words.end());
    } else {
        findings.fault(node,
                       "expected a command, or a list that begins with CMD, CMD-SHELL or "
                       "NONE");
    }
}

}  // namespace

std::optional<protocol::HealthCheck> read_health(const Node& node, Findings& findings) {
    protocol::HealthCheck health;
    Fields fields(node, findings);
    const auto* test = fields.take("test");
    if (test != nullptr) read_test(*test, health, findings);
    const auto duration = [&](std::string_view name, std::int64_t& into) {
        const auto* found = fields.take(name);
        if (found != nullptr) into = read_duration_ms(*found, findings).value_or(into);
    };
    duration("interval", health.interval_ms);
    duration("timeout", health.timeout_ms);
    duration("start_period", health.start_period_ms);
    if (const auto* retries = fields.take("retries")) {
        health.retries = read_integer(*retries, findings).value_or(health.retries);
    }
    if (const auto* disable = fields.take("disable")) {
        if (read_bool(*disable, findings).value_or(false)) health.disabled = true;
    }
    fields.leave_out({"start_interval"});
    fields.finish();
    if (health.disabled) return protocol::HealthCheck{.disabled = true};
    if (test == nullptr) {
        findings.leave_out(node,
                           "without `test` is not supported: the image's own check can't be "
                           "changed, only replaced");
        return std::nullopt;
    }
    return health;
}

}  // namespace trailer::compose
