#include "runtime/docker/output_frames.h"

#include <algorithm>

#include "base/error.h"

namespace trailer::runtime::docker {
namespace {

constexpr std::size_t kHeader = 8;
constexpr unsigned char kErrors = 2;
constexpr std::size_t kMostEntry = 1 << 20;  // an engine's entry has 16 KiB, podman's some more
constexpr std::size_t kPart = 16 << 10;      // of a longer line: the engine keeps it in parts
constexpr std::string_view kTime = "2026-11-24T01:02:03.123456789Z ";

struct Frame {
    bool errors = false;
    std::size_t length = 0;
};

// 0 is stdin, which is written on stdout; 3 is the engine's own trouble.
Frame read_header(std::string_view header) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(header[at]); };
    if (byte(0) > 3 || byte(1) != 0 || byte(2) != 0 || byte(3) != 0) {
        throw Error(ErrorKind::internal, "the engine's output is not in frames");
    }
    Frame frame{.errors = byte(0) >= kErrors};
    for (std::size_t i = 4; i < kHeader; ++i) frame.length = frame.length << 8U | byte(i);
    return frame;
}

// "2026-11-24T01:02:03.123456789Z text": the time and the rest.
LogEntry entry_of(bool errors, std::string_view text) {
    const auto space = text.find(' ');
    if (space == text.npos) return {.errors = errors, .time = text, .text = {}};
    return {.errors = errors, .time = text.substr(0, space), .text = text.substr(space + 1)};
}

bool begins_with_time(std::string_view text) {
    if (text.size() < kTime.size()) return false;
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    return std::ranges::equal(text.substr(0, kTime.size()), kTime, [&](char is, char like) {
        return is_digit(like) ? is_digit(is) : is == like;
    });
}

// Where the first entry of a terminal's log ends: with its line, or with a part of it, behind which
// the next part's time stands. Nothing while that has not come.
std::optional<std::size_t> end_of_entry(std::string_view rest) {
    const auto line = rest.find('\n');
    const auto text = rest.find(' ');
    if (text != rest.npos && rest.size() > text + 1 + kPart) {
        const auto part = text + 1 + kPart;
        if (line >= part && begins_with_time(rest.substr(part))) return part;
    }
    if (line != rest.npos) return line + 1;
    return std::nullopt;
}

}  // namespace

std::vector<Output> OutputFrames::feed(std::string bytes) {
    std::vector<Output> pieces;
    if (tty_) {
        if (!bytes.empty()) pieces.push_back({.errors = false, .data = std::move(bytes)});
        return pieces;
    }
    std::string_view rest = bytes;
    while (!rest.empty()) {
        if (left_ == 0) {
            const auto take = std::min(kHeader - header_.size(), rest.size());
            header_ += rest.substr(0, take);
            rest.remove_prefix(take);
            if (header_.size() < kHeader) break;
            const auto frame = read_header(header_);
            header_.clear();
            errors_ = frame.errors;
            left_ = frame.length;
            continue;
        }
        const auto take = std::min(left_, rest.size());
        // Neighbours of one stream travel together.
        if (!pieces.empty() && pieces.back().errors == errors_) {
            pieces.back().data += rest.substr(0, take);
        } else {
            pieces.push_back({.errors = errors_, .data = {}});
            pieces.back().data.reserve(take + 1);  // who passes it on puts a channel before it
            pieces.back().data += rest.substr(0, take);
        }
        rest.remove_prefix(take);
        left_ -= take;
    }
    return pieces;
}

std::span<const LogEntry> LogEntries::feed(std::string bytes) {
    begin();
    if (held_.empty()) {
        held_ = std::move(bytes);
    } else {
        held_ += bytes;
    }
    if (tty_) {
        find_lines();
    } else {
        find_frames();
    }
    return entries_;
}

std::span<const LogEntry> LogEntries::finish() {
    begin();
    if (tty_ && !held_.empty()) add(false, held_);
    return entries_;
}

void LogEntries::begin() {
    entries_.clear();
    held_.erase(0, std::exchange(given_, 0));
}

// The next bytes of what is held.
void LogEntries::add(bool errors, std::string_view text) {
    entries_.push_back(entry_of(errors, text));
    given_ = static_cast<std::size_t>(text.data() + text.size() - held_.data());
}

void LogEntries::find_frames() {
    std::string_view rest = held_;
    while (rest.size() >= kHeader) {
        const auto frame = read_header(rest.substr(0, kHeader));
        if (frame.length > kMostEntry) {
            throw Error(ErrorKind::internal, "an entry of the log has {} bytes", frame.length);
        }
        if (rest.size() < kHeader + frame.length) break;
        add(frame.errors, rest.substr(kHeader, frame.length));
        rest.remove_prefix(kHeader + frame.length);
    }
}

void LogEntries::find_lines() {
    std::string_view rest = held_;
    while (const auto end = end_of_entry(rest)) {
        add(false, rest.substr(0, *end));
        rest.remove_prefix(*end);
    }
    // A terminal that writes no line end: what is there is shown as it is.
    if (rest.size() > kMostEntry) add(false, rest);
}

}  // namespace trailer::runtime::docker
