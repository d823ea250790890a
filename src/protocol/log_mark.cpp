#include "protocol/log_mark.h"

namespace trailer::protocol {
namespace {

// Up to the second: "2026-11-24T01:02:03".
constexpr std::size_t kSeconds = 19;
// Of three marks in different seconds the oldest is more than a second older than the newest line.
constexpr std::size_t kMostMarks = 3;

bool is_a_later_second(std::string_view time, std::string_view than) {
    return time.substr(0, kSeconds) > than.substr(0, kSeconds);
}

}  // namespace

LogMark::LogMark(const LogQuery& asked) : asked_since_(asked.since) {
    if (asked.tail) return;  // what comes first is not the first from there on
    marks_.push_back({.time = asked.since, .passed = asked.skip, .asked = true});
}

const std::string& LogMark::since() const {
    return marks_.empty() ? asked_since_ : marks_.front().time;
}

void LogMark::pass(std::string_view time) {
    for (auto& each : marks_) {
        if (each.asked || time >= each.time) ++each.passed;
    }
    if (time > newest_) {
        newest_ = time;
        at_newest_ = 1;
    } else if (time == newest_) {
        ++at_newest_;
    }
    if (marks_.empty() || is_a_later_second(newest_, marks_.back().time)) begin_mark();
}

void LogMark::begin_mark() {
    marks_.push_back({.time = newest_, .passed = at_newest_});
    if (marks_.size() > kMostMarks) marks_.pop_front();
}

}  // namespace trailer::protocol
