#include "agent/desired_copy.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace trailer::agent {
namespace {

// Each in its place, as the server has them in the whole: by id.
template <typename Resource>
void merge(std::vector<Resource>& list, std::vector<Resource> changed,
           const std::set<std::string>& removed) {
    if (!removed.empty()) {
        std::erase_if(list, [&](const Resource& each) { return removed.contains(each.id); });
    }
    for (auto& each : changed) {
        const auto place = std::ranges::lower_bound(list, each.id, {}, &Resource::id);
        if (place != list.end() && place->id == each.id) {
            *place = std::move(each);
        } else {
            list.insert(place, std::move(each));
        }
    }
}

}  // namespace

void DesiredCopy::take(protocol::DesiredAnswer answer) {
    if (answer.since && *answer.since != revision_) {
        const auto ours = std::exchange(revision_, -1);
        throw Error(ErrorKind::internal,
                    "the server tells what has changed since revision {}, this agent has {}",
                    *answer.since, ours);
    }
    revision_ = answer.revision;
    history_ = std::move(answer.history);
    if (!answer.since) {
        state_ = static_cast<protocol::DesiredState&&>(answer);
        return;
    }
    state_.revision = answer.revision;
    const std::set<std::string> removed(answer.removed.begin(), answer.removed.end());
    merge(state_.networks, std::move(answer.networks), removed);
    merge(state_.volumes, std::move(answer.volumes), removed);
    merge(state_.images, std::move(answer.images), removed);
    merge(state_.workspaces, std::move(answer.workspaces), removed);
}

}  // namespace trailer::agent
