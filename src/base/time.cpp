#include "base/time.h"

#include <charconv>

#include "base/error.h"

namespace trailer {

using namespace std::chrono;

Timestamp now() {
    return time_point_cast<milliseconds>(system_clock::now());
}

std::string format_rfc3339(Timestamp time) {
    const auto day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss clock{time - day};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", int{date.year()},
                       unsigned{date.month()}, unsigned{date.day()}, clock.hours().count(),
                       clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

Timestamp parse_rfc3339(std::string_view text) {
    const auto fail = [&]() -> InvalidInput {
        return {"",
                fmt::format("expected an RFC 3339 time such as 2026-11-23T09:30:00Z, got \"{}\"",
                            text.substr(0, 64))};
    };
    const auto number = [&](std::size_t from, std::size_t length) {
        int value = 0;
        if (from + length > text.size()) throw fail();
        const auto* end = text.data() + from + length;
        const auto [stop, error] = std::from_chars(text.data() + from, end, value);
        if (error != std::errc{} || stop != end) throw fail();
        return value;
    };
    const auto expect = [&](std::size_t at, std::string_view any) {
        if (at >= text.size() || any.find(text[at]) == any.npos) throw fail();
    };
    expect(4, "-");
    expect(7, "-");
    expect(10, "Tt ");
    expect(13, ":");
    expect(16, ":");
    const year_month_day date{year{number(0, 4)}, month(static_cast<unsigned>(number(5, 2))),
                              day(static_cast<unsigned>(number(8, 2)))};
    const int hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
    if (!date.ok() || hour > 23 || minute > 59 || second > 60) throw fail();
    Timestamp time = sys_days{date} + hours{hour} + minutes{minute} + seconds{second};
    std::size_t at = 19;
    if (at < text.size() && text[at] == '.') {
        int scale = 100;
        const auto first = ++at;
        for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10) {
            time += milliseconds{(text[at] - '0') * scale};
        }
        if (at == first) throw fail();
    }
    expect(at, "Zz+-");
    if (text[at] == 'Z' || text[at] == 'z') {
        if (at + 1 != text.size()) throw fail();
        return time;
    }
    expect(at + 3, ":");
    if (at + 6 != text.size()) throw fail();
    const auto offset = hours{number(at + 1, 2)} + minutes{number(at + 4, 2)};
    return text[at] == '+' ? time - offset : time + offset;
}

std::string format_duration(milliseconds duration) {
    const auto count = duration.count();
    if (count < 1000) return fmt::format("{} ms", count);
    if (count < 120'000) return fmt::format("{} s", count / 1000);
    if (count < 120 * 60'000) return fmt::format("{} min", count / 60'000);
    if (count < 48 * 3'600'000LL) return fmt::format("{} h", count / 3'600'000);
    return fmt::format("{} d", count / 86'400'000);
}

}  // namespace trailer
