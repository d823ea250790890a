// `trailer delete`: by kind and name, or all that files name, in whatever order these stand.
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
    // Files mostly name first what others need.
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

// Deletes one after another. What is used by others of them is refused until those are on their
// way, so it is tried again as long as any other goes.
class Removal {
  public:
    Removal(Api& api, const DeleteFlags& flags) : api_(api), flags_(flags) {}

    void run(std::vector<Doomed> left) {
        while (!left.empty()) {
            std::vector<Doomed> in_use;
            std::vector<Error> refusals;
            for (auto& each : left) {
                try {
                    remove(each);
                } catch (const Error& e) {
                    if (e.kind() != ErrorKind::conflict) {
                        report(each, e);
                        continue;
                    }
                    in_use.push_back(std::move(each));
                    refusals.push_back(e);
                }
            }
            if (in_use.size() == left.size()) {
                for (std::size_t i = 0; i < in_use.size(); ++i) report(in_use[i], refusals[i]);
                return;
            }
            left = std::move(in_use);
        }
    }

    std::vector<Goal> take_goals() { return std::move(goals_); }
    int exit_code() const { return exit_code_; }

  private:
    void remove(const Doomed& doomed) {
        const auto& [subject, name] = doomed;
        if (subject == Subject::group) {
            std::ranges::move(remove_group(api_, name, flags_.volumes), std::back_inserter(goals_));
            return;
        }
        api_.remove(path_of(subject, name));
        print(stdout, fmt::format("{}/{} deleted\n", noun(subject), name));
        if (const auto kind = kind_of(subject)) {
            goals_.push_back({.kind = *kind, .name = name, .aim = Goal::Aim::gone});
        }
    }

    void report(const Doomed& doomed, const Error& error) {
        const auto& [subject, name] = doomed;
        // With files, what is gone already is as it was asked for.
        if (!flags_.files.files.empty() && error.kind() == ErrorKind::not_found) {
            print(stdout, fmt::format("{}/{} is not there\n", noun(subject), name));
        } else if (error.kind() == ErrorKind::unauthenticated ||
                   error.kind() == ErrorKind::unavailable) {
            throw Error(error);  // no other would fare better
        } else {
            exit_code_ = report_failure(fmt::format("delete {} {}", noun(subject), name), error);
        }
    }

    Api& api_;
    const DeleteFlags& flags_;
    std::vector<Goal> goals_;
    int exit_code_ = kDone;
};

}  // namespace

int remove(const DeleteFlags& flags) {
    auto doomed = doomed_by(flags);
    Api api(resolve_target(credentials_file(), flags.connection));
    Removal removal(api, flags);
    removal.run(std::move(doomed));
    const bool all_gone =
        !flags.wait.wait || wait_for(api, removal.take_goals(), flags.wait.timeout());
    return all_gone ? removal.exit_code() : kFailed;
}

}  // namespace trailer::client
