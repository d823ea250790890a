#include "client/subject.h"

#include "base/text.h"
#include "net/http.h"

namespace trailer::client {

using protocol::Kind;

std::optional<Kind> kind_of(Subject subject) {
    switch (subject) {
        case Subject::host:
        case Subject::group:
            return std::nullopt;
        case Subject::workspace:
            return Kind::workspace;
        case Subject::network:
            return Kind::network;
        case Subject::volume:
            return Kind::volume;
        case Subject::image:
            return Kind::image;
    }
    return std::nullopt;
}

Subject subject_of(Kind kind) {
    switch (kind) {
        case Kind::workspace:
            return Subject::workspace;
        case Kind::network:
            return Subject::network;
        case Kind::volume:
            return Subject::volume;
        case Kind::image:
            return Subject::image;
    }
    return Subject::workspace;
}

std::string title(Subject subject) {
    const auto kind = kind_of(subject);
    if (kind) return std::string(protocol::title(*kind));
    return subject == Subject::host ? "Host" : "Group";
}

std::string noun(Subject subject) {
    const auto kind = kind_of(subject);
    if (kind) return std::string(protocol::noun(*kind));
    return subject == Subject::host ? "host" : "group";
}

std::string plural(Subject subject) {
    const auto kind = kind_of(subject);
    if (kind) return std::string(protocol::plural(*kind));
    return subject == Subject::host ? "hosts" : "groups";
}

std::optional<Subject> parse_subject(std::string_view word) {
    if (const auto kind = protocol::kind_from_plural(word)) return subject_of(*kind);
    const auto name = lower(word);
    if (name == "host" || name == "hosts") return Subject::host;
    if (name == "group" || name == "groups") return Subject::group;
    return std::nullopt;
}

std::string path_of(Subject subject, std::string_view name) {
    auto path = "/api/" + plural(subject);
    if (!name.empty()) path += "/" + net::percent_encode(name);
    return path;
}

}  // namespace trailer::client
