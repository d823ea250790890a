#include "agent/life.h"

#include "agent/host_subnets.h"
#include "agent/identity.h"
#include "agent/oom.h"
#include "agent/own_container.h"
#include "agent/volume_meter.h"
#include "base/log.h"
#include "wire/json.h"

namespace trailer::agent {
namespace {

using namespace std::chrono_literals;

// An engine that is upgraded restarts, and is looked at then; this is for what changes silently,
// such as a network interface.
constexpr auto kLookAtEngine = 10min;

constexpr auto kProvenSession = 10s;
// So soon has the first volume of a host its size; how often they are measured is VolumeMeter's.
constexpr auto kLookForVolumes = 5s;
constexpr auto kBeforeSaving = 300ms;

reconcile::Options reconcile_options(const config::Config& config, std::string own_container,
                                     std::filesystem::path root) {
    reconcile::Options options;
    auto& bounds = options.bounds;
    static_cast<protocol::HostBounds&>(bounds) = bounds_of(config);
    bounds.unseen_bind_roots =
        unseen_directories(bounds.allowed_bind_roots, config.docker_host, root);
    bounds.network_pools = config.bounds.network_pools;
    bounds.network_pool_prefix = static_cast<int>(config.bounds.network_pool_prefix);
    options.host_subnets = [root = std::move(root)] { return host_subnets(root); };
    options.own_container_id = std::move(own_container);
    return options;
}

}  // namespace

Life::Life(asio::any_io_executor executor, AgentOptions options)
    : executor_(std::move(executor)),
      options_(std::move(options)),
      state_(options_.config.state_directory),
      key_(state_.key()),
      machine_id_(machine_id(options_.root)),
      runtime_(options_.make_runtime(executor_, options_.config)),
      server_(executor_, options_.config.server_url),
      sender_(executor_, server_, [this] { register_again_.notify(); }),
      realtime_(server_, realtime_handlers()),
      session_pool_(executor_, server_, [this] { register_again_.notify(); }),
      sampler_(options_.root / "proc", options_.root / "sys"),
      gpus_(executor_, options_.nvidia_library, [this] { host_looked_at_.notify(); }),
      host_looked_at_(executor_),
      look_at_engine_(executor_),
      register_again_(executor_),
      enabled_changed_(executor_),
      heartbeat_now_(executor_),
      poll_now_(executor_),
      plan_asked_(executor_),
      save_(executor_) {}

Task<> Life::run() {
    aio::TaskGroup tasks(executor_);
    tasks.spawn(watch_engine());
    tasks.spawn(gpus_.run());
    tasks.spawn(begin(&tasks));
    co_await tasks.join();
}

Task<> Life::begin(aio::TaskGroup* tasks) {
    auto own_container = co_await find_own_container();
    start_reconciler(std::move(own_container));
    sessions_ = std::make_unique<sessions::Sessions>(executor_, *runtime_, session_options());
    tasks->spawn(connect());
    tasks->spawn(reconciler_->run());
    tasks->spawn(sessions_->run());
    tasks->spawn(measure_volumes());
    tasks->spawn(keep_state());
}

// A full ID is taken as it stands: were it another's, it would name no object of ours. A host name
// is the beginning of the ID only if the engine says so, and until it does nothing may be touched.
Task<std::string> Life::find_own_container() {
    const auto candidates = own_container_candidates(options_.root);
    if (candidates.empty()) co_return "";
    for (const auto& candidate : candidates) {
        if (is_container_id(candidate)) {
            log::info("running in container {}", candidate.substr(0, 12));
            co_return candidate;
        }
    }
    aio::Backoff backoff;
    std::string last_failure;
    for (;;) {
        try {
            const auto found = co_await runtime_->find_container(candidates.front());
            co_return found && found->id.starts_with(candidates.front()) ? found->id : "";
        } catch (const std::exception& e) {
            if (aio::is_cancellation(e)) throw;
            if (auto text = describe(e); text != last_failure) {
                log::warning("looking for the agent's own container: {}", text);
                last_failure = std::move(text);
            }
        }
        co_await aio::sleep(backoff.next());
    }
}

void Life::start_reconciler(std::string own_container_id) {
    auto options = reconcile_options(options_.config, std::move(own_container_id), options_.root);
    options.disk_used_percent = [this] { return engine_disk_used(); };
    options.conditions_changed = [this] { heartbeat_now_.notify(); };
    reconciler_ = std::make_unique<reconcile::Reconciler>(
        *runtime_, std::move(options),
        [this](protocol::StatusReport report) { sender_.push(std::move(report)); });
    if (auto record = state_.load_host()) record_ = std::move(*record);
    reconciler_->set_settings(record_.settings);
    reconciler_->set_enabled(record_.enabled);
    if (auto desired = state_.load_desired()) {
        log::info("going on from what was last known: revision {}, {} workspaces",
                  desired->revision, desired->workspaces.size());
        // desired_ stays as it is: the server knows better which of these were in force, and until
        // it has told, what is to be told of its drift is not repaired.
        reconciler_->set_desired(*desired, reconcile::Origin::cache);
    }
}

sessions::Options Life::session_options() {
    sessions::Options options;
    options.find = [this](const std::string& workspace_id) {
        return reconciler_->place_of(workspace_id);
    };
    options.proc = options_.root / "proc";
    options.log_file = options_.log_file;
    options.commands = options_.config.state_directory / "commands";
    return options;
}

std::optional<double> Life::engine_disk_used() const {
    if (!engine_ || engine_->root_directory.empty()) return std::nullopt;
    const auto inside = std::filesystem::path(engine_->root_directory).relative_path();
    return metrics::disk_used_percent(options_.root / inside);
}

Task<> Life::watch_engine() {
    aio::Backoff backoff;
    for (;;) {
        std::chrono::milliseconds wait = kLookAtEngine;
        try {
            engine_ = co_await runtime_->info();
            engine_fault_.clear();
            backoff.reset();
        } catch (const std::exception& e) {
            if (aio::is_cancellation(e)) throw;
            engine_fault_ = describe(e);  // the reconciler's condition tells it to people
            wait = backoff.next();
        }
        host_looked_at_.notify();
        co_await look_at_engine_.wait_for(wait);
    }
}

// Off the loop's thread, for a slow disk; a burst of changes is written once. A failure is told and
// tried again: it costs nothing but the start without a server.
Task<> Life::keep_state() {
    aio::Backoff backoff(1s, 60s);
    std::string last_failure;
    for (;;) {
        co_await save_.wait();
        co_await let_others_write_first();
        // Shared, because the thread may outlive this coroutine when the process is made to end.
        const auto snapshot = std::make_shared<const Snapshot>(take_unsaved());
        try {
            auto work = [this, snapshot] { save(*snapshot); };
            co_await disk_.run(std::move(work));
            backoff.reset();
            last_failure.clear();
            continue;
        } catch (const std::exception& e) {
            if (aio::is_cancellation(e)) throw;
            if (auto text = describe(e); text != last_failure) {
                log::warning("keeping what the server told: {}", text);
                last_failure = std::move(text);
            }
        }
        unsaved_.host = unsaved_.host || snapshot->host;
        unsaved_.desired = unsaved_.desired || snapshot->desired;
        co_await aio::sleep(backoff.next());
        save_.notify();
    }
}

// As it is now, which may be newer than what it was to be written for.
Life::Snapshot Life::take_unsaved() {
    const auto unsaved = std::exchange(unsaved_, {});
    Snapshot snapshot;
    if (unsaved.host) snapshot.host = record_;
    if (unsaved.desired) snapshot.desired = desired_.state();
    return snapshot;
}

void Life::save(const Snapshot& snapshot) {
    if (snapshot.host) state_.save_host(wire::to_json_text(*snapshot.host));
    if (snapshot.desired) state_.save_desired(wire::to_json_text(*snapshot.desired));
}

// What has just been told is about to be done: the engine and the server want the disk for it, and
// what is kept is for another start.
Task<> Life::let_others_write_first() {
    std::exception_ptr cancelled;
    try {
        co_await aio::sleep(kBeforeSaving);
    } catch (const std::exception&) {
        cancelled = std::current_exception();
    }
    if (!cancelled) co_return;
    try {
        save(take_unsaved());
    } catch (const std::exception& e) {
        log::warning("keeping what the server told: {}", describe(e));
    }
    std::rethrow_exception(cancelled);
}

Task<> Life::measure_volumes() {
    VolumeMeter meter(*runtime_);
    for (;;) {
        co_await aio::sleep(kLookForVolumes);
        if (!record_.settings.metrics.volumes || !reconciler_->wants_volumes()) continue;
        if (reconciler_->engine().status != protocol::Health::ok || !meter.due()) continue;
        if (auto sizes = co_await meter.measure()) {
            reconciler_->set_volume_sizes(std::move(*sizes));
        }
    }
}

Task<> Life::connect() {
    aio::Backoff backoff;
    for (;;) {
        co_await register_until_accepted();
        const auto begun = std::chrono::steady_clock::now();
        co_await session();
        // A server that takes the registration and then not the token must not be hammered.
        if (std::chrono::steady_clock::now() - begun > kProvenSession) {
            backoff.reset();
        } else {
            co_await aio::sleep(backoff.next());
        }
    }
}

// Until the server no longer knows our token, or what it was told of this host has changed. What is
// under way ends here, so that no request goes out with the old token.
Task<> Life::session() {
    aio::TaskGroup tasks(executor_);
    tasks.spawn(heartbeat());
    tasks.spawn(serve());
    tasks.spawn(until_rejected(&tasks));
    tasks.spawn(until_facts_change(&tasks));
    co_await tasks.join();
}

Task<> Life::until_rejected(aio::TaskGroup* session) {
    co_await register_again_.wait();
    session->cancel();
}

Task<> Life::until_facts_change(aio::TaskGroup* session) {
    while (facts() == facts_told_) co_await host_looked_at_.wait();
    log::info("what this host can do has changed: telling the server");
    session->cancel();
}

HostFacts Life::facts() const {
    return host_facts(options_.config, engine_, gpus_.gpus(), options_.root);
}

Task<> Life::serve() {
    for (;;) {
        while (!record_.enabled) co_await enabled_changed_.wait();
        aio::TaskGroup tasks(executor_);
        tasks.spawn(poll());
        tasks.spawn(realtime_.run());
        tasks.spawn(sender_.run());
        tasks.spawn(answer_plans());
        tasks.spawn(session_pool_.run(sessions_.get()));
        tasks.spawn(until_disabled(&tasks));
        co_await tasks.join();
    }
}

Task<> Life::until_disabled(aio::TaskGroup* serving) {
    while (record_.enabled) co_await enabled_changed_.wait();
    serving->cancel();
}

Task<> run_agent(AgentOptions options) {
    lower_oom_score(options.root / "proc");
    Life life(co_await asio::this_coro::executor, std::move(options));
    co_await life.run();
}

}  // namespace trailer::agent
