// Connections to the server that wait for sessions, so that one opens without a round trip more.
//
// As many wait as were lately missed: one when nobody opens sessions, up to kMost when many do.
// Beside them one trunk, once the server has asked for it: what it is sent is opened without a
// connection of its own.
//
// None is tried while the realtime connection is down, and after a failure they come back one by
// one, with jitter.
#pragma once

#include <functional>

#include "agent/server_link.h"
#include "aio/backoff.h"
#include "aio/signal.h"
#include "aio/task_group.h"
#include "sessions/sessions.h"

namespace trailer::agent {

class SessionPool {
  public:
    // `unauthenticated` is called when the server no longer knows our token.
    SessionPool(const asio::any_io_executor& executor, ServerLink& server,
                std::function<void()> unauthenticated);

    // Until cancelled. `sessions` serves what is opened.
    Task<> run(sessions::Sessions* sessions);

    // The realtime connection is up, or not.
    void set_online(bool online);
    // Somebody had to wait for a connection.
    void want_more();
    // The server would like a trunk, if it has none.
    void want_trunk();

    std::size_t idle() const { return idle_; }

  private:
    Task<> hold_one(sessions::Sessions* sessions);
    Task<> use_one(sessions::Sessions* sessions);
    Task<> keep_trunk(sessions::Sessions* sessions);
    void failed(const std::exception& e, const char* what);

    asio::any_io_executor executor_;
    ServerLink& server_;
    std::function<void()> unauthenticated_;
    aio::Signal changed_;
    aio::Signal trunk_changed_;
    aio::Backoff backoff_;
    bool online_ = false;
    bool failed_ = false;  // the last attempt
    bool trunk_wanted_ = false;
    std::size_t opening_ = 0;  // being connected
    std::size_t idle_ = 0;
    std::size_t target_ = 1;
    std::chrono::steady_clock::time_point missed_at_;
};

}  // namespace trailer::agent
