#include "agent/life.h"
#include "agent/oom.h"
#include "aio/periodic.h"
#include "base/log.h"

namespace trailer::agent {
namespace {

constexpr std::size_t kMostPlans = 16;

// Whatever the server says, the loops neither spin nor fall asleep.
std::chrono::milliseconds bounded(std::int64_t interval_ms) {
    constexpr std::int64_t kShortest = 100;
    constexpr std::int64_t kLongest = 3'600'000;
    return std::chrono::milliseconds{std::clamp(interval_ms, kShortest, kLongest)};
}

}  // namespace

Task<> Life::heartbeat() {
    aio::PeriodicTask task;
    task.name = "heartbeat";
    task.period = [this] { return bounded(record_.settings.heartbeat_interval_ms); };
    task.now = &heartbeat_now_;
    task.failed = [this](const std::exception& e) { register_again_after(e); };
    co_await aio::run_periodically(std::move(task), [this] { return heartbeat_once(); });
}

Task<> Life::heartbeat_once() {
    protocol::HeartbeatRequest request;
    if (record_.settings.metrics.gpus) {
        request.metrics.gpus = co_await gpus_.measure();
    } else {
        gpus_.rest();
    }
    request.clock = now();  // when it goes out: measuring takes a while
    request.engine = reconciler_->engine();
    request.reconcile = reconciler_->reconcile();
    request.revision = reconciler_->revision_applied();
    request.upkeep = reconciler_->upkeep();
    if (record_.settings.metrics.host) {
        try {
            request.metrics.host = sampler_.sample();
            metrics_fault_.clear();
        } catch (const std::exception& e) {
            // The heartbeat matters more than what it carries.
            if (auto text = describe(e); text != metrics_fault_) {
                log::warning("measuring this host: {}", text);
                metrics_fault_ = std::move(text);
            }
        }
    }
    const auto engine_health = request.engine.status;
    const auto answer = co_await server_.heartbeat(std::move(request));
    apply(answer.enabled, answer.settings, answer.revision);
    // An engine that is back may be another version.
    if (std::exchange(engine_health_, engine_health) == protocol::Health::failing &&
        engine_health == protocol::Health::ok) {
        look_at_engine_.notify();
    }
    give_memory_back();
}

Task<> Life::poll() {
    aio::PeriodicTask task;
    task.name = "desired state";
    task.period = [this] { return bounded(record_.settings.reconcile_interval_ms); };
    task.now = &poll_now_;
    task.failed = [this](const std::exception& e) { register_again_after(e); };
    co_await aio::run_periodically(std::move(task), [this] { return poll_once(); });
}

Task<> Life::poll_once() {
    auto answer = co_await server_.desired_state(desired_.revision(), desired_.history());
    if (!answer) co_return;
    log::debug("desired state: revision {}", answer->revision);
    desired_.take(std::move(*answer));
    reconciler_->set_desired(desired_.state());
    unsaved_.desired = true;
    save_.notify();
}

Task<> Life::answer_plans() {
    for (;;) {
        while (!plans_asked_.empty()) {
            const auto id = plans_asked_.front();
            plans_asked_.pop_front();
            try {
                co_await answer_plan(id);
            } catch (const std::exception& e) {
                if (aio::is_cancellation(e)) throw;
                log::warning("answering what a dry run would do: {}", describe(e));
                register_again_after(e);
            }
        }
        co_await plan_asked_.wait();
    }
}

Task<> Life::answer_plan(std::int64_t id) {
    const auto question = co_await server_.plan_question(id);
    auto plan = reconciler_->explain(question);
    co_await server_.answer_plan(id, std::move(plan));
}

Realtime::Handlers Life::realtime_handlers() {
    Realtime::Handlers handlers;
    handlers.opened = [this] {
        heartbeat_now_.notify();  // a server that has just started knows nothing of us
        poll_now_.notify();
        session_pool_.set_online(true);
    };
    handlers.closed = [this] { session_pool_.set_online(false); };
    handlers.session_asked = [this] { session_pool_.want_more(); };
    handlers.trunk_asked = [this] { session_pool_.want_trunk(); };
    handlers.nudged = [this](std::int64_t revision) {
        if (revision != desired_.revision()) poll_now_.notify();
    };
    handlers.settings_changed = [this] { heartbeat_now_.notify(); };
    handlers.plan_asked = [this](std::int64_t id) {
        // Who asks does not wait for long: of too many, the oldest have given up.
        if (plans_asked_.size() >= kMostPlans) plans_asked_.pop_front();
        plans_asked_.push_back(id);
        plan_asked_.notify();
    };
    handlers.unauthenticated = [this] { register_again_.notify(); };
    return handlers;
}

// The server's word about this host, from whatever answer it came with: in force at once.
void Life::apply(bool enabled, const protocol::HostSettings& settings, std::int64_t wanted) {
    const bool new_settings = settings != record_.settings;
    const bool new_enabled = enabled != record_.enabled;
    if (new_settings) {
        log::info("settings: heartbeat every {}, poll every {}",
                  format_duration(bounded(settings.heartbeat_interval_ms)),
                  format_duration(bounded(settings.reconcile_interval_ms)));
        record_.settings = settings;
        reconciler_->set_settings(settings);
        poll_now_.notify();  // its wait under way was for the old interval
    }
    if (new_enabled) {
        log::info("this host is {}", enabled ? "enabled"
                                             : "disabled: its workspaces are left as "
                                               "they are");
        record_.enabled = enabled;
        reconciler_->set_enabled(enabled);
        enabled_changed_.notify();
    }
    if (new_settings || new_enabled) {
        unsaved_.host = true;
        save_.notify();
    }
    if (wanted != desired_.revision()) poll_now_.notify();
}

void Life::register_again_after(const std::exception& failure) {
    const auto* error = dynamic_cast<const Error*>(&failure);
    if (error == nullptr) return;
    if (error->kind() == ErrorKind::unauthenticated ||
        dynamic_cast<const RegistrationRefused*>(error) != nullptr) {
        register_again_.notify();
    }
}

}  // namespace trailer::agent
