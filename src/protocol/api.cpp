#include "protocol/api.h"

namespace trailer::protocol {
namespace {

struct KindStatus {
    ErrorKind kind;
    int status;
    std::string_view title;
};
constexpr std::array kStatuses{
    KindStatus{ErrorKind::invalid, 422, "Invalid input"},
    KindStatus{ErrorKind::unauthenticated, 401, "Not logged in"},
    KindStatus{ErrorKind::forbidden, 403, "Not allowed"},
    KindStatus{ErrorKind::not_found, 404, "Not found"},
    KindStatus{ErrorKind::conflict, 409, "Conflict"},
    KindStatus{ErrorKind::too_large, 413, "Too large"},
    KindStatus{ErrorKind::rate_limited, 429, "Too many requests"},
    KindStatus{ErrorKind::unavailable, 503, "Unavailable"},
    KindStatus{ErrorKind::timeout, 504, "No answer in time"},
    KindStatus{ErrorKind::internal, 500, "Internal error"},
};

}  // namespace

Problem to_problem(const std::exception& error) {
    Problem problem{.detail = describe(error)};
    const auto* known = dynamic_cast<const Error*>(&error);
    const auto kind = known != nullptr ? known->kind() : ErrorKind::internal;
    for (const auto& each : kStatuses) {
        if (each.kind != kind) continue;
        problem.status = each.status;
        problem.title = each.title;
    }
    if (const auto* invalid = dynamic_cast<const InvalidInput*>(&error)) {
        for (const auto& fault : invalid->errors()) {
            problem.errors.push_back({fault.pointer, fault.detail});
        }
    }
    return problem;
}

void throw_problem(const Problem& problem) {
    if (!problem.errors.empty()) {
        std::vector<FieldError> errors;
        for (const auto& fault : problem.errors) errors.push_back({fault.pointer, fault.detail});
        throw InvalidInput(std::move(errors));
    }
    auto kind = problem.status >= 500 ? ErrorKind::internal : ErrorKind::invalid;
    for (const auto& each : kStatuses) {
        if (each.status == problem.status) kind = each.kind;
    }
    throw Error(kind, problem.detail.empty() ? problem.title : problem.detail);
}

}  // namespace trailer::protocol
