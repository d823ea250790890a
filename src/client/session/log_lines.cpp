#include "client/session/log_lines.h"

#include <utility>

namespace trailer::client {
namespace {

constexpr std::size_t kMostHeld = 1 << 20;  // of a line without an end

// "2026-11-24T01:02:03.123Z", as logs write it.
bool is_time(std::string_view word) {
    constexpr std::size_t kShortest = 20;
    return word.size() >= kShortest && word[4] == '-' && word[10] == 'T' && word.ends_with('Z');
}

}  // namespace

std::vector<LogEntry> entries_of(std::string_view data, LogTimes times) {
    std::vector<LogEntry> entries;
    while (!data.empty()) {
        const auto end = data.find('\n');
        const auto line = data.substr(0, end == data.npos ? end : end + 1);
        data.remove_prefix(line.size());
        const auto blank = line.find(' ');
        const auto word = blank == line.npos ? std::string_view() : line.substr(0, blank);
        if (times == LogTimes::own) {
            entries.push_back({.time = is_time(word) ? word : std::string_view(), .text = line});
        } else if (blank == line.npos) {
            entries.push_back({.time = {}, .text = line});
        } else {
            entries.push_back({.time = word, .text = line.substr(blank + 1)});
        }
    }
    return entries;
}

void LogPlace::pass(const LogEntry& entry) {
    if (entry.time.empty()) return;
    mark_.pass(entry.time);
    time_ = entry.time;
    text_ = entry.text;
}

void LogFormat::add(bool errors, const LogEntry& entry, std::string& out) {
    auto& channel = channels_[errors ? 1 : 0];
    const bool whole = prefix_.empty() || (channel.held.empty() && entry.text.ends_with('\n'));
    auto& text = whole ? out : channel.held;
    if (!channel.in_line) {
        text += prefix_;
        if (timestamps_) text.append(entry.time) += ' ';
    }
    text += entry.text;
    channel.in_line = !entry.text.ends_with('\n');
    if (whole) return;
    if (!channel.in_line) {
        out += std::exchange(channel.held, {});
    } else if (channel.held.size() > kMostHeld) {
        out += finish(errors);
    }
}

std::string LogFormat::finish(bool errors) {
    auto& channel = channels_[errors ? 1 : 0];
    channel.in_line = false;
    if (channel.held.empty()) return {};
    return std::exchange(channel.held, {}) + "\n";
}

}  // namespace trailer::client
