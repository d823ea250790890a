// Which of a plan's steps are begun next.
#pragma once

#include <chrono>
#include <map>
#include <vector>

#include "reconcile/plan.h"

namespace trailer::reconcile {

// What a step takes while it is under way.
enum class Load {
    engine,    // work of the engine's, of which it does a few at once
    removing,  // the same, and of this it does fewer: taking apart has more that is done in turns
    stopping,  // removing while it is brief; then it waits for a process to end
    waiting,   // for a process to end
    pulling,   // mostly waits for a registry
    building,
    looking,  // done, and its outcome is being looked at
};

Load load_of(const Step& step);
// Keeps the engine busy until it is done.
inline bool is_of_engine(Load load) {
    return load == Load::engine || load == Load::removing;
}

// The steps that nothing stands before, those first that belong to the workspace that the plan has
// first: each workspace is brought to its end before the next is begun, as long as the engine is
// busy. So the first one runs early, and the engine's work of different kinds overlaps: networks,
// of which it makes one after another, beside containers' processes.
std::vector<const Step*> in_order(const Plan& plan);

// How much is under way, and whether there is room for more.
class Room {
  public:
    // `width`: how many steps the engine profits from at once; half as many may be removing.
    explicit Room(std::size_t width) : width_(width) {}

    // A stop that takes longer waits for its process, and leaves the engine to others.
    static constexpr std::chrono::milliseconds kBriefStop{500};
    // One is under way, begun so long ago.
    void take(Load load, std::chrono::steady_clock::duration age = {});
    bool is_left(Load load) const;

  private:
    std::size_t under_way(Load load) const;
    bool is_left_for_removing() const;

    std::size_t width_;
    std::map<Load, std::size_t> under_way_;
};

}  // namespace trailer::reconcile
