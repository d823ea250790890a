// What is to be done to bring a host to its desired state, and why: a graph of steps.
//
// plan() is pure: the same arguments give the same plan, and it touches nothing. It goes on from
// whatever it finds, so a step that ended half-way needs no memory but the engine's own. Doing the
// steps in any order that `after` allows reaches the desired state; planning then gives no step.
//
// A container that can't change in place is replaced in steps of their own:
//   create NAME.next, stop NAME, start NAME.next, and when it has run for kVerify: remove NAME,
//   rename NAME.next to NAME. If it does not run, it goes and NAME comes back.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconcile/wanted.h"

namespace trailer::reconcile {

// What the engine has, of what Trailer made.
struct Observed {
    std::map<std::string, runtime::Container> containers;  // by id
    std::map<std::string, runtime::Network> networks;      // by id
    std::map<std::string, runtime::Volume> volumes;        // by name
    std::map<std::string, runtime::Image> images;          // by id
    std::set<std::string> references;                      // of wanted pulled images: those here
    std::map<std::string, std::string> forced_pulls;       // image resource's id -> hash, by us
};

enum class Action {
    create_network,
    remove_network,
    create_volume,
    remove_volume,
    build_image,
    pull_image,
    remove_image,
    create_container,  // `spec`
    start_container,
    stop_container,
    restart_container,
    rename_container,  // to `name`
    remove_container,
    update_container,    // limits and restart policy of `spec`
    connect_network,     // `attachment`
    disconnect_network,  // `attachment.network`
    start_replacement,   // `object`; if it can't, it goes, and `replaces` comes back
    finish_replacement,  // remove `replaces`, rename `object` to `name`
    roll_back,           // remove `object`, start `replaces`; tells `reason`
};
BOOST_DESCRIBE_ENUM(Action, create_network, remove_network, create_volume, remove_volume,
                    build_image, pull_image, remove_image, create_container, start_container,
                    stop_container, restart_container, rename_container, remove_container,
                    update_container, connect_network, disconnect_network, start_replacement,
                    finish_replacement, roll_back)

// A member that differs. Secrets are not shown.
struct Change {
    std::string field;  // "image", "env/EDITOR", "resources/memory"
    std::string from;
    std::string to;

    bool operator==(const Change&) const = default;
};
std::string to_string(const Change& change);  // "image: a -> b"

// What a container gets between its stop signal and SIGKILL where nothing else is asked for: the
// engines' own default.
inline constexpr std::chrono::milliseconds kGrace{10'000};

struct Step {
    Action action{};
    Key key;                         // the resource that it is for
    std::string name;                // of the object, once the step is done
    std::string object;              // its id in the engine; empty where a step before makes it
    std::string reason;              // for people: "is not there", "image: a -> b"
    std::vector<std::size_t> after;  // steps of this plan that come first

    runtime::ContainerSpec spec;         // create_container, update_container
    runtime::Attachment attachment;      // connect_network, disconnect_network
    runtime::NetworkSpec network;        // create_network
    runtime::VolumeSpec volume;          // create_volume
    const WantedImage* image = nullptr;  // build_image, pull_image; of the WantedState planned for
    std::string replaces;                // the former container's id
    bool running = true;                 // what is wanted of the container
    bool may_pull = false;               // create_container: the image, when it is not here
    bool pull_first = false;             // create_container: the image, though it is here
    std::chrono::milliseconds grace = kGrace;  // stop_container, restart_container
};

struct Plan {
    std::vector<Step> steps;
    // Resources of which nothing can be done before another is there: "network lab".
    std::map<Key, std::pair<Key, std::string>> waits;
    // When time alone will make a difference.
    std::optional<Timestamp> look_again;
};

inline constexpr std::chrono::milliseconds kVerify{500};
inline constexpr const char* kNextSuffix = ".next";

// `wanted` must outlive the plan.
Plan plan(const WantedState& wanted, const Observed& observed, Timestamp now);

// For people and programs elsewhere.
protocol::HostPlan describe_plan(const Plan& plan, const WantedState& wanted);

// The container that stands for a workspace (by label and name), and the one that is to replace it.
struct Incarnation {
    const runtime::Container* current = nullptr;
    const runtime::Container* next = nullptr;
    std::vector<const runtime::Container*> others;
};

// Finds them. Points into the Observed that it was made of.
class Containers {
  public:
    explicit Containers(const Observed& observed);
    Incarnation of(const WantedWorkspace& workspace) const;

  private:
    std::multimap<std::string, const runtime::Container*> by_resource_;
};

// Whether the container that has ended is to be started again.
bool starts_again(const WantedWorkspace& workspace, const runtime::Container& container);

}  // namespace trailer::reconcile
