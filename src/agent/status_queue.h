// Reports that wait for the server: the newest of each resource, whatever came before it.
//
// Bounded by construction: it holds at most one report for each resource of the host (and one more
// for those that are on their way).
#pragma once

#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "protocol/agent.h"

namespace trailer::agent {

class StatusQueue {
  public:
    // Replaces the report of the same resource that waits, in its place.
    void push(protocol::StatusReport report);

    // Takes the oldest, at most `most`. They are on their way until delivered() or returned().
    const std::vector<protocol::StatusReport>& take(std::size_t most);
    const std::vector<protocol::StatusReport>& on_their_way() const { return on_their_way_; }
    void delivered() { on_their_way_.clear(); }
    // Puts back what take() gave, in front, but for resources of which newer news has come.
    void returned();

    bool empty() const { return waiting_.empty(); }
    std::size_t size() const { return waiting_.size(); }

  private:
    using Key = std::pair<protocol::Kind, std::string>;

    std::list<protocol::StatusReport> waiting_;
    std::map<Key, std::list<protocol::StatusReport>::iterator> by_resource_;
    std::vector<protocol::StatusReport> on_their_way_;
};

}  // namespace trailer::agent
