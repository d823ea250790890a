// The checks of `trailer doctor`: what has to be in place, what is, and what to do about the rest.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/time.h"
#include "client/terminal.h"

namespace trailer::client {

enum class CheckResult { ok, warning, failed, skipped };

struct Check {
    std::string name;  // "engine"
    CheckResult result = CheckResult::ok;
    std::string detail;
    std::string remedy;  // what to do; empty where all is well
};

// "none" is well; a file that others may read or write is not.
Check check_private_file(std::string name, const std::filesystem::path& file);
// 32 hexadecimal digits (machine-id(5)).
Check check_machine_id(const std::filesystem::path& file);
Check check_cgroups(const std::filesystem::path& mount);
// `date`: the server's Date header. Beyond some seconds, ages and expiries mislead people.
Check check_clock(std::string_view date, Timestamp here);
// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, section 5.6.7).
std::optional<Timestamp> parse_http_date(std::string_view text);

std::string check_list(const std::vector<Check>& checks, const Palette& palette);

}  // namespace trailer::client
