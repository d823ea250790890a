#include "agent/status_queue.h"

#include <ranges>

namespace trailer::agent {

void StatusQueue::push(protocol::StatusReport report) {
    const Key key{report.kind, report.id};
    if (const auto found = by_resource_.find(key); found != by_resource_.end()) {
        *found->second = std::move(report);
        return;
    }
    by_resource_[key] = waiting_.insert(waiting_.end(), std::move(report));
}

const std::vector<protocol::StatusReport>& StatusQueue::take(std::size_t most) {
    returned();  // a batch whose fate is unknown is sent again: the server takes it twice
    while (on_their_way_.size() < most && !waiting_.empty()) {
        auto& oldest = waiting_.front();
        by_resource_.erase({oldest.kind, oldest.id});
        on_their_way_.push_back(std::move(oldest));
        waiting_.pop_front();
    }
    return on_their_way_;
}

void StatusQueue::returned() {
    for (auto& report : std::views::reverse(on_their_way_)) {
        const Key key{report.kind, report.id};
        if (by_resource_.contains(key)) continue;
        by_resource_[key] = waiting_.insert(waiting_.begin(), std::move(report));
    }
    on_their_way_.clear();
}

}  // namespace trailer::agent
