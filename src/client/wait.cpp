#include "client/wait.h"

#include "aio/deadline.h"
#include "aio/task_group.h"
#include "client/columns.h"
#include "client/event_feed.h"
#include "client/progress.h"
#include "wire/json.h"

namespace trailer::client {
namespace {

using namespace std::chrono_literals;
using protocol::ResourceView;
using protocol::State;

std::string title_of(const Goal& goal) {
    return fmt::format("{}/{}", protocol::noun(goal.kind), goal.name);
}

std::vector<std::string> titles_of(const std::vector<Goal>& goals) {
    std::vector<std::string> titles;
    for (const auto& goal : goals) titles.push_back(title_of(goal));
    return titles;
}

// One wait. Used by one call of wait_for, on the Api's loop.
class Waiter {
  public:
    Waiter(Api& api, std::vector<Goal> goals)
        : api_(api),
          progress_(stderr, titles_of(goals)),
          feed_(api, [this](const std::string& why) {
              progress_.note(fmt::format("connection lost, trying again: {}", why));
          }) {
        for (auto& goal : goals) tracks_.push_back({.goal = std::move(goal)});
    }

    // True when every goal was reached.
    Task<bool> run(std::optional<std::chrono::seconds> timeout) {
        aio::TaskGroup group(api_.executor());
        if (progress_.live()) group.spawn(animate());
        const auto deadline = aio::Deadline::in(timeout.value_or(24h * 365));
        std::exception_ptr failure;
        try {
            auto following = follow();
            co_await aio::with_deadline(std::move(following), deadline, "waiting");
        } catch (const Error&) {
            // Time that ran out is told by report(), with what each goal had come to.
            if (!deadline.passed()) failure = std::current_exception();
        } catch (...) {
            failure = std::current_exception();
        }
        group.cancel();
        co_await group.join();
        if (failure) std::rethrow_exception(failure);
        report(timeout);
        co_return std::ranges::all_of(
            tracks_, [](const Track& track) { return track.verdict == Verdict::done; });
    }

  private:
    struct Track {
        Goal goal;
        Verdict verdict = Verdict::pending;
        std::optional<ResourceView> seen;
    };

    Task<> animate() {
        for (;;) {
            progress_.tick();
            co_await aio::sleep(100ms);
        }
    }

    Task<> follow() {
        while (!all_ended()) {
            auto event = co_await feed_.next();
            if (!event) {
                co_await look_at_all();
            } else if (event->type == protocol::EventType::deleted) {
                take(*event, nullptr);
            } else {
                // Events of hosts and of kinds to come have another shape.
                if (!protocol::kind_from_title(event->kind)) continue;
                const auto view = wire::from_json<ResourceView>(event->resource);
                take(*event, &view);
            }
        }
    }

    Task<> look_at_all() {
        for (std::size_t i = 0; i < tracks_.size(); ++i) {
            const auto& goal = tracks_[i].goal;
            if (tracks_[i].verdict != Verdict::pending) continue;
            std::optional<ResourceView> view;
            auto path = path_of(subject_of(goal.kind), goal.id.empty() ? goal.name : goal.id);
            try {
                const auto answer = co_await api_.call("GET", std::move(path));
                view = wire::from_json<ResourceView>(answer);
            } catch (const Error& e) {
                if (e.kind() != ErrorKind::not_found) throw;
            }
            settle(i, view ? &*view : nullptr);
        }
    }

    void take(const protocol::ResourceEvent& event, const ResourceView* view) {
        for (std::size_t i = 0; i < tracks_.size(); ++i) {
            const auto& goal = tracks_[i].goal;
            if (tracks_[i].verdict != Verdict::pending ||
                protocol::title(goal.kind) != event.kind) {
                continue;
            }
            if (goal.id.empty() ? goal.name == event.name : goal.id == event.id) settle(i, view);
        }
    }

    void settle(std::size_t index, const ResourceView* view) {
        auto& track = tracks_[index];
        // An event that was under way while the list was taken tells what was before.
        if (view != nullptr && track.seen && view->updated < track.seen->updated) return;
        track.verdict = judge(track.goal, view);
        if (view != nullptr) track.seen = *view;
        Progress::Line line{.ended = track.verdict != Verdict::pending};
        if (view == nullptr) {
            line.status = "deleted";
            line.style = track.verdict == Verdict::failed ? Style::bad : Style::good;
        } else {
            line.status = wire::to_text(view->status);
            line.style = track.verdict == Verdict::failed ? Style::bad
                         : track.verdict == Verdict::done ? Style::good
                                                          : style_of(view->status);
            if (track.verdict != Verdict::failed) line.message = main_message(view->messages);
        }
        progress_.update(index, std::move(line));
    }

    bool all_ended() const {
        return std::ranges::none_of(
            tracks_, [](const Track& track) { return track.verdict == Verdict::pending; });
    }

    // Says at length why each goal that was missed was missed.
    void report(std::optional<std::chrono::seconds> timeout) const {
        for (const auto& track : tracks_) {
            if (track.verdict == Verdict::done) continue;
            const auto status = track.seen ? wire::to_text(track.seen->status) : "deleted";
            auto text = fmt::format("trailer: {}: ", title_of(track.goal));
            if (track.verdict == Verdict::pending) {
                text += fmt::format("still {} after {} s; it goes on: trailer get {} {} -w",
                                    track.seen ? status : "unseen", timeout.value_or(0s).count(),
                                    protocol::plural(track.goal.kind), track.goal.name);
            } else {
                text += fmt::format("ended as {}", status);
                if (track.seen) {
                    text += fmt::format("; all of it: trailer describe {} {}",
                                        protocol::noun(track.goal.kind), track.goal.name);
                }
            }
            text += "\n";
            if (track.seen) {
                for (const auto& message : track.seen->messages) text += indented(message);
            }
            print(stderr, text);
        }
    }

    static std::string indented(const protocol::Message& message) {
        std::string text;
        std::string_view rest = message.text;
        while (!rest.empty()) {
            const auto end = std::min(rest.find('\n'), rest.size());
            text += "  " + printable(rest.substr(0, end)) + "\n";
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
        return text;
    }

    Api& api_;
    Progress progress_;
    EventFeed feed_;
    std::vector<Track> tracks_;
};

Verdict judge_workspace(const ResourceView& seen) {
    const bool wanted = seen.running.value_or(true);
    switch (seen.status) {
        case State::running:
            return wanted ? Verdict::done : Verdict::pending;
        case State::stopped:
            return wanted ? Verdict::pending : Verdict::done;
        case State::unhealthy:
            // The engine has tried as often as the health check says; waiting on is no use.
            return wanted ? Verdict::failed : Verdict::pending;
        case State::error:
            return Verdict::failed;
        default:
            return Verdict::pending;
    }
}

}  // namespace

Verdict judge(const Goal& goal, const ResourceView* seen) {
    const bool gone = goal.aim == Goal::Aim::gone;
    if (seen == nullptr) return gone ? Verdict::done : Verdict::failed;
    if (gone) return seen->status == State::error ? Verdict::failed : Verdict::pending;
    if (seen->status == State::deleting) return Verdict::pending;
    if (goal.kind == protocol::Kind::workspace) return judge_workspace(*seen);
    switch (seen->status) {
        case State::created:
        case State::build_finished:
            return Verdict::done;
        case State::error:
        case State::build_cancelled:
            return Verdict::failed;
        default:
            return Verdict::pending;
    }
}

bool wait_for(Api& api, std::vector<Goal> goals, std::optional<std::chrono::seconds> timeout) {
    if (goals.empty()) return true;
    Waiter waiter(api, std::move(goals));
    return api.run(waiter.run(timeout));
}

}  // namespace trailer::client
