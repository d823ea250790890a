#include "client/event_feed.h"

#include "aio/deadline.h"
#include "wire/json.h"

namespace trailer::client {
namespace {

using namespace std::chrono_literals;

// The server sends a comment every 15 s at the latest where nothing happens; a connection that is
// silent for longer than this is dead.
constexpr auto kSilence = 60s;

}  // namespace

Task<std::optional<protocol::ResourceEvent>> EventFeed::next() {
    for (;;) {
        if (!stream_) {
            const bool resumes = !last_event_id_.empty();
            co_await connect();
            if (!resumes) co_return std::nullopt;
        }
        while (auto event = parser_.next()) {
            if (!event->id.empty()) last_event_id_ = event->id;
            if (event->name == "reset") co_return std::nullopt;
            if (event->name == "resource") {
                co_return wire::from_json_text<protocol::ResourceEvent>(event->data);
            }
        }
        co_await read_some();
    }
}

Task<> EventFeed::connect() {
    for (;;) {
        std::string why;
        try {
            net::Headers headers{{"Accept", "text/event-stream"}};
            if (!last_event_id_.empty()) headers.set("Last-Event-ID", last_event_id_);
            stream_ = co_await api_.open("/api/events", std::move(headers));
            parser_ = SseParser();
            broken_ = false;
            co_return;
        } catch (const Error& e) {
            if (!e.may_pass() && e.kind() != ErrorKind::internal) throw;
            why = describe(e);
        }
        if (trouble_ && !std::exchange(broken_, true)) trouble_(why);
        co_await aio::sleep(backoff_.next());
    }
}

Task<> EventFeed::read_some() {
    std::string why = "the server ended the stream of events";
    try {
        auto reading = stream_->read();
        const auto piece = co_await aio::with_deadline(
            std::move(reading), aio::Deadline::in(kSilence), "waiting for the server's events");
        if (!piece.empty()) {
            backoff_.reset();
            parser_.feed(piece);
            co_return;
        }
    } catch (const Error& e) {
        if (!e.may_pass()) throw;
        why = describe(e);
    }
    stream_.reset();
    if (trouble_ && !std::exchange(broken_, true)) trouble_(why);
    co_await aio::sleep(backoff_.next());
}

}  // namespace trailer::client
