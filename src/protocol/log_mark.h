// How far a log is known, so that it can be asked for anew from there, no line lost and none
// repeated.
//
// Engines keep a container's two streams as their lines come, which is not quite by the times that
// they carry, and give what is not older than `since` in the order kept. So it is not the newest
// line that is asked from but one at least a second older (or the beginning, of a young log), and
// those from it on that are known already are counted: just so many come first.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "protocol/session.h"

namespace trailer::protocol {

class LogMark {
  public:
    // Of a log whose first line to come need not be its first at all.
    LogMark() = default;
    // Of one that is read as `asked`, by which its first lines may be known already.
    explicit LogMark(const LogQuery& asked);

    // Notes one more line, with its time as the log has it: the times of one log compare as texts.
    void pass(std::string_view time);

    // What to ask with, as LogQuery has it.
    const std::string& since() const;
    std::int64_t skip() const { return marks_.empty() ? 0 : marks_.front().passed; }
    // The newest time of those that were passed; "" where none was.
    const std::string& newest() const { return newest_; }

  private:
    struct Mark {
        std::string time;
        std::int64_t passed = 0;  // lines that are not older
        bool asked = false;       // by whom the log is read: none that comes is older
    };

    void begin_mark();

    std::deque<Mark> marks_;  // the oldest first
    std::string newest_;
    std::int64_t at_newest_ = 0;  // lines of that very time
    std::string asked_since_;     // until a mark is there
};

}  // namespace trailer::protocol
