// The engine's multiplexed output (Docker Engine API 1.41, "Attach to a container", stream format):
// a header of eight bytes, {stream, 0, 0, 0, length big-endian}, then as many bytes. A terminal's
// output comes without headers.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/runtime.h"

namespace trailer::runtime::docker {

class OutputFrames {
  public:
    explicit OutputFrames(bool tty) : tty_(tty) {}

    // Pieces of the output, as they are known from these bytes: of a long frame what has come.
    // Throws Error(internal) for what is no such stream.
    std::vector<Output> feed(std::string bytes);

  private:
    bool tty_;
    std::string header_;
    bool errors_ = false;
    std::size_t left_ = 0;  // of the frame that has begun
};

// Puts a log's entries together: each of the engine's frames is one, and begins with its time. A
// terminal's log has no frames; there a line is one, and of a long line each part that the engine
// has kept. What it gives lasts until the next call.
class LogEntries {
  public:
    explicit LogEntries(bool tty) : tty_(tty) {}

    std::span<const LogEntry> feed(std::string bytes);
    // What stands without a line end when the stream has ended.
    std::span<const LogEntry> finish();

  private:
    void begin();
    void find_frames();
    void find_lines();
    void add(bool errors, std::string_view text);

    bool tty_;
    std::string held_;       // the bytes of entries_, and what has come of the next one
    std::size_t given_ = 0;  // of held_: entries_ has them
    std::vector<LogEntry> entries_;
};

}  // namespace trailer::runtime::docker
