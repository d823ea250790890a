#include "reconcile/reconciler.h"

#include <algorithm>
#include <deque>

#include "aio/backoff.h"
#include "aio/signal.h"
#include "aio/task_group.h"
#include "base/log.h"
#include "reconcile/containers.h"
#include "reconcile/execute.h"
#include "reconcile/observer.h"
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
constexpr auto kFirstRetry = 1s;
constexpr auto kLastRetry = 60s;
// Steps that mostly wait for something else than the engine are bounded apart.
constexpr std::size_t kWaitingSteps = 32;
// A stop that takes longer waits for its process, and leaves the engine to others.
constexpr auto kBriefStop = 500ms;
constexpr std::size_t kBuilds = 2;
// A registry that does not answer takes its pulls' places for long, and engines download few layers
// at once whatever they are asked for: so this bounds no more than memory.
constexpr std::size_t kPulls = 500;
constexpr auto kLookAtDisk = 30s;
constexpr auto kProgressEvery = 500ms;
// A step that is planned again right after it was done: something undoes it, or it has no effect.
constexpr int kMostRepeats = 3;
constexpr auto kSoon = 700ms;  // less than the shortest wait, so that a try after it counts anew
constexpr std::size_t kMostRemembered = 12;

enum class Load { engine, stopping, waiting, pulling, building };

Load load_of(const Step& step) {
    switch (step.action) {
        case Action::stop_container:
        case Action::restart_container:
        case Action::start_replacement:
        case Action::roll_back:
            return Load::stopping;
        case Action::remove_container:
            return step.stop_first ? Load::stopping : Load::engine;
        case Action::pull_image:
            return Load::pulling;
        case Action::build_image:
            return Load::building;
        default:
            return Load::engine;
    }
}

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
          sink_(std::move(sink)),
          observer_(runtime, options_.own_container_id) {}

    void set_desired(protocol::DesiredState desired, Origin origin) {
        observer_.memory().from_cache = origin == Origin::cache;
        std::map<Key, std::int64_t> before;
        for_each_wanted([&](const auto& each) { before[each.key] = each.revision; });
        auto wanted = std::make_shared<const WantedState>(compile(desired, options_.bounds));
        wanted_ = std::move(wanted);
        observer_.set_references(references_of(*wanted_));
        std::set<Key> known;
        for_each_wanted([&](const auto& each) {
            known.insert(each.key);
            const auto found = before.find(each.key);
            if (found != before.end() && found->second == each.revision) {
                before.erase(found);
                return;
            }
            failures_.erase(each.key);
        });
        for (const auto& [key, revision] : before) abandon(key);
        const auto unknown = [&](const auto& each) { return !known.contains(each.first); };
        std::erase_if(reported_, unknown);
        std::erase_if(told_setbacks_, unknown);
        const auto unknown_id = [&](const auto& each) {
            return !known.contains({Kind::workspace, each.first});
        };
        std::erase_if(observer_.memory().applied, unknown_id);
        const auto unknown_image = [&](const std::string& id) {
            return !known.contains({Kind::image, id});
        };
        std::erase_if(observer_.memory().pulled, unknown_image);
        std::erase_if(last_plans_, unknown);
        std::erase_if(last_steps_, unknown);
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
        reported_.clear();
        wake();
    }

    Task<> run() {
        const auto executor = co_await asio::this_coro::executor;
        wake_.emplace(executor);
        aio::TaskGroup tasks(executor);
        tasks.spawn(watch());
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
    struct Activity {
        Action action{};
        Load load{};
        Clock::time_point began;
        std::string detail;
        Clock::time_point detail_told{};
        aio::TaskGroup* attempt = nullptr;
    };
    struct Failure {
        std::string text;
        int attempts = 0;
        Clock::time_point next_try{};
        std::chrono::milliseconds wait{0};
        // The engine did not answer: that is told of the engine, not of each resource.
        bool engine_away = false;
    };

    void wake() {
        if (wake_) wake_->notify();
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
        bool matters = observer_.take(event);
        if (event.type == runtime::Event::Type::gap) failures_.clear();
        if (event.action == "destroy" || event.action == "rename") {
            const auto former = event.labels.find("oldName");  // with a '/' before it
            const bool renamed = former != event.labels.end() && !former->second.empty();
            matters = hurry(renamed ? former->second.substr(1) : event.name) || matters;
        }
        if (matters) wake();
    }

    // Something of this name has gone: what failed over it may do now.
    bool hurry(const std::string& name) {
        bool found = false;
        for_each_wanted([&](const auto& each) {
            if (each.name != name) return;
            const auto failure = failures_.find(each.key);
            if (failure == failures_.end() || busy_.contains(each.key)) return;
            // Our own attempts make events too: they must not undo their own wait.
            if (Clock::now() - failure->second.next_try + failure->second.wait < 500ms) return;
            failure->second.next_try = {};
            found = true;
        });
        return found;
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

    // --- the loop

    Task<> work(aio::TaskGroup* tasks) {
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
            if (observer_.complete()) round(*tasks);
            co_await wake_->wait_for(retry.value_or(until_next()));
        }
    }

    Task<> look() {
        if (Clock::now() - listed_ > kListAnew) observer_.missed_events();
        if (!observer_.has_news()) co_return;
        const bool listing = !observer_.complete();
        co_await observer_.look([this](const runtime::Container& container) {
            const auto id = container.labels.find(runtime::label::kId);
            return id != container.labels.end() && busy_.contains({Kind::workspace, id->second});
        });
        if (!listing) co_return;
        listed_ = Clock::now();
        observer_.memory().images_in_use.clear();
        if (set(engine_, Health::ok)) log::info("engine: answers");
    }

    void look_at_disk() {
        if (!options_.disk_used_percent) return;
        disk_looked_at_ = Clock::now();
        observer_.set_disk_used(options_.disk_used_percent());
    }

    void round(aio::TaskGroup& tasks) {
        if (!wanted_) return;
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

    // Routes come and go without a word, so they are read anew whenever they matter.
    void look_at_host(const WantedState& wanted) {
        if (!options_.host_subnets || !lacks_subnets(wanted, observer_.observed())) return;
        observer_.set_host_subnets(options_.host_subnets());
    }

    // What is as wanted has no failure any more. A replacement that has yet to prove itself is not.
    void forgive(const Plan& planned) {
        std::set<Key> unfinished;
        for (const auto& step : planned.steps) unfinished.insert(step.key);
        for (const auto& [key, wait] : planned.waits) unfinished.insert(key);
        unfinished.insert(planned.unproven.begin(), planned.unproven.end());
        const auto done = [&](const auto& each) {
            return !unfinished.contains(each.first) && !busy_.contains(each.first);
        };
        std::erase_if(failures_, done);
        std::erase_if(in_work_, [&](const Key& key) {
            return !unfinished.contains(key) && !busy_.contains(key);
        });
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
                failures_.contains(each.key) || !each.fault.empty() || each.deleting;
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
        std::map<Load, std::size_t> loads;
        for (const auto& [key, activity] : busy_) ++loads[load_now(activity)];
        const std::map<Load, std::size_t> most{{Load::engine, options_.width},
                                               {Load::stopping, options_.width},
                                               {Load::pulling, kPulls},
                                               {Load::building, kBuilds}};
        for (const auto& step : planned.steps) {
            if (!step.after.empty() || busy_.contains(step.key)) continue;
            const auto failure = failures_.find(step.key);
            if (failure != failures_.end() && failure->second.next_try > Clock::now()) continue;
            const auto load = load_of(step);
            auto& under_way = loads[load == Load::stopping ? Load::engine : load];
            if (under_way >= most.at(load)) continue;
            if (load == Load::stopping && loads[Load::waiting] >= kWaitingSteps) continue;
            if (goes_round(step)) continue;
            ++under_way;
            busy_[step.key] = {.action = step.action, .load = load, .began = Clock::now()};
            tasks.spawn(run_step(step, wanted_));
        }
    }

    // A stop is work for the engine where the process ends at once, and a wait where it does not.
    static Load load_now(const Activity& activity) {
        if (activity.load != Load::stopping) return activity.load;
        return Clock::now() - activity.began < kBriefStop ? Load::engine : Load::waiting;
    }

    // Notes that the step is begun. True when it has been again and again, soon after one another:
    // it must wait.
    bool goes_round(const Step& step) {
        auto& last = last_steps_[step.key];
        const auto name = fmt::format("{} {} {} {}", wire::to_text(step.action), step.object,
                                      step.attachment.network, step.reason);
        const auto time = Clock::now();
        if (last.name != name || time - last.at > kSoon) last = {.name = name};
        last.at = time;
        if (++last.times <= kMostRepeats) return false;
        last = {};
        fail(step, fmt::format("{} ({}) was done {} times and did not last: does someone else "
                               "change it too?",
                               wire::to_text(step.action), step.reason, kMostRepeats));
        return true;
    }

    // `wanted` is what the step points into.
    Task<> run_step(Step step, std::shared_ptr<const WantedState> wanted) {
        log::info("{} {}: {} ({})", protocol::noun(step.key.kind), step.name,
                  wire::to_text(step.action), step.reason);
        remember(step);
        Touched touched;
        std::exception_ptr failure;
        bool abandoned = false;
        aio::TaskGroup attempt(co_await asio::this_coro::executor);
        busy_.at(step.key).attempt = &attempt;
        try {
            refuse_beyond_bounds(step);
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
        wake();
    }

    // At each start: what a link leads to may have changed since the state was compiled.
    void refuse_beyond_bounds(const Step& step) const {
        std::vector<std::string> binds;
        if (step.action == Action::create_container) {
            for (const auto& each : step.spec.mounts) {
                if (each.type == runtime::ContainerMount::Type::bind) binds.push_back(each.source);
            }
        } else if (starts(step.action)) {
            const auto& started = step.action == Action::roll_back ? step.replaces : step.object;
            const auto& containers = observer_.observed().containers;
            const auto found = containers.find(started);
            if (found != containers.end()) binds = binds_of(found->second);
        }
        const auto fault = fault_of_binds(binds, options_.bounds);
        if (!fault.empty()) throw Error(ErrorKind::forbidden, "{}", fault);
    }

    void note_done(const Step& step, const Touched& touched) {
        auto& memory = observer_.memory();
        if (!touched.forced_pull.empty()) memory.forced_pulls[step.key.id] = touched.forced_pull;
        if (touched.pulled) memory.pulled.insert(step.key.id);
        if (!touched.image_in_use.empty()) memory.images_in_use.insert(touched.image_in_use);
        if (!touched.image_gone) return;
        collected_.push_front({.at = now(),
                               .kind = Kind::image,
                               .name = step.name,
                               .reason = step.reason,
                               .bytes = step.bytes});
        if (collected_.size() > protocol::Upkeep::kMostTold) collected_.pop_back();
        ++collected_count_;
        look_at_disk();
    }

    // The steps since the resource was last as wanted: the plan that runs, or that ran last.
    void remember(const Step& step) {
        auto& steps = last_plans_[step.key];
        if (in_work_.insert(step.key).second) steps.clear();
        json::object done{{"action", wire::to_text(step.action)},
                          {"reason", step.reason},
                          {"at", format_rfc3339(now())}};
        if (!steps.empty() && steps.back().at("action") == done.at("action") &&
            steps.back().at("reason") == done.at("reason")) {
            steps.pop_back();  // tried again
        }
        if (steps.size() == kMostRemembered) steps.pop_front();
        steps.push_back(std::move(done));
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
        bool engine_away = false;
        if (step.action != Action::pull_image && step.action != Action::build_image) {
            try {
                std::rethrow_exception(why);
            } catch (const Error& e) {
                engine_away = e.kind() == ErrorKind::unavailable && !step.may_pull;
            } catch (const std::exception&) {
                engine_away = false;
            }
        }
        if (engine_away) observer_.missed_events();
        fail(step, describe(why)).engine_away = engine_away;
    }

    Failure& fail(const Step& step, std::string text) {
        auto& failure = failures_[step.key];
        failure.text = std::move(text);
        failure.engine_away = false;
        failure.wait = std::min<std::chrono::milliseconds>(
            kLastRetry, kFirstRetry * (1 << std::min(failure.attempts, 6)));
        ++failure.attempts;
        failure.next_try = Clock::now() + failure.wait;
        log::warning("{} {}: {}; next try in {}", protocol::noun(step.key.kind), step.name,
                     failure.text, format_duration(failure.wait));
        return failure;
    }

    std::chrono::milliseconds until_next() const {
        auto next = listed_ + kListAnew;
        for (const auto& [key, failure] : failures_) {
            if (!busy_.contains(key) && failure.next_try > Clock::now()) {
                next = std::min(next, failure.next_try);
            }
        }
        for (const auto& [key, activity] : busy_) {
            const auto brief = activity.began + kBriefStop;
            if (activity.load == Load::stopping && brief > Clock::now())
                next = std::min(next, brief);
        }
        auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
        if (look_again_) wait = std::min(wait, *look_again_ - now());
        return std::max(wait, 1ms);
    }

    // --- what others are told

    Progress progress_of(const Wanted& wanted, const Plan& planned,
                         const std::multimap<Key, const Step*>& steps) const {
        Progress progress;
        if (const auto busy = busy_.find(wanted.key); busy != busy_.end()) {
            progress.busy = busy->second.action;
            progress.detail = busy->second.detail;
        }
        const auto [begin, end] = steps.equal_range(wanted.key);
        progress.planned = begin != end;
        if (const auto* failure = failure_of(wanted.key); failure != nullptr && progress.planned) {
            progress.failure = failure->text;
            progress.next_try = failure->wait;
        }
        if (const auto found = planned.setbacks.find(wanted.key); found != planned.setbacks.end()) {
            progress.setback = found->second;
        }
        if (const auto found = planned.drift.find(wanted.key); found != planned.drift.end()) {
            progress.drift = found->second;
        }
        const auto& memory = observer_.observed().memory;
        if (const auto found = memory.applied.find(wanted.key.id); found != memory.applied.end()) {
            progress.applied_revision = found->second;
        }
        progress.pulled = memory.pulled.contains(wanted.key.id);
        if (const auto found = memory.forced_pulls.find(wanted.key.id);
            found != memory.forced_pulls.end()) {
            progress.forced_pull = found->second;
        }
        if (const auto waits = planned.waits.find(wanted.key); waits != planned.waits.end()) {
            wait_for(waits->second.first, waits->second.second, progress);
        } else if (progress.planned && !progress.busy) {
            const auto& first = *begin->second;
            for (const auto index : first.after) {
                const auto& other = planned.steps[index];
                if (other.key == wanted.key) continue;
                wait_for(other.key,
                         fmt::format("{} {}", protocol::noun(other.key.kind), other.name),
                         progress);
            }
        }
        return progress;
    }

    const Failure* failure_of(const Key& key) const {
        const auto found = failures_.find(key);
        return found == failures_.end() || found->second.engine_away ? nullptr : &found->second;
    }

    void wait_for(const Key& key, std::string name, Progress& progress) const {
        progress.waits_for = std::move(name);
        progress.waits_for_image = key.kind == Kind::image;
        bool fault = false;
        for_each_wanted([&](const auto& each) {
            if (each.key == key) fault = !each.fault.empty();
        });
        progress.waits_in_vain = fault || failure_of(key) != nullptr;
    }

    void report(const Plan& planned) {
        // In the order of the plan, so that the first of a resource is what comes next.
        std::multimap<Key, const Step*> steps;
        for (const auto& step : planned.steps) steps.emplace(step.key, &step);
        const auto& observed = observer_.observed();
        const Containers containers(observed);
        const auto tell = [&](const auto& wanted, const auto& seen) {
            send(wanted.key, status_of(wanted, seen, progress_of(wanted, planned, steps), now()));
        };
        for (const auto& each : wanted_->networks) tell(each, observed);
        for (const auto& each : wanted_->volumes) tell(each, observed);
        for (const auto& each : wanted_->images) tell(each, observed);
        for (const auto& each : wanted_->workspaces) tell(each, containers);
    }

    void send(const Key& key, protocol::StatusReport report) {
        auto& last = reported_[key];
        if (const auto plan = last_plans_.find(key); plan != last_plans_.end()) {
            json::array steps;
            for (const auto& each : plan->second) steps.push_back(each);
            report.observed["last_plan"] = std::move(steps);
        }
        if (last) {
            for (auto& message : report.messages) {
                for (const auto& told : last->messages) {
                    if (told.text == message.text && told.severity == message.severity) {
                        message.since = told.since;
                    }
                }
            }
            if (*last == report) return;
        }
        last = report;
        sink_(std::move(report));
    }

    void tell_condition(const Plan& planned) {
        std::size_t failing = 0;
        std::size_t all = 0;
        std::string first;
        for_each_wanted([&](const auto& each) {
            ++all;
            const auto* failure = failure_of(each.key);
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
    Sink sink_;
    Observer observer_;
    TimeLimits limits_;
    HostRules rules_;
    std::vector<protocol::Leftover> leftovers_;
    std::deque<protocol::Collected> collected_;  // the newest first
    std::int64_t collected_count_ = 0;
    std::map<Key, std::string> told_setbacks_;
    bool enabled_ = true;
    std::shared_ptr<const WantedState> wanted_;
    std::optional<aio::Signal> wake_;
    Clock::time_point listed_{};
    Clock::time_point disk_looked_at_{};
    std::optional<Timestamp> look_again_;
    std::map<Key, Activity> busy_;
    std::map<Key, Failure> failures_;
    struct LastStep {
        std::string name;
        int times = 0;
        Clock::time_point at{};
    };
    std::map<Key, LastStep> last_steps_;
    std::set<Key> in_work_;  // not as wanted since their last plan began
    std::map<Key, std::deque<json::object>> last_plans_;
    std::map<Key, std::optional<protocol::StatusReport>> reported_;
    protocol::Condition engine_;
    protocol::Condition reconcile_;
    std::int64_t revision_applied_ = 0;
};

Reconciler::Reconciler(runtime::ContainerRuntime& runtime, Options options, Sink sink)
    : impl_(std::make_unique<Impl>(runtime, std::move(options), std::move(sink))) {}
Reconciler::~Reconciler() = default;

void Reconciler::set_desired(protocol::DesiredState desired, Origin origin) {
    impl_->set_desired(std::move(desired), origin);
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
