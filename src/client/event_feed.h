// Changes of resources as they come: GET /api/events, for as long as it takes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "aio/backoff.h"
#include "aio/task.h"
#include "client/api.h"
#include "client/sse.h"
#include "protocol/api.h"

namespace trailer::client {

// Connects, resumes after the last event it saw, and connects again with backoff when the
// connection breaks. One thread; one caller.
class EventFeed {
  public:
    // `trouble` is told, once for each break, why the connection broke.
    EventFeed(Api& api, std::function<void(const std::string&)> trouble)
        : api_(api), trouble_(std::move(trouble)) {}

    // The next change. Nothing: changes may have been missed, so list everything anew; the first
    // answer is always this. Throws what the server refuses for good (not logged in, not allowed).
    Task<std::optional<protocol::ResourceEvent>> next();

  private:
    Task<> connect();
    Task<> read_some();

    Api& api_;
    std::function<void(const std::string&)> trouble_;
    std::unique_ptr<net::ResponseStream> stream_;
    SseParser parser_;
    std::string last_event_id_;
    aio::Backoff backoff_;
    bool broken_ = false;  // told to `trouble_` already
};

}  // namespace trailer::client
