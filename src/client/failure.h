// How a command ends: its exit code, and what it says on standard error.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace trailer::client {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kBadUsage = 2;

// The command line itself is at fault.
class UsageError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// A failure with lines of detail beneath it, and with its own advice on what to do.
class CommandFailure : public Error {
  public:
    CommandFailure(const std::string& why, std::string remedy, std::vector<std::string> lines = {})
        : Error(ErrorKind::invalid, why), remedy_(std::move(remedy)), lines_(std::move(lines)) {}
    const std::string& remedy() const { return remedy_; }
    const std::vector<std::string>& lines() const { return lines_; }

  private:
    std::string remedy_;
    std::vector<std::string> lines_;
};

struct Failure {
    std::string text;  // one line "trailer: what: why; what to do", then one indented line a fault
    int exit_code = kFailed;
};

// `what` is the command: "get workspaces".
Failure describe_failure(std::string_view what, const std::exception& error);

// Prints it, and returns the exit code.
int report_failure(std::string_view what, const std::exception& error);

}  // namespace trailer::client
