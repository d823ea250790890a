// The process's log: to standard error, and to files whose total size is bounded.
//
// log::info("host {} is online", name). Any thread. A message never carries a secret: values that
// may be one are not passed here at all.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <utility>

namespace trailer::log {

enum class Level { debug, info, warning, error };

// Opens (or opens anew) the files. `max_total_bytes` bounds all files of `name` in `directory`
// together, across restarts: name.log and its predecessors name.1.log, name.2.log, … of which the
// oldest goes first. A disk that is full or a directory that can't be written loses lines, says so
// on standard error at most once a minute, and never stops the caller.
void open(const std::filesystem::path& directory, std::string_view name,
          std::uint64_t max_total_bytes);

// Closes and opens the files again (SIGHUP, after someone moved them away). No-op before open().
void reopen();

void set_level(Level level);
void set_stderr(bool enabled);
bool enabled(Level level);

void write(Level level, std::string_view message);

template <typename... Args>
void at(Level level, fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(level)) write(level, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
    at(Level::debug, format, std::forward<Args>(args)...);
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
    at(Level::info, format, std::forward<Args>(args)...);
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
    at(Level::warning, format, std::forward<Args>(args)...);
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
    at(Level::error, format, std::forward<Args>(args)...);
}

}  // namespace trailer::log
