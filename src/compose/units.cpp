#include "compose/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace trailer::compose {
namespace {

constexpr double kMost = 9e15;  // what a double still counts one by one

// Takes a decimal number (no sign, no exponent) off the front of `text`.
std::optional<double> take_number(std::string_view& text) {
    const auto digits = text.substr(0, text.find_first_not_of("0123456789."));
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value,
                                              std::chars_format::fixed);
    const bool whole = end == digits.data() + digits.size();
    if (digits.empty() || error != std::errc{} || !whole) return std::nullopt;
    text.remove_prefix(digits.size());
    return value;
}

constexpr std::array kDurations{
    std::pair{std::string_view{"ms"}, 1.0},        std::pair{std::string_view{"us"}, 1e-3},
    std::pair{std::string_view{"ns"}, 1e-6},       std::pair{std::string_view{"s"}, 1e3},
    std::pair{std::string_view{"m"}, 60e3},        std::pair{std::string_view{"h"}, 3600e3},
    std::pair{std::string_view{"d"}, 24 * 3600e3}, std::pair{std::string_view{"w"}, 168 * 3600e3},
};

}  // namespace

std::optional<std::int64_t> parse_duration_ms(std::string_view text) {
    if (text == "0") return 0;
    if (text.empty()) return std::nullopt;
    double ms = 0;
    while (!text.empty()) {
        const auto value = take_number(text);
        if (!value) return std::nullopt;
        const auto unit = std::ranges::find_if(
            kDurations, [&](const auto& each) { return text.starts_with(each.first); });
        if (unit == kDurations.end()) return std::nullopt;
        text.remove_prefix(unit->first.size());
        ms += *value * unit->second;
    }
    if (ms > kMost) return std::nullopt;
    return static_cast<std::int64_t>(std::ceil(ms - 1e-9));
}

std::optional<std::int64_t> parse_bytes(std::string_view text) {
    auto value = take_number(text);
    if (!value) return std::nullopt;
    if (text.starts_with(' ')) text.remove_prefix(1);
    constexpr std::string_view kPrefixes = "kmgtp";
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    if (!text.empty()) {
        if (const auto power = kPrefixes.find(lower(text.front())); power != kPrefixes.npos) {
            *value *= std::pow(1024.0, static_cast<double>(power + 1));
            text.remove_prefix(1);
            if (!text.empty() && lower(text.front()) == 'i') text.remove_prefix(1);
        }
    }
    if (!text.empty() && lower(text.front()) == 'b') text.remove_prefix(1);
    if (!text.empty() || *value > kMost) return std::nullopt;
    return static_cast<std::int64_t>(*value);
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

std::optional<double> parse_number(std::string_view text) {
    const auto value = take_number(text);
    if (!value || !text.empty()) return std::nullopt;
    return value;
}

}  // namespace trailer::compose
