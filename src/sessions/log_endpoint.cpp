#include "sessions/log_endpoint.h"

#include "aio/deadline.h"
#include "base/error.h"
#include "base/log.h"
#include "base/time.h"

namespace trailer::sessions {

using namespace std::chrono_literals;
using protocol::Channel;

namespace {

constexpr auto kLook = 200ms;  // for what takes the place of a container that has ended
constexpr std::size_t kPiece = 32 << 10;

}  // namespace

LogEndpoint::LogEndpoint(runtime::ContainerRuntime& runtime, std::function<runtime::Place()> find,
                         protocol::LogQuery query, bool notices)
    : runtime_(runtime),
      find_(std::move(find)),
      query_(std::move(query)),
      notices_(notices),
      mark_(query_) {
    if (!query_.until.empty()) until_ = parse_rfc3339(query_.until);
}

Task<> LogEndpoint::open() {
    const auto place = find_();
    if (!place.container) {
        throw Error(ErrorKind::not_found, "workspace {} has no container yet: there is no log",
                    place.name);
    }
    container_ = place.container->id;
    to_skip_ = mark_.skip();
    known_until_ = mark_.newest().empty() ? query_.skip_until : mark_.newest();
    runtime::LogSpec spec{.container = container_,
                          .follow = query_.follow,
                          .tail = query_.tail,
                          .since = mark_.since(),
                          .until = query_.until};
    const auto opened = format_rfc3339(now());
    stream_ = co_await runtime_.logs(std::move(spec));
    // Nothing of what was there is asked for, later either.
    if (query_.tail == 0 && mark_.since().empty()) {
        mark_ = protocol::LogMark(protocol::LogQuery{.since = opened});
    }
}

Task<std::string> LogEndpoint::read() {
    while (messages_.empty()) {
        if (co_await next_entries()) continue;
        const bool more = query_.follow && !is_past_until() && co_await open_again();
        if (!more) co_return protocol::end_message({});
    }
    auto message = std::move(messages_.front());
    messages_.pop_front();
    co_return message;
}

// False at the end of the stream.
Task<bool> LogEndpoint::next_entries() {
    std::span<const runtime::LogEntry> entries;
    try {
        if (query_.follow && until_) {
            // The engine looks at the time when a line comes, and no earlier.
            const auto left = *until_ - now() + kLook;
            entries = co_await aio::with_deadline(stream_->read(), aio::Deadline::in(left),
                                                  "following a log");
        } else {
            entries = co_await stream_->read();
        }
    } catch (const Error& e) {
        if (!query_.follow) throw;
        log::debug("following the log of container {}: {}", container_, describe(e));
    }
    if (entries.empty()) co_return false;
    add(entries);
    co_return true;
}

bool LogEndpoint::is_past_until() const {
    return until_ && *until_ <= now();
}

// Waits until there is something to be followed; false when there won't be.
Task<bool> LogEndpoint::open_again() {
    stream_.reset();
    query_.tail.reset();
    for (;;) {
        co_await aio::sleep(kLook);
        if (is_past_until()) co_return false;
        const auto place = find_();
        if (!place.wanted && !place.container) co_return false;
        if (!place.container) continue;
        const bool replaced = place.container->id != container_;
        if (!replaced && place.container->state != runtime::ContainerState::running) continue;
        if (replaced) {  // from its first line on
            mark_ = protocol::LogMark(protocol::LogQuery{});
            query_.skip_until.clear();
        }
        try {
            co_await open();
        } catch (const Error& e) {
            log::debug("following the log of workspace {}: {}", place.name, describe(e));
            continue;
        }
        if (replaced) {
            notice(fmt::format("workspace {} has a new container: this is its log", place.name));
        }
        co_return true;
    }
}

void LogEndpoint::add(std::span<const runtime::LogEntry> entries) {
    for (const auto& entry : entries) {
        if (to_skip_ > 0 && (known_until_.empty() || entry.time <= known_until_)) {
            --to_skip_;
            continue;
        }
        to_skip_ = 0;
        mark_.pass(entry.time);
        auto& message = message_for(entry.errors);
        if (query_.timestamps) message.append(entry.time) += ' ';
        message += entry.text;
    }
}

// Neighbours of one channel travel together. An entry without a line end is the last of its
// message: so whoever reads can tell where the next one begins.
std::string& LogEndpoint::message_for(bool errors) {
    const auto channel = errors ? Channel::errors : Channel::output;
    if (messages_.empty() || protocol::channel_of(messages_.back()) != channel ||
        messages_.back().size() > kPiece || !messages_.back().ends_with('\n')) {
        messages_.push_back(protocol::session_message(channel, ""));
    }
    return messages_.back();
}

void LogEndpoint::notice(std::string text) {
    if (!notices_) return;
    messages_.push_back(protocol::session_message(
        Channel::notice, wire::to_json_text(protocol::SessionNotice{.text = std::move(text)})));
}

Task<> LogEndpoint::take(std::string message) {
    if (protocol::channel_of(message) == Channel::close) co_return;
    throw InvalidInput("", "a log takes no input");
}

}  // namespace trailer::sessions
