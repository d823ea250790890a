// `trailer delete`: by kind and name, or all that files name, dependants first.
#include <boost/json.hpp>
#include <iostream>

#include "client/api.h"
#include "client/arguments.h"
#include "client/commands.h"
#include "client/documents.h"
#include "client/failure.h"
#include "client/terminal.h"
#include "client/wait.h"

namespace trailer::client {
namespace {

struct Doomed {
    Subject subject = Subject::workspace;
    std::string name;
};

std::vector<Doomed> doomed_by(const DeleteFlags& flags) {
    std::vector<Doomed> doomed;
    if (flags.files.files.empty()) {
        if (flags.kind.empty()) throw UsageError("expected KIND NAME…, or -f FILE");
        const auto named = parse_named(flags.kind, flags.names);
        if (named.names.empty()) {
            throw UsageError(
                fmt::format("expected the name of the {} to delete", noun(named.subject)));
        }
        if (flags.volumes && named.subject != Subject::group) {
            throw UsageError("--volumes goes with groups, and with -f");
        }
        for (const auto& name : named.names) doomed.push_back({named.subject, name});
        return doomed;
    }
    if (!flags.kind.empty()) throw UsageError("expected either KIND NAME… or -f FILE, not both");
    auto files = flags.files;
    files.ignore_unsupported = true;  // what was never made needs no deleting
    for (const auto& document : load_documents(files, std::cin).documents) {
        // A Compose file's volumes hold data: they go only when that is asked for.
        const bool of_compose = document.source == nullptr;
        if (of_compose && document.kind == protocol::Kind::volume && !flags.volumes) continue;
        doomed.push_back({subject_of(document.kind), document.name});
    }
    // Files name first what others need.
    std::ranges::reverse(doomed);
    return doomed;
}

std::string name_in(const boost::json::value& item) {
    return std::string(item.at("name").as_string());
}

// All of it at once; gives what is to be waited for.
std::vector<Goal> remove_group(Api& api, const std::string& name, bool volumes) {
    std::vector<Goal> goals;
    std::vector<std::string> kept;
    for (const auto kind : protocol::kAllKinds) {
        for (const auto& item : api.list(subject_of(kind), name)) {
            if (kind == protocol::Kind::volume && !volumes) {
                kept.push_back(name_in(item));
            } else {
                goals.push_back({.kind = kind, .name = name_in(item), .aim = Goal::Aim::gone});
            }
        }
    }
    api.remove(path_of(Subject::group, name) + (volumes ? "?volumes=true" : ""));
    for (const auto& goal : goals) {
        print(stdout, fmt::format("{}/{} deleted\n", protocol::noun(goal.kind), goal.name));
    }
    for (const auto& each : kept) {
        print(stdout, fmt::format("volume/{} kept; --volumes deletes it too\n", each));
    }
    return goals;
}

}  // namespace

int remove(const DeleteFlags& flags) {
    const auto doomed = doomed_by(flags);
    Api api(resolve_target(credentials_file(), flags.connection));
    int exit_code = kDone;
    const auto wait_for_these = [&](std::vector<Goal> goals) {
        if (!wait_for(api, std::move(goals), flags.wait.timeout())) exit_code = kFailed;
    };
    std::vector<Goal> goals;
    for (std::size_t i = 0; i < doomed.size(); ++i) {
        const auto& [subject, name] = doomed[i];
        // What comes next may be in use by what goes now: the server refuses that until it is gone.
        const bool next_kind = i > 0 && doomed[i - 1].subject != subject;
        if (next_kind && !flags.files.files.empty()) wait_for_these(std::exchange(goals, {}));
        try {
            if (subject == Subject::group) {
                std::ranges::move(remove_group(api, name, flags.volumes),
                                  std::back_inserter(goals));
                continue;
            }
            api.remove(path_of(subject, name));
            print(stdout, fmt::format("{}/{} deleted\n", noun(subject), name));
            if (const auto kind = kind_of(subject)) {
                goals.push_back({.kind = *kind, .name = name, .aim = Goal::Aim::gone});
            }
        } catch (const Error& e) {
            // With files, what is gone already is as it was asked for.
            if (!flags.files.files.empty() && e.kind() == ErrorKind::not_found) {
                print(stdout, fmt::format("{}/{} is not there\n", noun(subject), name));
            } else if (e.kind() == ErrorKind::unauthenticated ||
                       e.kind() == ErrorKind::unavailable) {
                throw;  // no other would fare better
            } else {
                exit_code = report_failure(fmt::format("delete {} {}", noun(subject), name), e);
            }
        }
    }
    if (flags.wait.wait) wait_for_these(std::move(goals));
    return exit_code;
}

}  // namespace trailer::client
