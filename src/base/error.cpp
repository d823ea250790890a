#include "base/error.h"

namespace trailer {
namespace {

std::string join(const std::vector<FieldError>& errors) {
    std::string text;
    for (const auto& error : errors) {
        if (!text.empty()) text += "; ";
        text += error.pointer.empty() ? error.detail : error.pointer + ": " + error.detail;
    }
    return text;
}

}  // namespace

InvalidInput::InvalidInput(std::vector<FieldError> errors)
    : Error(ErrorKind::invalid, join(errors)), errors_(std::move(errors)) {}

std::string describe(const std::exception& error) {
    std::string text = error.what();
    try {
        std::rethrow_if_nested(error);
    } catch (const std::exception& cause) {
        text += ": " + describe(cause);
    } catch (...) {
        text += ": unknown cause";
    }
    return text;
}

std::string describe(const std::exception_ptr& error) {
    if (!error) return "no error";
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        return describe(e);
    } catch (...) {
        return "unknown error";
    }
}

}  // namespace trailer
