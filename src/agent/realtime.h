// The realtime connection: the server's nudges, and echoes by which it checks that we hear it.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "agent/server_link.h"
#include "aio/task.h"
#include "protocol/agent.h"

namespace trailer::agent {

class Realtime {
  public:
    struct Handlers {
        // The connection is open (again): what was said before may have been missed.
        std::function<void()> opened;
        std::function<void(std::int64_t revision)> nudged;
        std::function<void()> settings_changed;
        std::function<void(std::int64_t id)> plan_asked;
        std::function<void()> session_asked = [] {};
        std::function<void()> trunk_asked = [] {};
        std::function<void()> closed = [] {};
        std::function<void()> unauthenticated;
    };

    Realtime(ServerLink& server, Handlers handlers);

    // Connects, and connects again whenever the connection ends, until cancelled.
    Task<> run();

    const protocol::Condition& condition() const { return condition_; }

  private:
    Task<> serve_one_connection();
    Task<> handle(net::WebSocket& socket, std::string text);

    ServerLink& server_;
    Handlers handlers_;
    protocol::Condition condition_;
    std::chrono::milliseconds spread_{};  // as the server told
    std::optional<std::chrono::steady_clock::time_point> opened_at_;
};

}  // namespace trailer::agent
