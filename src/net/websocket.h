// One WebSocket connection (RFC 6455), client's or server's.
//
// One reader and one writer at a time, which may be different coroutines; several writers take
// turns inside write(). Pings are answered by read(). One thread.
//
// Liveness: each side pings. A peer is given up within 2 * ping_interval when nothing comes from it
// while someone reads, or when what was sent to it is lost on the way (TCP retransmits). A peer
// that merely does not read is alive: it slows its writer, for as long as it likes.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "aio/task.h"
#include "base/buffer.h"
#include "base/error.h"
#include "net/http.h"

namespace trailer::net {

struct WebSocketMessage {
    bool binary = false;
    std::string data;
};

class WebSocket {
  public:
    virtual ~WebSocket() = default;

    // The next message; nothing when the peer has closed in good order. Throws Error(unavailable)
    // when the connection broke, was given up or aborted.
    virtual Task<std::optional<WebSocketMessage>> read() = 0;
    // Returns when the message is handed to the kernel: a slow peer slows its own writer. Throws
    // Error(unavailable).
    virtual Task<> write(std::string data, bool binary = false) = 0;
    // The same of what others hold too.
    virtual Task<> write(SharedBytes data, bool binary) = 0;
    // Says good-bye (code 1000 and the like), waits at most a second for the answer. Never throws.
    virtual Task<> close(int code = 1000, std::string reason = {}) = 0;
    // Drops the connection at once: a read or write under way ends with an exception.
    virtual void abort() = 0;
    virtual std::string peer() const = 0;         // "127.0.0.1:5123"
    virtual std::string subprotocol() const = 0;  // agreed, or ""
};

struct WebSocketOptions {
    std::size_t max_message = 1 << 20;  // bytes; a larger one ends the connection (1009)
    std::chrono::milliseconds ping_interval{7'000};  // a dead peer is found within twice this
};

// The server answered a WebSocket's handshake with something else.
class UpgradeRefused : public Error {
  public:
    UpgradeRefused(ErrorKind kind, const std::string& message, Response response)
        : Error(kind, message), response_(std::move(response)) {}
    const Response& response() const { return response_; }

  private:
    Response response_;
};

}  // namespace trailer::net
