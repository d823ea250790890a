#include "client/session/log_tail.h"

#include "aio/backoff.h"
#include "client/session/query.h"
#include "client/terminal.h"
#include "wire/json.h"

namespace trailer::client {

using namespace std::chrono_literals;
using protocol::Channel;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto kPatience = 10min;     // of who follows, until a lost log is there again
constexpr auto kShortPatience = 30s;  // for what may be gone for good

// What goes to that descriptor next.
std::string& text_for(std::vector<LocalOutput::Piece>& pieces, bool errors) {
    const int descriptor = errors ? 2 : 1;
    if (pieces.empty() || pieces.back().descriptor != descriptor) {
        pieces.push_back({.descriptor = descriptor, .data = {}});
    }
    return pieces.back().data;
}

}  // namespace

Task<> LogOutput::write(std::vector<LocalOutput::Piece> pieces) {
    if (pieces.empty()) co_return;
    const auto turn = co_await turn_.lock();
    co_await output_.write(std::move(pieces));
}

LogTail::LogTail(Api& api, LogOutput& output, Options options)
    : api_(api),
      output_(output),
      options_(std::move(options)),
      format_(options_.prefix, options_.timestamps) {
    options_.query.timestamps = options_.times == LogTimes::given;
    // A host's own log is moved aside now and then: what is read begins anywhere.
    if (options_.times == LogTimes::given) place_ = LogPlace(options_.query);
    begin(options_.query);
}

void LogTail::begin(protocol::LogQuery query) {
    session_ =
        std::make_unique<SessionClient>(api_, SessionRoute{options_.subject, logs_address(query)},
                                        [this](LinkNews news) { tell(text_of(news)); });
}

bool LogTail::leave() {
    leaving_ = true;
    if (open_) session_->leave({});
    return open_;
}

// False where there is nothing to be waited for any more.
Task<bool> LogTail::open_first() {
    aio::Backoff backoff(200ms, 2s);
    for (;;) {
        try {
            co_await session_->open();
            co_return true;
        } catch (const Error& e) {
            if (!options_.waits || e.kind() != ErrorKind::not_found) throw;
        }
        if (!gone_) co_await aio::sleep(backoff.next());
        if (gone_ || leaving_) co_return false;
        begin(options_.query);
    }
}

Task<> LogTail::run() {
    if (!co_await open_first()) co_return;
    for (;;) {
        open_ = true;
        std::string why;
        try {
            co_await read_session();
        } catch (const SessionGone& e) {
            why = e.what();
        } catch (const Error& e) {
            if (!e.may_pass()) throw;
            why = e.what();
        }
        open_ = false;
        if (leaving_) co_return;
        if (problem_) protocol::throw_problem(*problem_);
        if (why.empty()) co_return;
        co_await open_anew(std::move(why));
        if (leaving_) co_return;
    }
}

Task<> LogTail::read_session() {
    aio::TaskGroup tasks(api_.executor());
    tasks.spawn(keep_session(&tasks));
    tasks.spawn(pump());
    co_await tasks.join();
}

Task<> LogTail::keep_session(aio::TaskGroup* tasks) {
    co_await session_->run();
    tasks->cancel();
}

Task<> LogTail::pump() {
    for (bool ended = false; !ended;) {
        const auto messages = co_await session_->receive();
        std::vector<LocalOutput::Piece> pieces;
        for (const auto& message : messages) {
            const auto channel = protocol::channel_of(message);
            if (channel == Channel::output || channel == Channel::errors) {
                add_message(message, pieces);
            } else if (channel == Channel::notice) {
                tell(
                    wire::from_json_text<protocol::SessionNotice>(protocol::data_of(message)).text);
            } else if (channel == Channel::end) {
                problem_ = protocol::read_end(protocol::data_of(message)).problem;
                finish(pieces);
                ended = true;
            }
        }
        co_await output_.write(std::move(pieces));
        session_->used();
    }
}

void LogTail::add_message(const std::string& message, std::vector<LocalOutput::Piece>& pieces) {
    const bool errors = protocol::channel_of(message) == Channel::errors;
    const auto data = protocol::data_of(message);
    for (auto& entry : entries_of(data, options_.times)) {
        if (entry.time.empty()) entry.time = place_.time();  // it goes on with the one before
        if (is_known(entry)) continue;
        place_.pass(entry);
        format_.add(errors, entry, text_for(pieces, errors));
    }
}

// Of a log that was opened anew the last entry is asked for again: when it is not there, what came
// after it may be gone too.
bool LogTail::is_known(const LogEntry& entry) {
    if (!overlaps_) return false;
    if (place_.is(entry)) {
        overlaps_ = false;
        return true;
    }
    // Others before it: of those from `since` on, `tail` may have left out the first.
    if (place_.may_have(entry)) return true;
    overlaps_ = false;
    tell(fmt::format("lines between {} and {} may be missing: the log was lost meanwhile",
                     place_.time(), entry.time));
    return false;
}

void LogTail::finish(std::vector<LocalOutput::Piece>& pieces) {
    for (const bool errors : {false, true}) {
        if (const auto rest = format_.finish(errors); !rest.empty())
            text_for(pieces, errors) += rest;
    }
}

protocol::LogQuery LogTail::query_from_here() const {
    auto query = options_.query;
    if (place_.known()) {
        query.tail.reset();
        query.since = place_.since();
        query.skip = place_.skip();
        // Those of another container, which has taken the place meanwhile, are newer: none is
        // known.
        if (query.skip > 0) query.skip_until = place_.newest();
    }
    return query;
}

Task<> LogTail::open_anew(std::string why) {
    const auto begun = Clock::now();
    aio::Backoff backoff(500ms, 10s);
    for (;;) {
        begin(query_from_here());
        std::exception_ptr failure;
        bool may_pass = true;
        try {
            co_await session_->open();
        } catch (const Error& e) {
            failure = std::current_exception();
            may_pass = e.may_pass() || e.kind() == ErrorKind::internal;
            const bool may_come = e.kind() == ErrorKind::not_found;  // a container, or an agent
            if (may_come && gone_) leaving_ = true;
            if (!may_pass && !may_come) throw;
        }
        if (!failure) break;
        if (leaving_) co_return;
        const auto patience = may_pass && options_.query.follow ? kPatience : kShortPatience;
        if (Clock::now() - begun >= patience) std::rethrow_exception(failure);
        co_await aio::sleep(backoff.next());
        if (leaving_) co_return;
    }
    overlaps_ = place_.known();
    if (!overlaps_ && options_.query.tail == 0) {
        tell("lines written meanwhile may be missing: " + why);
    }
}

void LogTail::tell(const std::string& text) const {
    print(stderr, fmt::format("trailer: {}: {}\n", one_line(options_.title), one_line(text)));
}

}  // namespace trailer::client
