// How things stand for each resource, by the plan and what is under way.
#pragma once

#include <chrono>
#include <map>
#include <set>

#include "aio/task_group.h"
#include "reconcile/attempts.h"
#include "reconcile/plan.h"
#include "reconcile/schedule.h"
#include "reconcile/status.h"

namespace trailer::reconcile {

// A step that is under way.
struct Activity {
    using Clock = std::chrono::steady_clock;

    Action action{};
    Load load{};
    Clock::time_point began;
    std::string detail;  // its last line
    Clock::time_point detail_told{};
    aio::TaskGroup* attempt = nullptr;  // what it waits for, which may be given up
    bool doubted = false;  // it takes so long that the engine was asked whether it answers
};

// The failure that is told of a resource; null where there is none.
const Attempts::Failure* told_failure(const Attempts& attempts, const Key& key);

// Its arguments outlive it.
class Outlook {
  public:
    Outlook(const Plan& plan, const std::map<Key, Activity>& busy, const Attempts& attempts,
            const Memory& memory, const std::map<Key, const Wanted*>& wanted);

    Progress of(const Wanted& wanted) const;
    // Those that the plan says something about, or that have a step under way.
    std::set<Key> stirring() const;

  private:
    void wait_for(const Key& key, std::string name, Progress& progress) const;

    const Plan& plan_;
    const std::map<Key, Activity>& busy_;
    const Attempts& attempts_;
    const Memory& memory_;
    const std::map<Key, const Wanted*>& wanted_;
    std::map<Key, const Step*> first_steps_;
};

}  // namespace trailer::reconcile
