#include "reconcile/status.h"

#include <algorithm>

#include "wire/json.h"

namespace trailer::reconcile {
namespace {

namespace label = runtime::label;
using protocol::Severity;
using protocol::State;
using protocol::StatusReport;
using runtime::Container;
using runtime::ContainerHealth;
using runtime::ContainerState;
using runtime::label_of;

StatusReport report_of(const Wanted& wanted) {
    StatusReport report;
    report.kind = wanted.key.kind;
    report.id = wanted.key.id;
    report.revision = wanted.revision;
    return report;
}

void say(StatusReport& report, Severity severity, std::string text, Timestamp now) {
    report.messages.push_back({.severity = severity, .text = std::move(text), .since = now});
}

// True when something stands in the way, which is then all that matters.
bool obstacle(const Wanted& wanted, const Progress& progress, StatusReport& report, Timestamp now) {
    std::string text;
    if (!wanted.fault.empty() && !wanted.deleting) {
        text = wanted.fault;
    } else if (!progress.failure.empty()) {
        text = progress.failure;
        if (!progress.busy) {
            text += fmt::format("; next try in {}", format_duration(progress.next_try));
        }
    } else if (!progress.setback.empty()) {
        text = progress.setback;
    } else if (progress.waits_in_vain) {
        text = fmt::format("waits for {}, which failed: see there", progress.waits_for);
    } else {
        return false;
    }
    report.status = State::error;
    say(report, Severity::error, std::move(text), now);
    return true;
}

void say_what_it_waits_for(const Progress& progress, StatusReport& report, Timestamp now) {
    if (progress.waits_for.empty() || report.status == State::deleted) return;
    say(report, Severity::info, "waits for " + progress.waits_for, now);
}

json::object observed_of(const runtime::Network& network) {
    json::object observed{{"network_id", network.id},
                          {"driver", network.driver},
                          {"subnet", network.subnet},
                          {"gateway", network.gateway},
                          {"internal", network.internal}};
    if (!network.subnet6.empty()) {
        observed["ipv6_subnet"] = network.subnet6;
        observed["ipv6_gateway"] = network.gateway6;
    }
    return observed;
}

json::object observed_of(const runtime::Volume& volume) {
    return {{"driver", volume.driver}, {"mountpoint", volume.mountpoint}};
}

json::object observed_of(const runtime::Image& image) {
    return {{"image_id", image.id}, {"size", image.size}};
}

json::object observed_of(const Container& container) {
    json::object networks;
    for (const auto& each : container.networks) {
        json::object addresses{{"ipv4", each.ipv4_seen}};
        if (!each.ipv6_seen.empty()) addresses["ipv6"] = each.ipv6_seen;
        networks[each.network] = std::move(addresses);
    }
    json::object observed{
        {"container_id", container.id},    {"image", container.image},
        {"image_id", container.image_id},  {"restarts", container.restarts},
        {"networks", std::move(networks)}, {"ports", wire::to_json(container.ports)}};
    if (container.started) observed["started"] = format_rfc3339(*container.started);
    if (container.state == ContainerState::exited) {
        observed["exit_code"] = container.exit_code;
        observed["oom_killed"] = container.oom_killed;
        if (container.finished) observed["finished"] = format_rfc3339(*container.finished);
    }
    if (container.health != ContainerHealth::none) {
        static constexpr std::array kNames{"none", "starting", "healthy", "unhealthy"};
        observed["health"] = kNames.at(static_cast<std::size_t>(container.health));
    }
    return observed;
}

// A network's or a volume's.
template <typename Object>
void simple_status(const Wanted& wanted, const Object* object, const Progress& progress,
                   StatusReport& report, Timestamp now) {
    if (object != nullptr) report.observed = observed_of(*object);
    const bool gone = object == nullptr && !progress.busy;  // else it may be being made
    if (wanted.deleting) report.status = gone ? State::deleted : State::deleting;
    if (report.status != State::deleted && obstacle(wanted, progress, report, now)) return;
    if (wanted.deleting) return say_what_it_waits_for(progress, report, now);
    report.status = object == nullptr ? State::pending : State::created;
}

std::string exit_text(const Container& container) {
    auto text = fmt::format("its command ended with exit code {}", container.exit_code);
    if (container.oom_killed) text += ": it needed more memory than its limit";
    if (!container.error.empty()) text += ": " + container.error;
    return text;
}

void running_status(const Container& container, StatusReport& report, Timestamp now) {
    switch (container.health) {
        case ContainerHealth::none:
        case ContainerHealth::healthy:
            report.status = State::running;
            break;
        case ContainerHealth::starting:
            report.status = State::starting;
            say(report, Severity::info, "its health check has not passed yet", now);
            break;
        case ContainerHealth::unhealthy:
            report.status = State::unhealthy;
            say(report, Severity::warning,
                "its health check fails: " +
                    (container.health_output.empty() ? "no output" : container.health_output),
                now);
            break;
    }
}

// Of a container that is as wanted but for running.
void container_status(const WantedWorkspace& wanted, const Container& container,
                      StatusReport& report, Timestamp now) {
    switch (container.state) {
        case ContainerState::running:
            return running_status(container, report, now);
        case ContainerState::paused:
            report.status = State::running;  // that it is paused is told as what was changed
            return;
        case ContainerState::restarting:
            report.status = State::error;
            return say(report, Severity::error,
                       fmt::format("{}; the engine starts it again ({} times so far)",
                                   exit_text(container), container.restarts),
                       now);
        case ContainerState::removing:
        case ContainerState::dead:
            report.status = State::deploying;
            return;
        case ContainerState::created:
            report.status = wanted.running ? State::starting : State::stopped;
            return;
        case ContainerState::exited:
            break;
    }
    report.status = State::stopped;
    if (!wanted.running) return;
    if (starts_again(wanted, container)) {
        report.status = State::starting;
    } else if (container.exit_code != 0) {
        report.status = State::error;
        say(report, Severity::error,
            exit_text(container) + "; its restart policy is \"no\", so it stays stopped", now);
    } else {
        say(report, Severity::info, exit_text(container), now);
    }
}

// What is told whatever its state.
void remarks(const WantedWorkspace& wanted, const Progress& progress, StatusReport& report,
             Timestamp now) {
    const auto applied = std::max(wanted.applied_revision, progress.applied_revision);
    if (applied > 0) report.observed["applied_revision"] = applied;
    if (progress.drift.empty()) return;
    report.observed["drift"] = progress.drift;
    say(report, Severity::warning,
        fmt::format("was changed on the host: {}. It is left so (drift: report): apply or redeploy "
                    "it to have it as it was applied",
                    progress.drift),
        now);
}

std::optional<State> busy_state(Action action, bool running) {
    switch (action) {
        case Action::create_container:
        case Action::rename_container:
        case Action::remove_container:
        case Action::roll_back:
        case Action::update_container:
        case Action::connect_network:
        case Action::disconnect_network:
            return State::deploying;
        case Action::start_container:
        case Action::start_replacement:
        case Action::restart_container:
        case Action::unpause_container:
            return State::starting;
        case Action::stop_container:
            return running ? State::deploying : State::stopping;
        default:
            return std::nullopt;  // goes on as it is meanwhile
    }
}

}  // namespace

StatusReport status_of(const WantedNetwork& wanted, const runtime::Network* network,
                       const Progress& progress, Timestamp now) {
    auto report = report_of(wanted);
    simple_status(wanted, network, progress, report, now);
    return report;
}

StatusReport status_of(const WantedVolume& wanted, const Observed& observed,
                       const Progress& progress, Timestamp now) {
    auto report = report_of(wanted);
    const auto found = observed.volumes.find(wanted.name);
    const bool ours = found != observed.volumes.end() &&
                      label_of(found->second.labels, label::kId) == wanted.key.id;
    simple_status(wanted, ours ? &found->second : nullptr, progress, report, now);
    const auto size = observed.volume_sizes.find(wanted.name);
    if (ours && size != observed.volume_sizes.end()) report.observed["size"] = size->second;
    return report;
}

StatusReport status_of(const WantedImage& wanted, const Observed& observed,
                       const Progress& progress, Timestamp now) {
    auto report = report_of(wanted);
    const runtime::Image* found = nullptr;
    for (const auto& [id, each] : observed.images) {
        if (label_of(each.labels, label::kId) != wanted.key.id) continue;
        if (found == nullptr || label_of(each.labels, label::kSpecHash) == wanted.hash) {
            found = &each;
        }
    }
    if (found != nullptr) report.observed = observed_of(*found);
    if (wanted.pulled || progress.pulled) report.observed["pulled"] = true;
    const auto& forced = progress.forced_pull.empty() ? wanted.forced_pull : progress.forced_pull;
    if (!forced.empty()) report.observed["forced_pull"] = forced;
    const bool gone = found == nullptr && !progress.planned && !progress.busy;
    if (wanted.deleting) report.status = gone ? State::deleted : State::deleting;
    if (report.status != State::deleted && obstacle(wanted, progress, report, now)) {
        return report;
    }
    if (wanted.deleting) {
        say_what_it_waits_for(progress, report, now);
        return report;
    }
    if (progress.busy) {
        report.status = State::building;
        if (!progress.detail.empty()) say(report, Severity::info, progress.detail, now);
    } else {
        report.status = progress.planned ? State::build_pending : State::build_finished;
    }
    return report;
}

StatusReport status_of(const WantedWorkspace& wanted, const Containers& containers,
                       const Progress& progress, Timestamp now) {
    auto report = report_of(wanted);
    const auto found = containers.of(wanted);
    const auto* container = found.current != nullptr ? found.current : found.next;
    // The one that serves, while it is being replaced.
    if (found.next != nullptr && found.next->state == ContainerState::running) {
        container = found.next;
    }
    if (container != nullptr) report.observed = observed_of(*container);
    remarks(wanted, progress, report, now);
    const bool gone = container == nullptr && found.former == nullptr && found.failed == nullptr &&
                      found.others.empty() && !progress.busy;
    if (wanted.deleting) report.status = gone ? State::deleted : State::deleting;
    if (report.status == State::deleted || obstacle(wanted, progress, report, now)) return report;
    if (wanted.deleting) return report;
    if (!progress.waits_for.empty()) {
        report.status = progress.waits_for_image ? State::build_pending : State::deployment_pending;
        say_what_it_waits_for(progress, report, now);
        return report;
    }
    if (progress.busy) {
        if (const auto state = busy_state(*progress.busy, wanted.running)) {
            report.status = *state;
            if (!progress.detail.empty()) say(report, Severity::info, progress.detail, now);
            return report;
        }
    }
    if (container == nullptr) {
        report.status = progress.drift.empty() ? State::deployment_pending : State::error;
    } else if (progress.planned && !progress.busy && container == found.current &&
               (container->state == ContainerState::running ||
                container->state == ContainerState::paused)) {
        // Its turn will come: to be changed, replaced or stopped.
        report.status = wanted.running ? State::deploying : State::stopping;
    } else if (!progress.drift.empty() && container->state == ContainerState::exited) {
        report.status = State::stopped;
    } else {
        container_status(wanted, *container, report, now);
    }
    return report;
}

}  // namespace trailer::reconcile
