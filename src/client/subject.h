// What `get` and its siblings can name: hosts, groups, and the four kinds of resources.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/resources.h"

namespace trailer::client {

enum class Subject { host, group, workspace, network, volume, image };
inline constexpr std::array kAllSubjects{Subject::host,    Subject::group,  Subject::workspace,
                                         Subject::network, Subject::volume, Subject::image};

// Nothing for hosts and groups.
std::optional<protocol::Kind> kind_of(Subject subject);
Subject subject_of(protocol::Kind kind);

std::string title(Subject subject);   // "Workspace"
std::string noun(Subject subject);    // "workspace"
std::string plural(Subject subject);  // "workspaces"

// Singular, plural and short forms, any case: "ws", "Workspace", "workspaces".
std::optional<Subject> parse_subject(std::string_view word);

// "/api/workspaces/NAME", the name percent-encoded; "/api/workspaces" without one.
std::string path_of(Subject subject, std::string_view name = {});

}  // namespace trailer::client
