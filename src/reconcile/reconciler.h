// Keeps a host as it is wanted: observes the engine, plans, executes, reports. Level-triggered: a
// new desired state, an event of the engine or a retry's time wakes it; it looks at how things are,
// and brings them closer. Killed at any instant, it goes on from what it observes.
//
// One thread. The runtime and the sink outlive it.
#pragma once

#include <functional>
#include <memory>

#include "aio/task.h"
#include "protocol/agent.h"
#include "reconcile/subnets.h"
#include "reconcile/wanted.h"
#include "runtime/place.h"
#include "runtime/runtime.h"

namespace trailer::reconcile {

struct Options {
    Bounds bounds;
    std::size_t width = 8;  // steps at once: 2 cores gain up to there (bench/run reconcile)
    // The agent's own container, when it runs in one: never touched, whatever it is labelled.
    std::string own_container_id;
    // The host's routes and addresses, asked for when a network is to get a subnet. Optional:
    // without it the engine picks.
    std::function<std::vector<TakenSubnet>()> host_subnets;
    // How full the disk is that holds the engine's data; empty where it can't be seen. Optional.
    std::function<std::optional<double>()> disk_used_percent;
    // Called when the status of engine() or reconcile() has changed; must not block. Optional.
    std::function<void()> conditions_changed;
};

// Where a desired state comes from. One that was cached may be older than what was in force: what a
// workspace has drifted to is not repaired by it where that is to be told.
enum class Origin { server, cache };

class Reconciler {
  public:
    // Called for each resource's news, in order per resource; must not block.
    using Sink = std::function<void(protocol::StatusReport)>;

    Reconciler(runtime::ContainerRuntime& runtime, Options options, Sink sink);
    ~Reconciler();

    // Takes effect at once; steps under way end first. What a newer state no longer wants is not
    // begun.
    void set_desired(const protocol::DesiredState& desired, Origin origin = Origin::server);
    void set_settings(
        const protocol::HostSettings& settings);  // time limits, leftovers, collection
    // A disabled host is left as it is: steps under way end, none is begun.
    void set_enabled(bool enabled);
    // By name, in bytes: they go into the volumes' reports.
    void set_volume_sizes(std::map<std::string, std::int64_t> sizes);
    bool wants_volumes() const;
    // Sends the newest report of every resource to the sink again (a server that may have missed
    // some).
    void report_all();

    // Runs until cancelled: watches the engine and works. Reconnects to the engine by itself.
    Task<> run();

    // What would be done if this were wanted, on what is observed now. Changes nothing.
    protocol::HostPlan explain(const protocol::DesiredState& desired) const;

    // Where a workspace is, for those who open sessions on it.
    runtime::Place place_of(const std::string& workspace_id) const;

    const protocol::Condition& engine() const;     // does the engine answer
    const protocol::Condition& reconcile() const;  // is everything as wanted, or what failed
    protocol::Upkeep upkeep() const;               // leftovers, and what was cleared away
    std::int64_t revision_applied() const;         // the newest revision that is fully in force

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace trailer::reconcile
