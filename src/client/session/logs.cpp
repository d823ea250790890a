// `trailer logs`: of workspaces and of hosts' agents, one or several at once.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/json.hpp>
#include <csignal>

#include "client/arguments.h"
#include "client/commands.h"
#include "client/failure.h"
#include "client/session/joined.h"
#include "client/session/log_tail.h"
#include "client/session/since.h"
#include "client/terminal.h"
#include "protocol/api.h"
#include "wire/json.h"

namespace trailer::client {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostAtOnce = 200;
constexpr std::chrono::seconds kLeaveTimeout{2};
constexpr std::array kColours{36, 33, 32, 35, 34, 96, 93, 92, 95, 94};

struct LogSubject {
    Subject kind = Subject::workspace;
    std::string name;

    std::string title() const { return kind == Subject::host ? "host/" + name : name; }
    bool operator==(const LogSubject&) const = default;
};

// "KEY=VALUE", of a workspace's labels; `group` is also a member of its own.
struct Selector {
    std::string key;
    std::string value;
};

std::vector<Selector> parse_selectors(const std::vector<std::string>& texts) {
    std::vector<Selector> selectors;
    for (const auto& text : texts) {
        const auto equals = text.find('=');
        if (equals == text.npos || equals == 0) {
            throw UsageError(fmt::format("-l: expected KEY=VALUE, got \"{}\"", text));
        }
        selectors.push_back({text.substr(0, equals), text.substr(equals + 1)});
    }
    return selectors;
}

const json::value* member(const json::value& value, std::string_view name) {
    const auto* object = value.if_object();
    return object == nullptr ? nullptr : object->if_contains(name);
}

bool is_text(const json::value* value, std::string_view text) {
    return value != nullptr && value->is_string() && value->get_string() == text;
}

bool matches(const json::value& workspace, const Selector& selector) {
    if (selector.key == "group" && is_text(member(workspace, "group"), selector.value)) return true;
    const auto* spec = member(workspace, "spec");
    const auto* labels = spec == nullptr ? nullptr : member(*spec, "labels");
    return labels != nullptr && is_text(member(*labels, selector.key), selector.value);
}

std::vector<LogSubject> select(Api& api, const std::vector<Selector>& selectors) {
    std::vector<LogSubject> subjects;
    for (const auto& workspace : api.list(Subject::workspace)) {
        const bool wanted = std::ranges::all_of(
            selectors, [&](const Selector& each) { return matches(workspace, each); });
        if (wanted) {
            subjects.push_back(
                {Subject::workspace, wire::from_json<protocol::ResourceView>(workspace).name});
        }
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

// Reads all of them, one after another or, to be followed, side by side.
class Logs {
  public:
    Logs(Api& api, const LogsFlags& flags, const std::vector<LogSubject>& subjects)
        : tasks_(api.executor()),
          output_(api.executor()),
          signals_(api.executor(), SIGINT, SIGTERM, SIGHUP),
          side_by_side_(flags.follow) {
        const auto palette = palette_for(stdout);
        std::size_t width = 0;
        for (const auto& each : subjects) width = std::max(width, width_of(each.title()));
        for (const auto& each : subjects) {
            auto title = one_line(each.title());
            std::string prefix;
            if (subjects.size() > 1) {
                prefix = title + std::string(width - width_of(title), ' ') + " |";
                if (palette.enabled()) {
                    const auto colour = kColours[tails_.size() % kColours.size()];
                    prefix = fmt::format("\x1b[{}m{}\x1b[0m", colour, prefix);
                }
                prefix += ' ';
            }
            tails_.push_back(std::make_unique<LogTail>(
                api, output_,
                LogTail::Options{.title = std::move(title),
                                 .subject = path_of(each.kind, each.name),
                                 .query = query_of(flags, each.kind),
                                 .has_times = each.kind == Subject::workspace,
                                 .timestamps = flags.timestamps && each.kind != Subject::host,
                                 .prefix = std::move(prefix)}));
            names_.push_back(each.title());
        }
    }

    Task<int> run() {
        tasks_.spawn(read_all());
        tasks_.spawn(watch_signals());
        tasks_.spawn(watch_output());
        co_await tasks_.join();
        co_return exit_code_;
    }

  private:
    Task<> read_all() {
        aio::TaskGroup readers(co_await asio::this_coro::executor);
        for (std::size_t i = 0; i < tails_.size() && !ended_; ++i) {
            if (side_by_side_) {
                readers.spawn(read(i));
            } else {
                co_await read(i);
            }
        }
        co_await readers.join();
        tasks_.cancel();
    }

    Task<> read(std::size_t index) {
        try {
            co_await tails_[index]->run();
        } catch (const OutputClosed&) {
            end_with(kNobodyReads);
        } catch (const Error& e) {
            if (!ended_) exit_code_ = report_failure("logs " + names_[index], e);
        }
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
        for (auto& tail : tails_) must_wait = tail->leave() || must_wait;
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

    aio::TaskGroup tasks_;
    LogOutput output_;
    asio::signal_set signals_;
    bool side_by_side_;
    std::vector<std::unique_ptr<LogTail>> tails_;
    std::vector<std::string> names_;
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
    Api api(resolve_target(credentials_file(), flags.connection));
    if (subjects.empty()) subjects = select(api, selectors);
    if (flags.follow && subjects.size() > kMostAtOnce) {
        throw UsageError(fmt::format("{} logs at once are too many to follow, {} is the most",
                                     subjects.size(), kMostAtOnce));
    }
    Logs logs(api, flags, subjects);
    return api.run(logs.run());
}

}  // namespace trailer::client
