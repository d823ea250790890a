#include "runtime/docker/start_failure.h"

#include <fmt/format.h>

namespace trailer::runtime::docker {
namespace {

bool has(std::string_view text, std::string_view part) {
    return text.find(part) != text.npos;
}

}  // namespace

bool starts_never_again(std::string_view message, std::string_view id) {
    // Between a container's end and its clearing away: its task is there.
    if (has(message, fmt::format("task {}: already exists", id))) return true;
    // In the middle of a start: a task that never begins, or the directory for one.
    return message.ends_with(": id already in use") ||
           (has(message, "failed to start shim: mkdir ") &&
            has(message, fmt::format("/{}: file exists", id)));
}

bool lacks_a_network(std::string_view message) {
    if (!has(message, ": network ")) return false;
    return has(message, " is ambiguous (") || message.ends_with(" not found");
}

}  // namespace trailer::runtime::docker
