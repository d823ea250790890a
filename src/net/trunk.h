// Many WebSockets within one, its carrier: connections that begin and end without a handshake, and
// of which what is said at the same time costs one system call together.
//
// What the lines have to say goes out in turns, so that one that says much does not hold up the
// others by more than a message. A line whose reader is slow holds up its own writer alone: so much
// of it may be under way that is not read yet. What the carrier loses on the way holds up all.
//
// Memory: of each line at most kWindow and a message, each way. One thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "net/websocket.h"

namespace trailer::net {

class Trunk {
  public:
    static constexpr std::size_t kWindow = 1 << 20;       // bytes
    static constexpr std::size_t kMostMessage = 1 << 18;  // bytes; a longer one is not sent
    static constexpr std::size_t kMostLines = 4096;       // that the peer may have open
    // What the carrier must let pass (WebSocketOptions::max_message).
    static constexpr std::size_t kMostCarried = 1 << 20;

    // Serves a line that the peer has opened, for as long as run() runs. Its exceptions end the
    // line.
    using Accept = std::function<Task<>(std::unique_ptr<WebSocket> line)>;

    Trunk(const asio::any_io_executor& executor, std::shared_ptr<WebSocket> carrier, Accept accept);
    ~Trunk();
    Trunk(const Trunk&) = delete;
    Trunk& operator=(const Trunk&) = delete;

    // Until the carrier ends: then every line has broken. Throws what reading the carrier throws,
    // and Error(unavailable) where it was closed.
    Task<> run();

    // A new line, with nothing said yet; it may outlive the trunk. A broken one where run() does
    // not run.
    std::unique_ptr<WebSocket> open();

    std::size_t lines() const;

  private:
    class Core;
    struct Line;
    class Handle;
    std::shared_ptr<Core> core_;  // shared with the lines
};

}  // namespace trailer::net
