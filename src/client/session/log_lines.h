// What a log's messages hold: entries, each with its time. Keeps the place up to which a log is
// known, so that it can be asked for anew from there.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/log_mark.h"

namespace trailer::client {

// A view into a message "TIME text\nTIME text\n"; the last may have no line end. `own`: the time is
// a part of the text, and a line that does not begin with one has none.
enum class LogTimes { given, own };
struct LogEntry {
    std::string_view time;
    std::string_view text;

    bool operator==(const LogEntry&) const = default;
};
std::vector<LogEntry> entries_of(std::string_view data, LogTimes times = LogTimes::given);

// The last entry that is known, and how the log is asked for anew so that it comes first.
class LogPlace {
  public:
    LogPlace() = default;
    explicit LogPlace(const protocol::LogQuery& asked) : mark_(asked) {}

    void pass(const LogEntry& entry);

    bool known() const { return !time_.empty(); }
    const std::string& time() const { return time_; }
    bool is(const LogEntry& entry) const { return entry.time == time_ && entry.text == text_; }
    // Whether an entry that is not the last one may be known too.
    bool may_have(const LogEntry& entry) const { return entry.time <= mark_.newest(); }
    const std::string& since() const { return mark_.since(); }
    std::int64_t skip() const { return mark_.skip() - 1; }
    const std::string& newest() const { return mark_.newest(); }

  private:
    std::string time_;
    std::string text_;
    protocol::LogMark mark_;
};

// Entries as a person wants to see them. Standard output and error are kept apart.
class LogFormat {
  public:
    // `prefix` stands before each line, which then is written whole or not at all.
    LogFormat(std::string prefix, bool timestamps)
        : prefix_(std::move(prefix)), timestamps_(timestamps) {}

    // Appends what is to be written now to `out`.
    void add(bool errors, const LogEntry& entry, std::string& out);
    // What is left of a line that has no end.
    std::string finish(bool errors);

  private:
    struct Channel {
        bool in_line = false;  // its beginning was given
        std::string held;
    };
    std::string prefix_;
    bool timestamps_;
    std::array<Channel, 2> channels_;
};

}  // namespace trailer::client
