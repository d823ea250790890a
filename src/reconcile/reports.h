// What others are told of each resource: its newest report, when it differs from the last, with the
// steps of the plan that ran last.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "protocol/agent.h"
#include "reconcile/plan.h"

namespace trailer::reconcile {

class Reports {
  public:
    using Sink = std::function<void(protocol::StatusReport)>;

    explicit Reports(Sink sink) : sink_(std::move(sink)) {}

    // A step is begun: the steps since the resource was last as wanted are the plan that runs, or
    // that ran last.
    void remember(const Step& step);
    // Those for which `done` holds are as wanted: their next step begins another plan.
    void settle(const std::function<bool(const Key&)>& done);

    void send(const Key& key, protocol::StatusReport report);
    // All are told anew, once they are sent.
    void tell_again() { reported_.clear(); }
    void forget_if(const std::function<bool(const Key&)>& unknown);

  private:
    Sink sink_;
    std::set<Key> in_work_;  // not as wanted since their last plan began
    std::map<Key, std::deque<boost::json::object>> last_plans_;
    std::map<Key, protocol::StatusReport> reported_;
};

}  // namespace trailer::reconcile
