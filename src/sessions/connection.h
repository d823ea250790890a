// What carries a session's messages to the person and back, for as long as it holds.
#pragma once

#include <optional>
#include <string>

#include "aio/task.h"
#include "base/buffer.h"

namespace trailer::sessions {

// One reader and one writer at a time, which may be different coroutines. One thread.
class Connection {
  public:
    virtual ~Connection() = default;

    // The next binary message; nothing when the other side has closed in good order. Throws Error
    // when the connection broke.
    virtual Task<std::optional<std::string>> read() = 0;
    // Returns when the message is on its way: a slow reader slows its writer.
    virtual Task<> write(SharedBytes message) = 0;
    virtual Task<> write_text(std::string text) = 0;
    virtual Task<> close(std::string reason) = 0;  // in good order; never throws
    virtual void abort() = 0;
};

}  // namespace trailer::sessions
