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

// A session waits a minute for its connection: a server that is back must be found well before.
// With full jitter ten thousand agents come at two thousand a second.
constexpr std::chrono::seconds kLongestWait{10};

}  // namespace

Realtime::Realtime(ServerLink& server, Handlers handlers)
    : server_(server), handlers_(std::move(handlers)) {
    protocol::update(condition_, Health::unknown, "not connected yet");
}

Task<> Realtime::run() {
    aio::Backoff backoff(std::chrono::milliseconds{250}, kLongestWait);
    for (;;) {
        const auto begun = std::chrono::steady_clock::now();
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
        if (std::chrono::steady_clock::now() - begun > kProven) backoff.reset();
        co_await aio::sleep(backoff.next());
    }
}

Task<> Realtime::serve_one_connection() {
    const auto socket = co_await server_.realtime();
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
        case ControlType::echo: {
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
