#include "reconcile/reconciler.h"

#include <algorithm>
#include <deque>

#include "aio/backoff.h"
#include "aio/signal.h"
#include "aio/task_group.h"
#include "base/log.h"
#include "reconcile/attempts.h"
#include "reconcile/containers.h"
#include "reconcile/execute.h"
#include "reconcile/observer.h"
#include "reconcile/outlook.h"
#include "reconcile/reports.h"
#include "reconcile/schedule.h"
#include "reconcile/status.h"
#include "wire/json.h"

namespace trailer::reconcile {
namespace {

using namespace std::chrono_literals;
using protocol::Health;
using protocol::Kind;
using Clock = std::chrono::steady_clock;

// How long after the last full listing the next one comes, whatever the events said.
constexpr auto kListAnew = 10min;
// What the events name is looked at after this time, so that a burst of them costs one look: a
// container that is started makes several.
constexpr auto kGather = 20ms;
constexpr auto kLookAtDisk = 30s;
constexpr auto kLookAtHost = 250ms;
constexpr auto kProgressEvery = 500ms;
// A step of the engine's own work that takes longer raises the question whether the engine hangs.
constexpr auto kSlowStep = 10s;

bool starts(Action action) {
    return action == Action::start_container || action == Action::restart_container ||
           action == Action::start_replacement || action == Action::roll_back;
}

}  // namespace

class Reconciler::Impl {
  public:
    Impl(runtime::ContainerRuntime& runtime, Options options, Sink sink)
        : runtime_(runtime),
          options_(std::move(options)),
          reports_(std::move(sink)),
          observer_(runtime, options_.own_container_id) {}

    void set_desired(const protocol::DesiredState& desired, Origin origin) {
        observer_.memory().from_cache = origin == Origin::cache;
        // What the former map points to lives until the end.
        const auto former = std::exchange(
            wanted_, std::make_shared<const WantedState>(
                         compile(desired, options_.bounds, wanted_ ? *wanted_ : WantedState{})));
        auto gone = std::exchange(wanted_by_key_, {});
        observer_.set_references(references_of(*wanted_));
        for_each_wanted([&](const auto& each) {
            wanted_by_key_.emplace_hint(wanted_by_key_.end(), each.key, &each);
            const auto found = gone.find(each.key);
            const auto* was = found == gone.end() ? nullptr : found->second;
            if (was == nullptr || was->revision != each.revision) {
                attempts_.forget(each.key);
                abandon(each.key);
                to_tell_.insert(each.key);
            } else if (was->fault != each.fault) {
                to_tell_.insert(each.key);
            }
            if (was != nullptr) gone.erase(found);
        });
        for (const auto& [key, was] : gone) abandon(key);
        if (!gone.empty() || !former) forget_the_unknown();
        if (news_ && observer_.has_news()) news_->notify();
        wake();
    }

    void set_settings(const protocol::HostSettings& settings) {
        limits_ = {.pull = std::chrono::milliseconds{settings.pull_timeout_ms},
                   .build = std::chrono::milliseconds{settings.build_timeout_ms}};
        rules_ = {.leftover_grace = std::chrono::milliseconds{settings.leftover_grace_ms},
                  .collection = settings.collection};
        wake();
    }

    void set_enabled(bool enabled) {
        enabled_ = enabled;
        wake();
    }

    void set_volume_sizes(std::map<std::string, std::int64_t> sizes) {
        observer_.set_volume_sizes(std::move(sizes));
        wake();
    }

    bool wants_volumes() const { return wanted_ && !wanted_->volumes.empty(); }

    void report_all() {
        reports_.tell_again();
        tell_all_ = true;
        wake();
    }

    Task<> run() {
        const auto executor = co_await asio::this_coro::executor;
        wake_.emplace(executor);
        news_.emplace(executor);
        aio::TaskGroup tasks(executor);
        tasks.spawn(watch());
        tasks.spawn(observe());
        tasks.spawn(work(&tasks));
        co_await tasks.join();
    }

    protocol::HostPlan explain(const protocol::DesiredState& desired) {
        if (!observer_.complete()) {
            const auto& reason = engine_.reason;
            return {.fault = reason.empty() ? "the engine has not been looked at yet" : reason};
        }
        const auto wanted = compile(desired, options_.bounds);
        look_at_host(wanted);
        return describe_plan(plan(wanted, observer_.observed(), rules_, now()), wanted);
    }

    runtime::Place place_of(const std::string& workspace_id) const {
        runtime::Place place;
        if (!wanted_) return place;
        for (const auto& each : wanted_->workspaces) {
            if (each.key.id != workspace_id) continue;
            place.wanted = !each.deleting;
            place.name = each.name;
            const auto found = Containers(observer_.observed()).of(each);
            // While it is being replaced, the one that runs is the one to be looked at.
            const auto* container = found.current;
            const bool next_runs =
                found.next != nullptr && found.next->state == runtime::ContainerState::running;
            if (next_runs || container == nullptr) container = found.next;
            if (container != nullptr) place.container = *container;
        }
        return place;
    }

    const protocol::Condition& engine() const { return engine_; }
    const protocol::Condition& reconcile() const { return reconcile_; }
    std::int64_t revision_applied() const { return revision_applied_; }

    protocol::Upkeep upkeep() const {
        protocol::Upkeep upkeep;
        upkeep.leftovers_count = static_cast<std::int64_t>(leftovers_.size());
        const auto most = std::min(leftovers_.size(), protocol::Upkeep::kMostTold);
        upkeep.leftovers.assign(leftovers_.begin(),
                                leftovers_.begin() + static_cast<std::ptrdiff_t>(most));
        upkeep.collected.assign(collected_.begin(), collected_.end());
        upkeep.collected_count = collected_count_;
        upkeep.disk_used_percent = observer_.observed().disk_used_percent;
        return upkeep;
    }

  private:
    void wake() {
        if (wake_) wake_->notify();
    }

    void forget_the_unknown() {
        const auto unknown = [&](const Key& key) { return !wanted_by_key_.contains(key); };
        reports_.forget_if(unknown);
        attempts_.forget_steps_if(unknown);
        std::erase_if(told_setbacks_, [&](const auto& each) { return unknown(each.first); });
        std::erase_if(told_progress_, [&](const auto& each) { return unknown(each.first); });
        std::erase_if(observer_.memory().applied,
                      [&](const auto& each) { return unknown({Kind::workspace, each.first}); });
        std::erase_if(observer_.memory().pulled,
                      [&](const std::string& id) { return unknown({Kind::image, id}); });
    }

    // What a step waits for may take very long: another wish need not wait for its end.
    void abandon(const Key& key) {
        const auto found = busy_.find(key);
        if (found == busy_.end() || found->second.attempt == nullptr) return;
        const auto load = found->second.load;
        if (load == Load::pulling || load == Load::building) found->second.attempt->cancel();
    }

    template <typename Visit>
    void for_each_wanted(Visit visit) const {
        if (!wanted_) return;
        for (const auto& each : wanted_->networks) visit(each);
        for (const auto& each : wanted_->volumes) visit(each);
        for (const auto& each : wanted_->images) visit(each);
        for (const auto& each : wanted_->workspaces) visit(each);
    }

    // --- what the engine tells

    Task<> watch() {
        aio::Backoff backoff(100ms, 5s);
        for (;;) {
            try {
                co_await runtime_.watch([this, &backoff](const runtime::Event& event) {
                    backoff.reset();
                    take(event);
                });
            } catch (const std::exception& e) {
                if (aio::is_cancellation(e)) throw;
                engine_fails(describe(e));
            }
            co_await aio::sleep(backoff.next());
        }
    }

    void take(const runtime::Event& event) {
        observer_.take(event);
        if (event.type == runtime::Event::Type::gap) attempts_.forget_all();
        if (event.action == "destroy" || event.action == "rename") {
            const auto former = event.labels.find("oldName");  // with a '/' before it
            const bool renamed = former != event.labels.end() && !former->second.empty();
            hurry(renamed ? former->second.substr(1) : event.name);
        }
        if (observer_.has_news()) news_->notify();
        if (observer_.has_changes()) wake();
    }

    // Something of this name has gone: what failed over it may do now.
    void hurry(const std::string& name) {
        for_each_wanted([&](const auto& each) {
            if (each.name == name && !busy_.contains(each.key) && attempts_.hurry(each.key)) wake();
        });
    }

    void engine_fails(std::string reason) {
        observer_.missed_events();
        if (set(engine_, Health::failing, std::move(reason))) {
            log::warning("engine: {}", engine_.reason);
        }
    }

    bool set(protocol::Condition& condition, Health health, std::string reason = {}) {
        const bool turned = condition.status != health;
        const bool changed = update(condition, health, std::move(reason));
        if (turned && options_.conditions_changed) options_.conditions_changed();
        return changed;
    }

    // Apart from the loop, so that what the engine takes for its answers holds nothing up.
    Task<> observe() {
        aio::Backoff backoff(100ms, 5s);
        for (;;) {
            std::optional<std::chrono::milliseconds> retry;
            try {
                co_await look();
                backoff.reset();
            } catch (const std::exception& e) {
                if (aio::is_cancellation(e)) throw;
                engine_fails(describe(e));
                retry = backoff.next();
            }
            const auto anew =
                std::chrono::ceil<std::chrono::milliseconds>(listed_ + kListAnew - Clock::now());
            const bool more = co_await news_->wait_for(
                retry.value_or(std::max<std::chrono::milliseconds>(anew, 1ms)));
            if (more && observer_.complete()) co_await aio::sleep(kGather);
        }
    }

    Task<> look() {
        if (Clock::now() - listed_ > kListAnew) observer_.missed_events();
        if (!observer_.has_news()) co_return;
        const bool listed = co_await observer_.look([this](const runtime::Container& container) {
            const auto id = container.labels.find(runtime::label::kId);
            return id != container.labels.end() && busy_.contains({Kind::workspace, id->second});
        });
        if (observer_.has_changes() || held_up_) wake();
        if (!listed) co_return;
        listed_ = Clock::now();
        observer_.memory().images_in_use.clear();
        if (set(engine_, Health::ok)) log::info("engine: answers");
    }

    // --- the loop

    Task<> work(aio::TaskGroup* tasks) {
        for (;;) {
            doubt_slow_steps();
            held_up_ = !wanted_ || !observer_.ready();
            if (!held_up_) round(*tasks);
            co_await wake_->wait_for(until_next());
        }
    }

    // An engine that hangs may keep its event stream open and answer its ping (a deadlock among its
    // locks): that it still lists what it has is what tells.
    void doubt_slow_steps() {
        for (auto& [key, activity] : busy_) {
            if (!is_of_engine(activity.load) || activity.doubted) continue;
            if (Clock::now() - activity.began < kSlowStep) continue;
            activity.doubted = true;
            observer_.missed_events();
            news_->notify();
        }
    }

    void look_at_disk() {
        if (!options_.disk_used_percent) return;
        disk_looked_at_ = Clock::now();
        observer_.set_disk_used(options_.disk_used_percent());
    }

    void round(aio::TaskGroup& tasks) {
        look_at_host(*wanted_);
        if (Clock::now() - disk_looked_at_ > kLookAtDisk) look_at_disk();
        auto planned = plan(*wanted_, observer_.observed(), rules_, now());
        look_again_ = planned.look_again;
        forgive(planned);
        note_leftovers(planned);
        note_applied(planned);
        if (enabled_) begin_steps(planned, tasks);
        report(planned);
        tell_condition(planned);
    }

    // Routes come and go without a word, so they are read anew while they matter; not for each of
    // many networks that are made at once.
    void look_at_host(const WantedState& wanted) {
        if (Clock::now() - host_looked_at_ < kLookAtHost) return;
        if (!options_.host_subnets || !lacks_subnets(wanted, observer_.observed())) return;
        host_looked_at_ = Clock::now();
        observer_.set_host_subnets(options_.host_subnets());
    }

    // What is as wanted has no failure any more. A replacement that has yet to prove itself is not.
    void forgive(const Plan& planned) {
        std::set<Key> unfinished;
        for (const auto& step : planned.steps) unfinished.insert(step.key);
        for (const auto& [key, wait] : planned.waits) unfinished.insert(key);
        unfinished.insert(planned.unproven.begin(), planned.unproven.end());
        const auto done = [&](const Key& key) {
            return !unfinished.contains(key) && !busy_.contains(key);
        };
        attempts_.forget_if(done);
        reports_.settle(done);
    }

    // Since when each is unknown is what the next plan goes by.
    void note_leftovers(Plan& planned) {
        std::map<std::string, Timestamp> since;
        for (const auto& each : planned.leftovers) {
            since[each.object] = each.since;
            if (observer_.memory().unknown_since.contains(each.object)) continue;
            log::warning(
                "{} {} carries our label and belongs to nothing known: it is removed at {}",
                protocol::noun(each.kind), each.name, format_rfc3339(each.removal));
        }
        observer_.memory().unknown_since = std::move(since);
        leftovers_ = std::move(planned.leftovers);
    }

    // What is in force now: what differs later, someone else has changed.
    void note_applied(const Plan& planned) {
        std::set<Key> unfinished;
        for (const auto& step : planned.steps) unfinished.insert(step.key);
        for (const auto& each : wanted_->workspaces) {
            const bool open =
                unfinished.contains(each.key) || busy_.contains(each.key) ||
                planned.waits.contains(each.key) || planned.unproven.contains(each.key) ||
                planned.setbacks.contains(each.key) || planned.drift.contains(each.key) ||
                attempts_.find(each.key) != nullptr || !each.fault.empty() || each.deleting;
            if (!open) observer_.memory().applied[each.key.id] = each.revision;
        }
        for (const auto& [key, text] : planned.setbacks) {
            auto& told = told_setbacks_[key];
            if (told == text) continue;
            log::warning("{}: {}", protocol::noun(key.kind), text);
            told = text;
        }
        std::erase_if(told_setbacks_,
                      [&](const auto& each) { return !planned.setbacks.contains(each.first); });
    }

    void begin_steps(const Plan& planned, aio::TaskGroup& tasks) {
        Room room(options_.width);
        for (const auto& [key, activity] : busy_) {
            room.take(activity.load, Clock::now() - activity.began);
        }
        for (const auto* step : in_order(planned)) {
            if (busy_.contains(step->key) || attempts_.must_wait(step->key)) continue;
            const auto load = load_of(*step);
            if (!room.is_left(load) || attempts_.goes_round(*step)) continue;
            room.take(load);
            busy_[step->key] = {.action = step->action, .load = load, .began = Clock::now()};
            tasks.spawn(run_step(*step, wanted_));
        }
    }

    // `wanted` is what the step points into.
    Task<> run_step(Step step, std::shared_ptr<const WantedState> wanted) {
        log::info("{} {}: {} ({})", protocol::noun(step.key.kind), step.name,
                  wire::to_text(step.action), step.reason.text);
        reports_.remember(step);
        Touched touched;
        std::exception_ptr failure;
        bool abandoned = false;
        aio::TaskGroup attempt(co_await asio::this_coro::executor);
        busy_.at(step.key).attempt = &attempt;
        try {
            refuse_beyond_bounds(step, *wanted);
            attempt.spawn(execute(
                runtime_, step, limits_,
                [this, key = step.key](std::string_view line) { progress(key, line); }, touched));
            co_await attempt.join();
            abandoned = attempt.cancelled();
        } catch (const std::exception& e) {
            busy_.at(step.key).attempt = nullptr;
            if (aio::is_cancellation(e)) throw;
            failure = std::current_exception();
        }
        busy_.at(step.key).attempt = nullptr;
        // Its place is another step's, while its outcome is looked at.
        busy_.at(step.key).load = Load::looking;
        wake();
        try {
            co_await observer_.look_at(touched);
        } catch (const std::exception& e) {
            if (aio::is_cancellation(e)) throw;
            engine_fails(describe(e));
        }
        busy_.erase(step.key);
        if (failure) {
            failed(step, failure);
        } else if (!abandoned) {
            note_done(step, touched);
        }
        // What the engine told meanwhile, and what could not be looked at.
        if (observer_.has_news()) news_->notify();
        wake();
    }

    // At each start: what a link leads to may have changed since the state was compiled.
    void refuse_beyond_bounds(const Step& step, const WantedState& wanted) const {
        std::vector<std::string> paths;
        std::vector<std::string> volumes;
        if (step.action == Action::create_container) {
            using Type = runtime::ContainerMount::Type;
            for (const auto& each : step.spec->mounts) {
                if (each.type == Type::bind) paths.push_back(each.source);
                if (each.type == Type::volume) volumes.push_back(each.source);
            }
        } else if (starts(step.action)) {
            const auto& started = step.action == Action::roll_back ? step.replaces : step.object;
            const auto& containers = observer_.observed().containers;
            const auto found = containers.find(started);
            if (found == containers.end()) return;
            paths = binds_of(found->second);
            volumes = found->second.volumes;
        }
        for (const auto& each : wanted.volumes) {
            if (std::ranges::find(volumes, each.name) == volumes.end()) continue;
            auto path = protocol::bound_path(each.desired.spec);
            if (!path.empty()) paths.push_back(std::move(path));
        }
        const auto fault = fault_of_binds(paths, options_.bounds);
        if (!fault.empty()) throw Error(ErrorKind::forbidden, "{}", fault);
    }

    void note_done(const Step& step, const Touched& touched) {
        auto& memory = observer_.memory();
        if (!touched.forced_pull.empty()) memory.forced_pulls[step.key.id] = touched.forced_pull;
        if (touched.pulled) memory.pulled.insert(step.key.id);
        if (!touched.image_in_use.empty()) memory.images_in_use.insert(touched.image_in_use);
        if (!touched.unstartable.empty()) memory.unstartable.insert(touched.unstartable);
        if (!touched.image_gone) return;
        collected_.push_front({.at = now(),
                               .kind = Kind::image,
                               .name = step.name,
                               .reason = step.reason.text,
                               .bytes = step.bytes});
        if (collected_.size() > protocol::Upkeep::kMostTold) collected_.pop_back();
        ++collected_count_;
        look_at_disk();
    }

    void progress(const Key& key, std::string_view line) {
        const auto activity = busy_.find(key);
        if (activity == busy_.end()) return;
        activity->second.detail = std::string(line.substr(0, 200));
        // It pulls: others need not wait for its registry.
        if (activity->second.action == Action::create_container) {
            activity->second.load = Load::pulling;
        }
        if (Clock::now() - activity->second.detail_told < kProgressEvery) return;
        activity->second.detail_told = Clock::now();
        wake();
    }

    void failed(const Step& step, const std::exception_ptr& why) {
        auto kind = ErrorKind::internal;
        try {
            std::rethrow_exception(why);
        } catch (const Error& e) {
            kind = e.kind();
        } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): of no kind
        }
        const bool of_the_engine =
            step.action != Action::pull_image && step.action != Action::build_image;
        const bool hung = of_the_engine && kind == ErrorKind::timeout;
        // A registry may be what was away.
        const bool away = of_the_engine && kind == ErrorKind::unavailable && !step.may_pull;
        const bool engine_away = away || (hung && engine_.status == Health::failing);
        // Whether it is the engine or this one object of it that does not answer: a look tells.
        if (away || hung) observer_.missed_events();
        attempts_.fail(step, describe(why)).engine_away = engine_away;
    }

    std::chrono::milliseconds until_next() const {
        auto next = Clock::now() + kListAnew;
        const auto idle = [this](const Key& key) { return !busy_.contains(key); };
        if (const auto retry = attempts_.next(idle)) next = std::min(next, *retry);
        for (const auto& [key, activity] : busy_) {
            const auto brief = activity.began + Room::kBriefStop;
            if (activity.load == Load::stopping && brief > Clock::now())
                next = std::min(next, brief);
            if (is_of_engine(activity.load) && !activity.doubted)
                next = std::min(next, activity.began + kSlowStep);
        }
        auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
        if (look_again_) wait = std::min(wait, *look_again_ - now());
        return std::max(wait, 1ms);
    }

    // --- what others are told

    // Of what may have changed: what is seen otherwise than at the last time, and what stirs now or
    // did then. With hundreds of resources the telling would cost more than the planning.
    void report(const Plan& planned) {
        const auto& observed = observer_.observed();
        const Outlook outlook(planned, busy_, attempts_, observed.memory, wanted_by_key_);
        const Containers containers(observed);
        std::map<std::string, const runtime::Network*> networks;  // by resource's id
        for (const auto& [id, each] : observed.networks) {
            networks[runtime::label_of(each.labels, runtime::label::kId)] = &each;
        }
        const auto changes = observer_.take_changes();
        const bool all = std::exchange(tell_all_, false) || changes.everything;
        const auto wanted_anew = std::exchange(to_tell_, {});
        const auto before = std::exchange(stirring_, outlook.stirring());
        const auto tell = [&](const auto& wanted, const auto& seen) {
            const auto& key = wanted.key;
            const bool changed =
                all || changes.resources.contains(key.id) || wanted_anew.contains(key);
            if (!changed && !stirring_.contains(key) && !before.contains(key)) return;
            auto progress = outlook.of(wanted);
            auto& told = told_progress_[key];
            if (!changed && told == progress) return;
            reports_.send(key, status_of(wanted, seen, progress, now()));
            told = std::move(progress);
        };
        for (const auto& each : wanted_->networks) tell(each, networks[each.key.id]);
        for (const auto& each : wanted_->volumes) tell(each, observed);
        for (const auto& each : wanted_->images) tell(each, observed);
        for (const auto& each : wanted_->workspaces) tell(each, containers);
    }

    void tell_condition(const Plan& planned) {
        std::size_t failing = 0;
        std::size_t all = 0;
        std::string first;
        for_each_wanted([&](const auto& each) {
            ++all;
            const auto* failure = told_failure(attempts_, each.key);
            const auto setback = planned.setbacks.find(each.key);
            const auto text = !each.fault.empty() && !each.deleting ? each.fault
                              : failure != nullptr                  ? failure->text
                              : setback != planned.setbacks.end()   ? setback->second
                                                                    : "";
            if (text.empty()) return;
            if (failing++ == 0) {
                first = fmt::format("{} {}: {}", protocol::noun(each.key.kind), each.name, text);
            }
        });
        if (!enabled_) {
            set(reconcile_, Health::unknown, "this host is disabled");
        } else if (failing == 0) {
            set(reconcile_, Health::ok);
        } else {
            set(reconcile_, Health::failing,
                fmt::format("{} of {} resources are not as wanted: {}", failing, all, first));
        }
        if (planned.steps.empty() && planned.waits.empty() && busy_.empty() && failing == 0 &&
            planned.unproven.empty()) {
            revision_applied_ = wanted_->revision;
        }
    }

    runtime::ContainerRuntime& runtime_;
    Options options_;
    Reports reports_;
    Observer observer_;
    TimeLimits limits_;
    HostRules rules_;
    std::vector<protocol::Leftover> leftovers_;
    std::deque<protocol::Collected> collected_;  // the newest first
    std::int64_t collected_count_ = 0;
    std::map<Key, std::string> told_setbacks_;
    bool enabled_ = true;
    std::shared_ptr<const WantedState> wanted_;
    std::map<Key, const Wanted*> wanted_by_key_;
    std::optional<aio::Signal> wake_;
    std::optional<aio::Signal> news_;  // for observe()
    // The loop was woken and could not plan yet: the next look wakes it, whatever it sees. Not
    // asked before a look: a wish that comes during one holds the loop up as well.
    bool held_up_ = true;
    Clock::time_point listed_{};
    Clock::time_point disk_looked_at_{};
    Clock::time_point host_looked_at_{};
    std::optional<Timestamp> look_again_;
    std::map<Key, Activity> busy_;
    Attempts attempts_;
    std::set<Key> to_tell_;  // what is wanted of them has changed
    bool tell_all_ = false;
    std::set<Key> stirring_;                 // when it was told last
    std::map<Key, Progress> told_progress_;  // likewise
    protocol::Condition engine_;
    protocol::Condition reconcile_;
    std::int64_t revision_applied_ = 0;
};

Reconciler::Reconciler(runtime::ContainerRuntime& runtime, Options options, Sink sink)
    : impl_(std::make_unique<Impl>(runtime, std::move(options), std::move(sink))) {}
Reconciler::~Reconciler() = default;

void Reconciler::set_desired(const protocol::DesiredState& desired, Origin origin) {
    impl_->set_desired(desired, origin);
}
void Reconciler::set_settings(const protocol::HostSettings& settings) {
    impl_->set_settings(settings);
}
void Reconciler::set_enabled(bool enabled) {
    impl_->set_enabled(enabled);
}
void Reconciler::set_volume_sizes(std::map<std::string, std::int64_t> sizes) {
    impl_->set_volume_sizes(std::move(sizes));
}
bool Reconciler::wants_volumes() const {
    return impl_->wants_volumes();
}
void Reconciler::report_all() {
    impl_->report_all();
}
Task<> Reconciler::run() {
    return impl_->run();
}
protocol::HostPlan Reconciler::explain(const protocol::DesiredState& desired) const {
    return impl_->explain(desired);
}
runtime::Place Reconciler::place_of(const std::string& workspace_id) const {
    return impl_->place_of(workspace_id);
}
protocol::Upkeep Reconciler::upkeep() const {
    return impl_->upkeep();
}
const protocol::Condition& Reconciler::engine() const {
    return impl_->engine();
}
const protocol::Condition& Reconciler::reconcile() const {
    return impl_->reconcile();
}
std::int64_t Reconciler::revision_applied() const {
    return impl_->revision_applied();
}

}  // namespace trailer::reconcile
