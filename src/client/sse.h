// Server-sent events, read piece by piece (WHATWG HTML, section 9.2.6).
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace trailer::client {

struct ServerSentEvent {
    std::string name = "message";
    std::string data;
    std::string id;  // the last id seen up to this event

    bool operator==(const ServerSentEvent&) const = default;
};

// Takes the stream in pieces cut anywhere; gives whole events.
class SseParser {
  public:
    // Throws Error(too_large) for an event or a line beyond 16 MiB.
    void feed(std::string_view piece);
    std::optional<ServerSentEvent> next();

    const std::string& last_event_id() const { return last_event_id_; }
    // What the server asked for as the wait before a reconnection.
    std::optional<int> retry_ms() const { return retry_ms_; }

  private:
    void line(std::string_view text);
    void dispatch();

    std::string partial_;     // a line without its end
    bool after_cr_ = false;   // a '\n' that comes now belongs to the '\r' before
    bool first_line_ = true;  // it may begin with a byte order mark
    std::string name_;
    std::string data_;
    bool has_data_ = false;
    std::string last_event_id_;
    std::optional<int> retry_ms_;
    std::deque<ServerSentEvent> ready_;
};

}  // namespace trailer::client
