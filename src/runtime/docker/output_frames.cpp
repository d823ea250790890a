#include "runtime/docker/output_frames.h"

#include "base/error.h"

namespace trailer::runtime::docker {
namespace {

constexpr std::size_t kHeader = 8;
constexpr unsigned char kErrors = 2;
constexpr std::size_t kMostEntry = 1 << 20;  // an engine's entry has 16 KiB, podman's some more

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
    if (space == text.npos) return {.errors = errors, .time = std::string(text), .text = {}};
    return {.errors = errors,
            .time = std::string(text.substr(0, space)),
            .text = std::string(text.substr(space + 1))};
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
            pieces.push_back({.errors = errors_, .data = std::string(rest.substr(0, take))});
        }
        rest.remove_prefix(take);
        left_ -= take;
    }
    return pieces;
}

std::vector<LogEntry> LogEntries::feed(std::string bytes) {
    if (rest_.empty()) {
        rest_ = std::move(bytes);
    } else {
        rest_ += bytes;
    }
    std::vector<LogEntry> entries;
    if (tty_) {
        feed_lines(entries);
    } else {
        feed_frames(entries);
    }
    return entries;
}

void LogEntries::feed_frames(std::vector<LogEntry>& entries) {
    std::string_view rest = rest_;
    while (rest.size() >= kHeader) {
        const auto frame = read_header(rest.substr(0, kHeader));
        if (frame.length > kMostEntry) {
            throw Error(ErrorKind::internal, "an entry of the log has {} bytes", frame.length);
        }
        if (rest.size() < kHeader + frame.length) break;
        entries.push_back(entry_of(frame.errors, rest.substr(kHeader, frame.length)));
        rest.remove_prefix(kHeader + frame.length);
    }
    rest_.erase(0, rest_.size() - rest.size());
}

void LogEntries::feed_lines(std::vector<LogEntry>& entries) {
    std::size_t begin = 0;
    for (;;) {
        const auto end = rest_.find('\n', begin);
        if (end == rest_.npos) break;
        entries.push_back(entry_of(false, std::string_view(rest_).substr(begin, end + 1 - begin)));
        begin = end + 1;
    }
    // A terminal that writes no line end: what is there is shown as it is.
    if (rest_.size() - begin > kMostEntry) {
        entries.push_back(entry_of(false, std::string_view(rest_).substr(begin)));
        begin = rest_.size();
    }
    rest_.erase(0, begin);
}

std::optional<LogEntry> LogEntries::finish() {
    if (!tty_ || rest_.empty()) return std::nullopt;
    return entry_of(false, std::exchange(rest_, {}));
}

}  // namespace trailer::runtime::docker
