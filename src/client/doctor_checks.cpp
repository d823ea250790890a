#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "base/error.h"
#include "base/file.h"
#include "client/doctor.h"

namespace trailer::client {
namespace {

using namespace std::chrono;

constexpr auto kToleratedDifference = seconds(5);

std::string trimmed(std::string text) {
    text.erase(text.find_last_not_of(" \r\n\t") + 1);
    return text;
}

std::string_view word_of(CheckResult result) {
    switch (result) {
        case CheckResult::ok:
            return "ok";
        case CheckResult::warning:
            return "warn";
        case CheckResult::failed:
            return "fail";
        case CheckResult::skipped:
            return "-";
    }
    return "?";
}

Style style_of(CheckResult result) {
    switch (result) {
        case CheckResult::ok:
            return Style::good;
        case CheckResult::warning:
            return Style::busy;
        case CheckResult::failed:
            return Style::bad;
        case CheckResult::skipped:
            return Style::dim;
    }
    return Style::plain;
}

}  // namespace

Check check_private_file(std::string name, const std::filesystem::path& file) {
    struct stat status{};
    if (::stat(file.c_str(), &status) != 0) {
        return {std::move(name), CheckResult::skipped, file.string() + " is not there", ""};
    }
    const auto mode = status.st_mode & 07777U;
    if ((mode & 077U) != 0) {
        return {
            std::move(name), CheckResult::failed,
            fmt::format("{} has mode {:04o}: others may use it", file.string(), mode),
            fmt::format("chmod 600 {}; if others may have read it, make a new one", file.string())};
    }
    if (status.st_uid != ::geteuid() && ::geteuid() != 0) {
        return {std::move(name), CheckResult::failed,
                fmt::format("{} belongs to user {}", file.string(), status.st_uid),
                "run this as that user, or remove the file"};
    }
    return {std::move(name), CheckResult::ok, fmt::format("{} ({:04o})", file.string(), mode), ""};
}

Check check_machine_id(const std::filesystem::path& file) {
    const auto remedy =
        "make one: systemd-machine-id-setup; an agent in a container takes the "
        "engine's id instead";
    std::string text;
    try {
        text = trimmed(read_file(file));
    } catch (const Error& e) {
        return {"machine-id", CheckResult::warning, e.what(), remedy};
    }
    const bool whole =
        text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
    // The id itself is nobody's business, and so is not shown.
    if (whole) return {"machine-id", CheckResult::ok, file.string(), ""};
    return {"machine-id", CheckResult::warning,
            file.string() + " does not hold 32 hexadecimal digits", remedy};
}

Check check_cgroups(const std::filesystem::path& mount) {
    std::error_code ignored;
    if (std::filesystem::exists(mount / "cgroup.controllers", ignored)) {
        return {"cgroups", CheckResult::ok, "version 2", ""};
    }
    if (std::filesystem::exists(mount / "memory", ignored)) {
        return {"cgroups", CheckResult::ok, "version 1", ""};
    }
    return {"cgroups", CheckResult::warning, mount.string() + " has no controllers",
            "workspaces' limits need them: mount cgroups, as every distribution does"};
}

std::optional<Timestamp> parse_http_date(std::string_view text) {
    constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    unsigned day_of_month = 0;
    std::array<char, 4> month_name{};
    int year_number = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
    const std::string copy(text);
    if (std::sscanf(copy.c_str(), "%*3s, %2u %3s %4d %2d:%2d:%2d GMT", &day_of_month,
                    month_name.data(), &year_number, &hour, &minute, &second) != 6) {
        return std::nullopt;
    }
    const auto found = std::ranges::find(kMonths, std::string_view(month_name.data()));
    if (found == kMonths.end()) return std::nullopt;
    const year_month_day date{year(year_number),
                              month(static_cast<unsigned>(found - kMonths.begin()) + 1),
                              day(day_of_month)};
    if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
    return Timestamp(sys_days(date) + hours(hour) + minutes(minute) + seconds(second));
}

Check check_clock(std::string_view date, Timestamp here) {
    const auto there = parse_http_date(date);
    if (!there) return {"clock", CheckResult::skipped, "the server does not tell its time", ""};
    // The header has whole seconds: half of one is the best guess.
    const auto difference = here - *there - milliseconds(500);
    const auto size = difference < milliseconds(0) ? -difference : difference;
    if (size <= kToleratedDifference) {
        return {"clock", CheckResult::ok, "agrees with the server's", ""};
    }
    return {"clock", CheckResult::warning,
            fmt::format("is {} {} the server's", format_duration(size),
                        difference < milliseconds(0) ? "behind" : "ahead of"),
            "set both by NTP: timedatectl set-ntp true"};
}

std::string check_list(const std::vector<Check>& checks, const Palette& palette) {
    std::size_t width = 0;
    for (const auto& check : checks) width = std::max(width, width_of(check.name));
    std::string text;
    for (const auto& check : checks) {
        const auto word = word_of(check.result);
        text +=
            fmt::format("{}{}{}{}{}\n", palette.paint(style_of(check.result), word),
                        std::string(6 - word.size(), ' '), check.name,
                        std::string(width - width_of(check.name) + 3, ' '), one_line(check.detail));
        if (!check.remedy.empty()) {
            text += fmt::format("{}-> {}\n", std::string(6 + width + 3, ' '), check.remedy);
        }
    }
    return text;
}

}  // namespace trailer::client
