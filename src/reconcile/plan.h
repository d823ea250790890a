// What is to be done to bring a host to its desired state, and why: a graph of steps.
//
// plan() is pure: the same arguments give the same plan, and it touches nothing. It goes on from
// whatever it finds, so a step that ended half-way needs no memory but the engine's own. Doing the
// steps in any order that `after` allows reaches the desired state; planning then gives no step.
//
// A container that can't change in place is replaced in steps of their own:
//   create NAME.next; stop NAME and start NAME.next; when it has proved itself (it has run for
//   kVerify and, where that is asked for, is healthy): rename NAME to NAME.former, rename NAME.next
//   to NAME, remove NAME.former.
// If it does not prove itself, NAME comes back. The new one is kept, stopped, as NAME.failed: that
// is how a spec that failed is known, and not tried again until it changes.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconcile/changes.h"
#include "reconcile/subnets.h"
#include "reconcile/wanted.h"

namespace trailer::reconcile {

// What no object of the engine can tell. It is lost with the process: what must outlive it is told
// to the server, which tells it again (DesiredWorkspace::applied_revision, DesiredImage::pulled).
struct Memory {
    std::map<std::string, std::string> forced_pulls;  // image resource's id -> hash
    std::set<std::string> pulled;                     // image resources that our own pull brought
    std::map<std::string, std::int64_t> applied;      // workspace's id -> revision in force
    std::map<std::string, Timestamp> unknown_since;   // object -> seen to belong to nothing known
    bool from_cache = false;                          // what is wanted: the server has yet to tell
    std::set<std::string> images_in_use;  // could not be removed; until the next full listing
    // Containers that ended, and maybe not by themselves: someone ended them, an engine on its own
    // way out among others, or nobody looked. Such an end says nothing about what they were made
    // from. id -> when the run began that ended so.
    std::map<std::string, std::optional<Timestamp>> interrupted;
    std::set<std::string> signalled;  // containers that got a signal since their start, from anyone
    std::set<std::string> unstartable;  // containers that the engine can't start any more
};

// What the engine has, of what Trailer made, and what stands around it.
struct Observed {
    std::map<std::string, runtime::Container> containers;  // by id
    std::map<std::string, runtime::Network> networks;      // by id
    std::map<std::string, runtime::Volume> volumes;        // by name
    std::map<std::string, runtime::Image> images;          // by id
    std::map<std::string, std::string> references;  // of wanted pulled images: those here, and ids
    std::map<std::string, runtime::Network> others_networks;  // by id: not made by Trailer
    std::vector<TakenSubnet> host_subnets;  // the host's routes and addresses, once asked for
    std::map<std::string, std::int64_t> volume_sizes;  // by name, bytes; those that are known
    std::optional<double> disk_used_percent;           // of the engine's data, where seen
    Memory memory;
};

// What the host's settings say about planning.
struct HostRules {
    std::chrono::milliseconds leftover_grace{5 * 60'000};
    protocol::CollectionPolicy collection;
};

enum class Action {
    create_network,
    remove_network,
    create_volume,
    remove_volume,
    build_image,
    pull_image,
    remove_image,
    release_image,     // unless something uses it
    create_container,  // `spec`
    start_container,
    stop_container,
    restart_container,
    unpause_container,
    rename_container,    // to `name`
    remove_container,    // stopped first, where it runs
    update_container,    // limits and restart policy of `spec`
    connect_network,     // `attachment`
    disconnect_network,  // `attachment.network`
    start_replacement,   // stop `replaces`, start `object`; if it can't, `replaces` comes back
    finish_replacement,  // `object` takes the name of `replaces`, which goes
    roll_back,           // `object` is set aside, `replaces` comes back
};
BOOST_DESCRIBE_ENUM(Action, create_network, remove_network, create_volume, remove_volume,
                    build_image, pull_image, remove_image, release_image, create_container,
                    start_container, stop_container, restart_container, unpause_container,
                    rename_container, remove_container, update_container, connect_network,
                    disconnect_network, start_replacement, finish_replacement, roll_back)

// What a container gets between its stop signal and SIGKILL where nothing else is asked for: the
// engines' own default.
inline constexpr std::chrono::milliseconds kGrace{10'000};

struct Step {
    Action action{};
    Key key;             // the resource that it is for
    std::string name;    // of the object, once the step is done
    std::string object;  // its id in the engine; empty where a step before makes it
    Reason reason{""};
    std::vector<std::size_t> after;  // steps of this plan that come first

    // Of the WantedState planned for, but for its name: what makes, updates or replaces a
    // container.
    const runtime::ContainerSpec* spec = nullptr;
    runtime::Attachment attachment;                 // connect_network, disconnect_network
    const runtime::NetworkSpec* network = nullptr;  // create_network; of the same WantedState
    SubnetChoice subnets;                           // that it gets, or why the step will fail
    const runtime::VolumeSpec* volume = nullptr;    // create_volume; of the same WantedState
    const WantedImage* image = nullptr;  // build_image, pull_image; of the WantedState planned for
    // create_container: the former one's volumes that have no name, which would go with it.
    std::vector<runtime::ContainerMount> carried;
    std::vector<std::string> anonymous_volumes;  // remove_container: what goes with it
    std::string replaces;                        // the former container's id
    bool running = true;                         // what is wanted of the container
    bool may_pull = false;                       // create_container: the image, when it is not here
    bool pull_first = false;                     // create_container: the image, though it is here
    bool brings_image = false;                   // pull_image: it was not here
    // remove_container; start_replacement: of `replaces`; roll_back: before it is set aside
    bool stop_first = false;
    std::chrono::milliseconds grace = kGrace;  // of a stop
    std::int64_t bytes = 0;                    // release_image: its size
};

struct Plan {
    std::vector<Step> steps;
    // Resources of which nothing can be done before another is there: "network lab".
    std::map<Key, std::pair<Key, std::string>> waits;
    // Workspaces whose replacement has yet to prove itself.
    std::set<Key> unproven;
    // Why a workspace is not as wanted, and stays so until someone wants something else.
    std::map<Key, std::string> setbacks;
    // What someone changed on a workspace that is to be told of it, not repaired.
    std::map<Key, std::string> drift;
    // What belongs to nothing known; what is due to go has a step too.
    std::vector<protocol::Leftover> leftovers;
    // When time alone will make a difference.
    std::optional<Timestamp> look_again;
};

inline constexpr std::chrono::milliseconds kVerify{500};
inline constexpr const char* kNextSuffix = ".next";
inline constexpr const char* kFormerSuffix = ".former";
inline constexpr const char* kFailedSuffix = ".failed";

// `wanted` must outlive the plan.
Plan plan(const WantedState& wanted, const Observed& observed, const HostRules& rules,
          Timestamp now);

// For people and programs elsewhere.
protocol::HostPlan describe_plan(const Plan& plan, const WantedState& wanted);

}  // namespace trailer::reconcile
