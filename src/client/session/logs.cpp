// `trailer logs`: of workspaces and of hosts' agents, one or several at once.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <map>
#include <set>

#include "client/arguments.h"
#include "client/commands.h"
#include "client/failure.h"
#include "client/session/joined.h"
#include "client/session/log_selection.h"
#include "client/session/log_tail.h"
#include "client/session/since.h"
#include "client/terminal.h"
#include "protocol/api.h"
#include "wire/json.h"

namespace trailer::client {
namespace {

constexpr std::size_t kMostAtOnce = 200;
constexpr std::chrono::seconds kLeaveTimeout{2};
constexpr std::array kColours{36, 33, 32, 35, 34, 96, 93, 92, 95, 94};

struct LogSubject {
    Subject kind = Subject::workspace;
    std::string name;

    std::string title() const { return kind == Subject::host ? "host/" + name : name; }
    bool operator==(const LogSubject&) const = default;
};

std::vector<LogSubject> select(Api& api, const std::vector<Selector>& selectors) {
    std::vector<LogSubject> subjects;
    for (const auto& workspace : api.list(Subject::workspace)) {
        if (!matches(workspace, selectors)) continue;
        const auto view = wire::from_json<protocol::ResourceView>(workspace);
        subjects.push_back({Subject::workspace, view.name});
    }
    if (subjects.empty()) {
        throw Error(ErrorKind::not_found, "no workspace has all of the labels that -l asks for");
    }
    return subjects;
}

std::vector<LogSubject> parse_subjects(const std::vector<std::string>& words) {
    std::vector<LogSubject> subjects;
    for (const auto& word : words) {
        const auto slash = word.find('/');
        const auto kind = slash == word.npos ? std::nullopt : parse_subject(word.substr(0, slash));
        const bool is_host = kind == Subject::host;
        const auto named = parse_named(is_host ? "hosts" : "workspaces", {word});
        LogSubject subject{named.subject, named.names.front()};
        if (std::ranges::find(subjects, subject) == subjects.end()) {
            subjects.push_back(std::move(subject));
        }
    }
    return subjects;
}

protocol::LogQuery query_of(const LogsFlags& flags, Subject kind) {
    protocol::LogQuery query{.follow = flags.follow, .tail = flags.tail};
    if (kind == Subject::host) return query;
    query.since = read_moment("--since", flags.since);
    query.until = read_moment("--until", flags.until);
    return query;
}

// Reads them one after another or, to be followed, side by side. What is selected by labels and
// followed comes and goes: what comes later is read too, and the end is the person's to say.
class Logs {
  public:
    Logs(Api& api, const LogsFlags& flags)
        : api_(api),
          flags_(flags),
          tasks_(api.executor()),
          output_(api.executor()),
          signals_(api.executor(), SIGINT, SIGTERM, SIGHUP),
          look_again_(api.executor()) {}

    Task<int> run(std::vector<LogSubject> subjects) {
        tasks_.spawn(read_all(std::move(subjects)));
        return run_tasks();
    }
    Task<int> run(std::vector<Selector> selectors) {
        selection_ = std::make_unique<Selection>(api_, std::move(selectors), [](const auto&) {});
        tasks_.spawn(watch_selection());
        tasks_.spawn(follow_selected());
        return run_tasks();
    }

  private:
    Task<int> run_tasks() {
        tasks_.spawn(watch_signals());
        tasks_.spawn(watch_output());
        co_await tasks_.join();
        co_return exit_code_;
    }

    void fit_titles(const std::vector<LogSubject>& subjects) {
        for (const auto& each : subjects) width_ = std::max(width_, width_of(each.title()));
    }

    std::string next_prefix(const std::string& title) {
        const auto palette = palette_for(stdout);
        width_ = std::max(width_, width_of(title));
        auto prefix = title + std::string(width_ - width_of(title), ' ') + " |";
        const auto colour = kColours[coloured_++ % kColours.size()];
        if (palette.enabled()) prefix = fmt::format("\x1b[{}m{}\x1b[0m", colour, prefix);
        return prefix + ' ';
    }

    Task<> read(LogSubject subject, bool with_prefix, bool waits) {
        const auto title = one_line(subject.title());
        const bool is_host = subject.kind == Subject::host;
        LogTail::Options options{.title = title,
                                 .subject = path_of(subject.kind, subject.name),
                                 .query = query_of(flags_, subject.kind),
                                 .times = is_host ? LogTimes::own : LogTimes::given,
                                 .timestamps = flags_.timestamps && !is_host,
                                 .waits = waits,
                                 .prefix = with_prefix ? next_prefix(title) : ""};
        LogTail tail(api_, output_, std::move(options));
        tails_[title] = &tail;
        std::exception_ptr cancelled;
        try {
            co_await tail.run();
        } catch (const OutputClosed&) {
            end_with(kNobodyReads);
        } catch (const std::exception& e) {
            if (aio::is_cancellation(e)) {
                cancelled = std::current_exception();
            } else if (!ended_) {
                exit_code_ = report_failure("logs " + title, e);
                given_up_.insert(title);
            }
        }
        tails_.erase(title);
        look_again_.notify();
        if (cancelled) std::rethrow_exception(cancelled);
    }

    Task<> read_all(std::vector<LogSubject> subjects) {
        aio::TaskGroup readers(api_.executor());
        const bool several = subjects.size() > 1;
        fit_titles(subjects);
        for (auto& each : subjects) {
            if (ended_) break;
            if (flags_.follow) {
                readers.spawn(read(std::move(each), several, false));
            } else {
                co_await read(std::move(each), several, false);
            }
        }
        co_await readers.join();
        tasks_.cancel();
    }

    Task<> watch_selection() {
        for (;;) {
            co_await selection_->next();
            look_again_.notify();
        }
    }

    Task<> follow_selected() {
        std::map<std::string, std::string> known;
        for (bool first = true; !ended_; first = false) {
            co_await look_again_.wait();
            const auto& now = selection_->names();
            if (first) begin_with(now);
            for (const auto& [id, name] : known) {
                if (now.contains(id)) continue;
                if (selection_->is_there(id)) {
                    let_go(one_line(name));
                } else {
                    tell_gone(one_line(name));
                }
            }
            for (const auto& [id, name] : now) {
                if (!first && !known.contains(id)) {
                    given_up_.erase(one_line(name));
                    coming_.insert(one_line(name));
                }
                begin_one(name);
            }
            known = now;
        }
        while (!tails_.empty()) co_await look_again_.wait();
        tasks_.cancel();
    }

    void begin_with(const std::map<std::string, std::string>& names) {
        if (names.empty()) tell("no workspace has all of the labels that -l asks for yet: waiting");
        std::vector<LogSubject> subjects;
        for (const auto& [id, name] : names) subjects.push_back({Subject::workspace, name});
        fit_titles(subjects);
    }

    void begin_one(const std::string& name) {
        const auto title = one_line(name);
        if (ended_ || tails_.contains(title) || given_up_.contains(title)) return;
        if (tails_.size() >= kMostAtOnce) {
            given_up_.insert(title);
            coming_.erase(title);
            return tell(fmt::format("{} is not followed: {} logs at once are the most", title,
                                    kMostAtOnce));
        }
        if (coming_.erase(title) > 0) tell(fmt::format("{} has come: this is its log", title));
        tasks_.spawn(read({Subject::workspace, name}, true, true));
    }

    // Its log ends by itself, where it was there; else nothing is to be waited for any more.
    void tell_gone(const std::string& title) {
        tell(fmt::format("{} has gone", title));
        const auto tail = tails_.find(title);
        if (tail != tails_.end()) tail->second->expect_end();
    }

    void let_go(const std::string& title) {
        tell(fmt::format("{} has lost the labels that -l asks for: its log is followed no more",
                         title));
        const auto tail = tails_.find(title);
        if (tail != tails_.end()) tail->second->leave();
    }

    static void tell(const std::string& text) {
        print(stderr, fmt::format("trailer: logs: {}\n", text));
    }

    Task<> watch_signals() {
        const auto [error, number] =
            co_await signals_.async_wait(asio::as_tuple(asio::use_awaitable));
        if (error) throw boost::system::system_error(error);
        end_with(kSignalled + number);
    }

    Task<> watch_output() {
        co_await output_.wait_closed();
        end_with(kNobodyReads);
    }

    void end_with(int exit_code) {
        if (std::exchange(ended_, true)) return;
        exit_code_ = exit_code;
        bool must_wait = false;
        for (auto& [title, tail] : tails_) must_wait = tail->leave() || must_wait;
        look_again_.notify();
        if (must_wait) {
            tasks_.spawn(end_soon());
        } else {
            tasks_.cancel();
        }
    }

    Task<> end_soon() {
        co_await aio::sleep(kLeaveTimeout);
        tasks_.cancel();
    }

    Api& api_;
    const LogsFlags& flags_;
    aio::TaskGroup tasks_;
    LogOutput output_;
    asio::signal_set signals_;
    std::unique_ptr<Selection> selection_;
    aio::Signal look_again_;
    std::map<std::string, LogTail*> tails_;  // by title; each belongs to its read()
    std::set<std::string> given_up_;         // titles
    // Titles that are new and not told yet: one waits until a former log of its name has ended.
    std::set<std::string> coming_;
    std::size_t width_ = 0;  // of the longest title
    std::size_t coloured_ = 0;
    int exit_code_ = kDone;
    bool ended_ = false;
    IgnoredPipeSignal no_sigpipe_;
};

}  // namespace

int logs(const LogsFlags& flags) {
    const auto selectors = parse_selectors(flags.selectors);
    if (flags.subjects.empty() == selectors.empty()) {
        throw UsageError("expected workspaces and host/NAME, or -l KEY=VALUE");
    }
    auto subjects = parse_subjects(flags.subjects);
    const bool has_host = std::ranges::any_of(
        subjects, [](const LogSubject& each) { return each.kind == Subject::host; });
    if (has_host && !(flags.since.empty() && flags.until.empty())) {
        throw UsageError("--since and --until are for the logs of workspaces");
    }
    query_of(flags, Subject::workspace);  // a bad time is told before the server is asked
    if (flags.follow && subjects.size() > kMostAtOnce) {
        throw UsageError(fmt::format("{} logs at once are too many to follow, {} is the most",
                                     subjects.size(), kMostAtOnce));
    }
    Api api(resolve_target(credentials_file(), flags.connection));
    Logs logs(api, flags);
    if (flags.follow && subjects.empty()) return api.run(logs.run(selectors));
    if (subjects.empty()) subjects = select(api, selectors);
    return api.run(logs.run(std::move(subjects)));
}

}  // namespace trailer::client
