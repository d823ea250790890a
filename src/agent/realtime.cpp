#include "agent/realtime.h"

#include "aio/backoff.h"
#include "base/log.h"

namespace trailer::agent {

using protocol::ControlMessage;
using protocol::ControlType;
using protocol::Health;

namespace {

// A connection that lasted this long was a good one: the next failure waits from the start again.
constexpr std::chrono::seconds kProven{5};

// A session waits a minute for its connection.
constexpr std::chrono::milliseconds kFirstWait{250};
constexpr std::chrono::milliseconds kLongestWait{10'000};

}  // namespace

Realtime::Realtime(ServerLink& server, Handlers handlers)
    : server_(server), handlers_(std::move(handlers)) {
    protocol::update(condition_, Health::unknown, "not connected yet");
}

Task<> Realtime::run() {
    aio::Backoff backoff(kFirstWait, kLongestWait);
    for (;;) {
        opened_at_.reset();
        try {
            co_await serve_one_connection();
        } catch (const std::exception& e) {
            handlers_.closed();
            if (aio::is_cancellation(e)) {
                protocol::update(condition_, Health::unknown, "closed");
                throw;
            }
            // One line an outage, however many attempts it takes.
            const bool was_ok = condition_.status != Health::failing;
            protocol::update(condition_, Health::failing, describe(e));
            if (was_ok) log::warning("realtime: {}", condition_.reason);
            const auto* error = dynamic_cast<const Error*>(&e);
            if (error != nullptr && error->kind() == ErrorKind::unauthenticated) {
                handlers_.unauthenticated();
            }
        }
        if (server_.away()) continue;  // the next call waits for it
        if (opened_at_ && std::chrono::steady_clock::now() - *opened_at_ > kProven) backoff.reset();
        // If the server ended, the connections of all its agents did at this moment.
        const auto spread = std::min(spread_, kLongestWait);
        co_await aio::sleep(std::max(backoff.next(), aio::Backoff(spread, spread).next()));
    }
}

Task<> Realtime::serve_one_connection() {
    const auto socket = co_await server_.realtime();
    opened_at_ = std::chrono::steady_clock::now();
    protocol::update(condition_, Health::ok);
    log::info("realtime: connected");
    handlers_.opened();
    while (auto message = co_await socket->read()) {
        if (!message->binary) co_await handle(*socket, std::move(message->data));
    }
    throw Error(ErrorKind::unavailable, "the server closed the realtime connection");
}

Task<> Realtime::handle(net::WebSocket& socket, std::string text) {
    ControlMessage message;
    try {
        message = wire::from_json_text<ControlMessage>(text);
    } catch (const InvalidInput& e) {
        // A newer server may say what this agent does not know.
        log::debug("realtime: passed over a message: {}", e.what());
        co_return;
    }
    switch (message.type) {
        case ControlType::nudge:
            handlers_.nudged(message.revision.value_or(-1));
            break;
        case ControlType::settings:
            handlers_.settings_changed();
            break;
        case ControlType::plan:
            if (message.id) handlers_.plan_asked(*message.id);
            break;
        case ControlType::session:
            handlers_.session_asked();
            break;
        case ControlType::trunk:
            handlers_.trunk_asked();
            break;
        case ControlType::echo: {
            spread_ =
                std::chrono::milliseconds{std::max<std::int64_t>(message.spread_ms.value_or(0), 0)};
            ControlMessage reply;
            reply.type = ControlType::echo_reply;
            reply.id = message.id;
            auto reply_text = wire::to_json_text(reply);
            co_await socket.write(std::move(reply_text));
            break;
        }
        case ControlType::echo_reply:
            break;
    }
}

}  // namespace trailer::agent
