#include "reconcile/schedule.h"

#include <algorithm>
#include <limits>

namespace trailer::reconcile {
namespace {

// Steps that mostly wait for something else than the engine are bounded apart.
constexpr std::size_t kWaitingSteps = 32;
constexpr std::size_t kBuilds = 2;
// A registry that does not answer takes its pulls' places for long, and engines download few layers
// at once whatever they are asked for: so this bounds no more than memory.
constexpr std::size_t kPulls = 500;

using Index = std::size_t;

// The first step of each workspace stands for its place, and what must be there before it, or go
// after it, shares the place of the first such workspace. What no workspace is waited for or waits
// for comes first: most often that is what is left to be removed after a workspace.
std::vector<Index> places_of(const Plan& plan) {
    const auto& steps = plan.steps;
    const auto is_workspace = [&](Index i) {
        return steps[i].key.kind == protocol::Kind::workspace;
    };
    std::map<Key, Index> first;
    for (Index i = 0; i < steps.size(); ++i) {
        if (is_workspace(i)) first.try_emplace(steps[i].key, i);
    }
    constexpr auto kNone = std::numeric_limits<Index>::max();
    std::vector<Index> places(steps.size(), kNone);
    for (Index i = 0; i < steps.size(); ++i) {
        if (is_workspace(i)) places[i] = first.at(steps[i].key);
        for (const auto before : steps[i].after) {
            const auto [workspace, other] =
                is_workspace(i) ? std::pair(i, before) : std::pair(before, i);
            if (!is_workspace(workspace) || is_workspace(other)) continue;
            places[other] = std::min(places[other], first.at(steps[workspace].key));
        }
    }
    for (auto& each : places) each = each == kNone ? 0 : each + 1;
    return places;
}

}  // namespace

Load load_of(const Step& step) {
    switch (step.action) {
        case Action::stop_container:
        case Action::restart_container:
        case Action::start_replacement:
        case Action::roll_back:
            return Load::stopping;
        case Action::remove_container:
            return step.stop_first ? Load::stopping : Load::removing;
        case Action::remove_network:
        case Action::remove_volume:
        case Action::remove_image:
        case Action::release_image:
            return Load::removing;
        case Action::pull_image:
            return Load::pulling;
        case Action::build_image:
            return Load::building;
        default:
            return Load::engine;
    }
}

std::vector<const Step*> in_order(const Plan& plan) {
    const auto places = places_of(plan);
    std::vector<const Step*> ready;
    for (const auto& step : plan.steps) {
        if (step.after.empty()) ready.push_back(&step);
    }
    const auto place = [&](const Step* step) {
        return std::pair(places[static_cast<Index>(step - plan.steps.data())], step);
    };
    std::ranges::sort(ready, {}, place);
    return ready;
}

void Room::take(Load load, std::chrono::steady_clock::duration age) {
    if (load == Load::stopping) load = age < kBriefStop ? Load::removing : Load::waiting;
    ++under_way_[load];
}

std::size_t Room::under_way(Load load) const {
    const auto found = under_way_.find(load);
    return found == under_way_.end() ? 0 : found->second;
}

bool Room::is_left_for_removing() const {
    const auto most = std::max<std::size_t>(width_ / 2, 1);
    return is_left(Load::engine) && under_way(Load::removing) < most;
}

bool Room::is_left(Load load) const {
    switch (load) {
        case Load::engine:
            return under_way(Load::engine) + under_way(Load::removing) < width_;
        case Load::removing:
            return is_left_for_removing();
        case Load::stopping:
            return is_left_for_removing() && under_way(Load::waiting) < kWaitingSteps;
        case Load::pulling:
            return under_way(Load::pulling) < kPulls;
        case Load::waiting:
        case Load::looking:
            return true;
        case Load::building:
            return under_way(Load::building) < kBuilds;
    }
    return false;
}

}  // namespace trailer::reconcile
