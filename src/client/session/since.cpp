#include "client/session/since.h"

#include <charconv>
#include <optional>

#include "base/time.h"
#include "client/failure.h"

namespace trailer::client {
namespace {

using std::chrono::seconds;

constexpr std::int64_t kMostCount = 100'000'000;  // of any unit: days are some 270,000 years

std::optional<seconds> unit_of(char letter) {
    switch (letter) {
        case 's':
            return seconds(1);
        case 'm':
            return seconds(60);
        case 'h':
            return seconds(3600);
        case 'd':
            return seconds(86'400);
        default:
            return std::nullopt;
    }
}

// "1h30m", "90s"; nothing for anything else.
std::optional<seconds> read_duration(std::string_view text) {
    if (text.empty()) return std::nullopt;
    seconds sum{0};
    while (!text.empty()) {
        std::int64_t count = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
        const auto digits = static_cast<std::size_t>(end - text.data());
        if (error != std::errc{} || digits == text.size() || count < 0 || count > kMostCount) {
            return std::nullopt;
        }
        const auto unit = unit_of(text[digits]);
        if (!unit) return std::nullopt;
        sum += count * *unit;
        text.remove_prefix(digits + 1);
    }
    return sum;
}

bool is_time(std::string_view text) {
    try {
        parse_rfc3339(text);
        return true;
    } catch (const InvalidInput&) {
        return false;
    }
}

}  // namespace

std::string read_moment(std::string_view flag, std::string_view text) {
    if (text.empty()) return {};
    if (const auto ago = read_duration(text)) {
        return format_rfc3339(std::max(now() - *ago, Timestamp{}));
    }
    if (is_time(text)) return std::string(text);
    throw UsageError(fmt::format(
        "{}: expected a time such as 2026-11-24T09:30:00Z, or how long ago such as 1h30m, got "
        "\"{}\"",
        flag, text));
}

}  // namespace trailer::client
