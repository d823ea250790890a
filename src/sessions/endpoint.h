// The host's side of a session: what gives its output and takes its input.
#pragma once

#include <string>

#include "aio/task.h"
#include "protocol/session.h"

namespace trailer::sessions {

// read() and take() may be under way at the same time. One thread.
class Endpoint {
  public:
    virtual ~Endpoint() = default;

    // The next message, at most protocol::kMostSessionData bytes; the last is on Channel::end.
    // Throws Error for what ends the session with a problem.
    virtual Task<std::string> read() = 0;
    // Input, a resize or a close. Throws Error where nobody takes input any more.
    virtual Task<> take(std::string message) = 0;
    // The session is over: ends what it has started and what is still there of it. Never throws.
    virtual Task<> terminate() { co_return; }
    // What it has started goes on by itself when the session is over.
    virtual void let_go() {}
    virtual bool tty() const { return false; }
};

}  // namespace trailer::sessions
