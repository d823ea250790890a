// How failures travel: an exception that says what was being done, to what, and the cause. It is
// caught at the edge of a loop, a request or a resource, and never swallowed. Where a caller must
// choose by the outcome, a function returns std::expected or std::optional instead.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trailer {

// What went wrong, in terms on which a caller can act. The HTTP status each maps to is beside it.
enum class ErrorKind {
    invalid,          // 422: the input is at fault; see InvalidInput
    unauthenticated,  // 401
    forbidden,        // 403
    not_found,        // 404
    conflict,         // 409: the state of things does not allow it
    too_large,        // 413
    rate_limited,     // 429
    unavailable,      // 503: may pass; retrying makes sense
    timeout,          // 504: may pass; retrying makes sense
    internal,         // 500
};

// A failure with a message fit for the person who must act on it. Messages never carry a secret.
class Error : public std::runtime_error {
  public:
    Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}

    template <typename... Args>
        requires(sizeof...(Args) > 0)
    Error(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args)
        : Error(kind, fmt::format(format, std::forward<Args>(args)...)) {}

    ErrorKind kind() const { return kind_; }

    // True where the same call may well succeed later.
    bool may_pass() const {
        return kind_ == ErrorKind::unavailable || kind_ == ErrorKind::timeout ||
               kind_ == ErrorKind::rate_limited;
    }

  private:
    ErrorKind kind_;
};

// One member of an input that is at fault.
struct FieldError {
    std::string pointer;  // RFC 6901, e.g. "/spec/ports/0/host"
    std::string detail;   // what was expected, and what came

    bool operator==(const FieldError&) const = default;
};

// Input that names every member at fault, so that one round trip shows them all.
class InvalidInput : public Error {
  public:
    explicit InvalidInput(std::vector<FieldError> errors);
    InvalidInput(std::string pointer, std::string detail)
        : InvalidInput({FieldError{std::move(pointer), std::move(detail)}}) {}

    const std::vector<FieldError>& errors() const { return errors_; }

  private:
    std::vector<FieldError> errors_;
};

// The message of `error`, followed by those of the exceptions nested in it: "doing x: cause:
// cause".
std::string describe(const std::exception& error);
std::string describe(const std::exception_ptr& error);

}  // namespace trailer
