#include "reconcile/reconciler.h"

#include <algorithm>
#include <deque>

#include "aio/backoff.h"
#include "aio/signal.h"
#include "aio/task_group.h"
#include "base/log.h"
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
constexpr std::size_t kWaitingSteps = 16;
constexpr std::size_t kBuilds = 2;
constexpr auto kProgressEvery = 500ms;
// A step that is planned again right after it was done: something undoes it, or it has no effect.
constexpr int kMostRepeats = 3;
constexpr auto kSoon = 700ms;  // less than the shortest wait, so that a try after it counts anew
constexpr std::size_t kMostRemembered = 12;

enum class Load { engine, waiting, building };

Load load_of(Action action) {
    switch (action) {
        case Action::stop_container:
        case Action::restart_container:
        case Action::pull_image:
            return Load::waiting;
        case Action::build_image:
            return Load::building;
        default:
            return Load::engine;
    }
}

}  // namespace

class Reconciler::Impl {
  public:
    Impl(runtime::ContainerRuntime& runtime, Options options, Sink sink)
        : runtime_(runtime),
          options_(std::move(options)),
          sink_(std::move(sink)),
          observer_(runtime, options_.own_container_id) {}

    void set_desired(protocol::DesiredState desired) {
        std::map<Key, std::int64_t> before;
        for_each_wanted([&](const auto& each) { before[each.key] = each.revision; });
        auto wanted = std::make_shared<const WantedState>(compile(desired, options_.bounds));
        wanted_ = std::move(wanted);
        std::set<std::string> references;
        for (const auto& image : wanted_->images) {
            if (!image.built && !image.deleting) references.insert(image.reference);
        }
        observer_.set_references(std::move(references));
        std::set<Key> known;
        for_each_wanted([&](const auto& each) {
            known.insert(each.key);
            const auto found = before.find(each.key);
            if (found == before.end() || found->second != each.revision) failures_.erase(each.key);
        });
        const auto unknown = [&](const auto& each) { return !known.contains(each.first); };
        std::erase_if(reported_, unknown);
        std::erase_if(last_plans_, unknown);
        std::erase_if(last_steps_, unknown);
        wake();
    }

    void set_settings(const protocol::HostSettings& settings) {
        limits_ = {.pull = std::chrono::milliseconds{settings.pull_timeout_ms},
                   .build = std::chrono::milliseconds{settings.build_timeout_ms}};
    }

    void set_enabled(bool enabled) {
        enabled_ = enabled;
        wake();
    }

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

    protocol::HostPlan explain(const protocol::DesiredState& desired) const {
        if (!observer_.complete()) {
            const auto& reason = engine_.reason;
            return {.fault = reason.empty() ? "the engine has not been looked at yet" : reason};
        }
        const auto wanted = compile(desired, options_.bounds);
        return describe_plan(plan(wanted, observer_.observed(), now()), wanted);
    }

    const protocol::Condition& engine() const { return engine_; }
    const protocol::Condition& reconcile() const { return reconcile_; }
    std::int64_t revision_applied() const { return revision_applied_; }

  private:
    struct Activity {
        Action action{};
        std::string detail;
        Clock::time_point detail_told{};
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
        if (set(engine_, Health::ok)) log::info("engine: answers");
    }

    void round(aio::TaskGroup& tasks) {
        if (!wanted_) return;
        auto planned = plan(*wanted_, observer_.observed(), now());
        look_again_ = planned.look_again;
        forgive(planned);
        if (enabled_) begin_steps(planned, tasks);
        report(planned);
        tell_condition(planned);
    }

    // What is as wanted has no failure any more. A replacement that has yet to prove itself is not.
    void forgive(const Plan& planned) {
        std::set<Key> unfinished;
        for (const auto& step : planned.steps) unfinished.insert(step.key);
        for (const auto& [key, wait] : planned.waits) unfinished.insert(key);
        if (planned.look_again) {
            const Containers containers(observer_.observed());
            for (const auto& each : wanted_->workspaces) {
                if (containers.of(each).next != nullptr) unfinished.insert(each.key);
            }
        }
        const auto done = [&](const auto& each) {
            return !unfinished.contains(each.first) && !busy_.contains(each.first);
        };
        std::erase_if(failures_, done);
        std::erase_if(in_work_, [&](const Key& key) {
            return !unfinished.contains(key) && !busy_.contains(key);
        });
    }

    void begin_steps(const Plan& planned, aio::TaskGroup& tasks) {
        std::map<Load, std::size_t> loads;
        for (const auto& [key, activity] : busy_) ++loads[load_of(activity.action)];
        const std::map<Load, std::size_t> most{{Load::engine, options_.width},
                                               {Load::waiting, kWaitingSteps},
                                               {Load::building, kBuilds}};
        for (const auto& step : planned.steps) {
            if (!step.after.empty() || busy_.contains(step.key)) continue;
            const auto failure = failures_.find(step.key);
            if (failure != failures_.end() && failure->second.next_try > Clock::now()) continue;
            const auto load = load_of(step.action);
            if (loads[load] >= most.at(load)) continue;
            if (goes_round(step)) continue;
            ++loads[load];
            busy_[step.key] = {.action = step.action};
            tasks.spawn(run_step(step, wanted_));
        }
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
        try {
            co_await execute(
                runtime_, step, limits_,
                [this, key = step.key](std::string_view line) { progress(key, line); }, touched);
        } catch (const std::exception& e) {
            if (aio::is_cancellation(e)) throw;
            failure = std::current_exception();
        }
        try {
            co_await observer_.look_at(touched);
        } catch (const std::exception& e) {
            if (aio::is_cancellation(e)) throw;
            engine_fails(describe(e));
        }
        busy_.erase(step.key);
        if (failure) {
            failed(step, failure);
        } else if (!touched.forced_pull.empty()) {
            observer_.forced_pull(step.key.id, touched.forced_pull);
        }
        wake();
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
        if (Clock::now() - activity->second.detail_told < kProgressEvery) return;
        activity->second.detail_told = Clock::now();
        wake();
    }

    void failed(const Step& step, const std::exception_ptr& why) {
        bool engine_away = false;
        if (load_of(step.action) == Load::engine || step.action == Action::stop_container) {
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
            const auto text = !each.fault.empty() && !each.deleting ? each.fault
                              : failure != nullptr                  ? failure->text
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
            !planned.look_again) {
            revision_applied_ = wanted_->revision;
        }
    }

    runtime::ContainerRuntime& runtime_;
    Options options_;
    Sink sink_;
    Observer observer_;
    TimeLimits limits_;
    bool enabled_ = true;
    std::shared_ptr<const WantedState> wanted_;
    std::optional<aio::Signal> wake_;
    Clock::time_point listed_{};
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

void Reconciler::set_desired(protocol::DesiredState desired) {
    impl_->set_desired(std::move(desired));
}
void Reconciler::set_settings(const protocol::HostSettings& settings) {
    impl_->set_settings(settings);
}
void Reconciler::set_enabled(bool enabled) {
    impl_->set_enabled(enabled);
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
