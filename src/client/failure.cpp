#include "client/failure.h"

#include "client/documents.h"
#include "client/terminal.h"

namespace trailer::client {
namespace {

std::string_view remedy_for(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::unauthenticated:
            return "log in: trailer login --server URL --username NAME";
        case ErrorKind::unavailable:
            return "see whether the server runs there: trailer doctor; --server URL names another";
        case ErrorKind::timeout:
            return "try again; trailer doctor shows what does not answer";
        case ErrorKind::rate_limited:
            return "wait a moment and try again";
        case ErrorKind::internal:
            return "try again; the server's log says more";
        case ErrorKind::invalid:
        case ErrorKind::forbidden:
        case ErrorKind::not_found:
        case ErrorKind::conflict:
        case ErrorKind::too_large:
            break;  // the message itself says what to change
    }
    return {};
}

std::string compose(std::string_view what, std::string_view why, std::string_view remedy,
                    const std::vector<std::string>& lines) {
    auto text = fmt::format("trailer: {}{}{}", what, what.empty() ? "" : ": ", one_line(why));
    if (!remedy.empty()) text += fmt::format("; {}", remedy);
    for (const auto& line : lines) text += "\n  " + one_line(line);
    return text + "\n";
}

}  // namespace

Failure describe_failure(std::string_view what, const std::exception& error) {
    if (dynamic_cast<const UsageError*>(&error) != nullptr) {
        // The first word is the verb, whose help lists what it takes.
        const auto verb = what.substr(0, what.find(' '));
        return {compose(what, error.what(),
                        fmt::format("see: trailer {}{}--help", verb, verb.empty() ? "" : " "), {}),
                kBadUsage};
    }
    if (const auto* bad = dynamic_cast<const BadDocuments*>(&error)) {
        return {compose(what, "documents are at fault, nothing was changed", "", bad->lines()),
                kFailed};
    }
    if (const auto* command = dynamic_cast<const CommandFailure*>(&error)) {
        return {compose(what, command->what(), command->remedy(), command->lines()), kFailed};
    }
    if (const auto* invalid = dynamic_cast<const InvalidInput*>(&error)) {
        std::vector<std::string> lines;
        for (const auto& fault : invalid->errors()) {
            lines.push_back(fault.pointer.empty() ? fault.detail
                                                  : fault.pointer + ": " + fault.detail);
        }
        return {compose(what, "the input is at fault", "", lines), kFailed};
    }
    const auto* known = dynamic_cast<const Error*>(&error);
    const auto remedy = known != nullptr ? remedy_for(known->kind()) : std::string_view();
    return {compose(what, describe(error), remedy, {}), kFailed};
}

int report_failure(std::string_view what, const std::exception& error) {
    const auto failure = describe_failure(what, error);
    print(stderr, failure.text);
    return failure.exit_code;
}

}  // namespace trailer::client
