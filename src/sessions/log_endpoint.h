// A workspace's log as a session: of its container, and of the one that takes its place.
//
// Following, it goes on where it was when the engine breaks the stream off, when the container is
// started again, and, from its beginning, with the container that replaces it.
#pragma once

#include <deque>
#include <functional>

#include "protocol/log_mark.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "sessions/endpoint.h"

namespace trailer::sessions {

class LogEndpoint : public Endpoint {
  public:
    // `notices`: whether the person's connection carries Channel::notice.
    LogEndpoint(runtime::ContainerRuntime& runtime, std::function<runtime::Place()> find,
                protocol::LogQuery query, bool notices);

    // Opens the log, so that what is wrong is told before the session begins. Throws not_found
    // where there is no container.
    Task<> open();

    Task<std::string> read() override;
    Task<> take(std::string message) override;

  private:
    Task<bool> next_entries();
    Task<bool> open_again();
    bool is_past_until() const;
    void add(std::span<const runtime::LogEntry> entries);
    std::string& message_for(bool errors);
    void notice(std::string text);

    runtime::ContainerRuntime& runtime_;
    std::function<runtime::Place()> find_;
    protocol::LogQuery query_;
    std::optional<Timestamp> until_;  // of the query
    bool notices_;

    std::string container_;  // whose log is being read
    std::unique_ptr<runtime::LogStream> stream_;
    protocol::LogMark mark_;
    // Of those that come first, so many are known; none that is newer than `known_until_`, where
    // that is known: then the engine has thrown those away.
    std::int64_t to_skip_ = 0;
    std::string known_until_;
    std::deque<std::string> messages_;
};

}  // namespace trailer::sessions
