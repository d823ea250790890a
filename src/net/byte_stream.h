// Raw bytes both ways: a connection after an Upgrade, or whatever carries one.
#pragma once

#include <string>

#include "aio/task.h"

namespace trailer::net {

// One reader and one writer at a time, which may be different coroutines.
class ByteStream {
  public:
    virtual ~ByteStream() = default;
    virtual Task<std::string> read() = 0;  // "" at the end
    virtual Task<> write(std::string data) = 0;
    virtual void shutdown_write() = 0;  // half-close
    // Drops the connection at once: a read or write under way ends with an exception.
    virtual void abort() = 0;
};

}  // namespace trailer::net
