// The feed of GET /api/events: the last changes in a ring, and those who follow it.
//
// Each event has an audience, and is told to those of it alone.
// A follower keeps only its place in the ring, so a slow one costs nothing: when the ring has gone
// past its place, it is told so and begins anew. One thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "aio/signal.h"
#include "server/service/state.h"

namespace trailer::server {

class EventFeed {
  public:
    static constexpr std::size_t kRing = 4096;

    explicit EventFeed(asio::any_io_executor executor);

    using Audience = std::set<std::string>;  // ids of users, beside the admins
    using MaySee = std::function<bool(const Audience& audience)>;

    void publish(const Change& change, Audience audience);

    // "EPOCH-SEQUENCE", as Last-Event-ID carries it; the epoch is this process's own.
    std::string last_id() const;

    class Follower {
      public:
        // From after `last_event_id`, or from now on when there is none. `may_see` is asked when an
        // event is taken: a right that is lost by then counts.
        Follower(EventFeed& feed, std::optional<std::string> last_event_id, MaySee may_see);
        ~Follower();
        Follower(const Follower&) = delete;
        Follower& operator=(const Follower&) = delete;

        // Server-sent events that wait, as they go on the wire (at most about `most` bytes); empty
        // when nothing came within `patience`.
        Task<std::string> next(std::chrono::milliseconds patience);

      private:
        std::string take();

        friend class EventFeed;
        EventFeed& feed_;
        MaySee may_see_;
        aio::Signal wake_;
        std::uint64_t place_ = 0;  // the sequence number that comes next
        bool reset_ = false;
        bool greeted_ = false;
    };

  private:
    struct Event {
        std::string text;
        Audience audience;
    };

    asio::any_io_executor executor_;
    std::string epoch_;
    std::uint64_t next_ = 1;  // the sequence number of the next event
    std::deque<Event> ring_;
    std::set<Follower*> followers_;
};

}  // namespace trailer::server
