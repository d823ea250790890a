#include "client/sse.h"

#include <charconv>

#include "base/error.h"

namespace trailer::client {
namespace {

constexpr std::size_t kLargest = 16 << 20;

}  // namespace

void SseParser::feed(std::string_view piece) {
    while (!piece.empty()) {
        if (after_cr_) {
            after_cr_ = false;
            if (piece.front() == '\n') {
                piece.remove_prefix(1);
                continue;
            }
        }
        const auto end = piece.find_first_of("\r\n");
        partial_ += piece.substr(0, end);
        if (partial_.size() + data_.size() > kLargest) {
            throw Error(ErrorKind::too_large, "the server sent an event of more than 16 MiB");
        }
        if (end == piece.npos) return;
        after_cr_ = piece[end] == '\r';
        piece.remove_prefix(end + 1);
        const auto whole = std::move(partial_);
        partial_.clear();
        line(whole);
    }
}

std::optional<ServerSentEvent> SseParser::next() {
    if (ready_.empty()) return std::nullopt;
    auto event = std::move(ready_.front());
    ready_.pop_front();
    return event;
}

void SseParser::line(std::string_view text) {
    if (first_line_ && text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    first_line_ = false;
    if (text.empty()) return dispatch();
    const auto colon = text.find(':');
    if (colon == 0) return;  // a comment: the server keeps the connection alive
    const auto field = text.substr(0, colon);
    auto value = colon == text.npos ? std::string_view() : text.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (field == "data") {
        if (has_data_) data_ += '\n';
        data_ += value;
        has_data_ = true;
    } else if (field == "event") {
        name_ = value;
    } else if (field == "id") {
        if (value.find('\0') == value.npos) last_event_id_ = value;
    } else if (field == "retry") {
        int milliseconds = 0;
        const auto* last = value.end();
        const auto [stop, error] = std::from_chars(value.begin(), last, milliseconds);
        if (error == std::errc{} && stop == last && milliseconds >= 0) retry_ms_ = milliseconds;
    }
}

void SseParser::dispatch() {
    // Unlike the specification, an event that has a name and no data counts: `reset` has none.
    if (has_data_ || !name_.empty()) {
        ready_.push_back(
            {name_.empty() ? "message" : std::move(name_), std::move(data_), last_event_id_});
    }
    name_.clear();
    data_.clear();
    has_data_ = false;
}

}  // namespace trailer::client
