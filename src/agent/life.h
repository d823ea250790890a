// The agent's tree of tasks:
//
//   run ─┬─ reconciler           from what was last known, with or without a server
//        ├─ watch_engine         what the engine says of itself
//        ├─ GPU watch            which GPUs there are, and how they do
//        ├─ sessions             that outlive their connections
//        ├─ keep_state           writes what is known, for the next start
//        ├─ measure_volumes      what the volumes hold, seldom
//        └─ connect              register, then a session, for ever
//             └─ session ─┬─ heartbeat
//                         ├─ until_rejected, until_facts_change: end the session
//                         └─ serve             while the host is enabled
//                              ├─ poll         the desired state
//                              ├─ realtime
//                              ├─ answer_plans    what would be done, for a dry run
//                              ├─ session pool    connections over which people reach workspaces
//                              └─ status sender
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "agent/agent.h"
#include "agent/capabilities.h"
#include "agent/desired_copy.h"
#include "agent/gpu_watch.h"
#include "agent/realtime.h"
#include "agent/server_link.h"
#include "agent/session_pool.h"
#include "agent/state_directory.h"
#include "agent/status_sender.h"
#include "aio/backoff.h"
#include "aio/blocking_pool.h"
#include "aio/signal.h"
#include "aio/task_group.h"
#include "metrics/host_metrics.h"
#include "reconcile/reconciler.h"

namespace trailer::agent {

// One agent. One thread; run() once.
class Life {
  public:
    Life(asio::any_io_executor executor, AgentOptions options);
    Life(const Life&) = delete;
    Life& operator=(const Life&) = delete;

    Task<> run();

  private:
    // life.cpp: the tree, and what is kept across it
    Task<> begin(aio::TaskGroup* tasks);
    Task<std::string> find_own_container();
    std::optional<double> engine_disk_used() const;
    void start_reconciler(std::string own_container_id);
    sessions::Options session_options();
    Task<> watch_engine();
    Task<> keep_state();
    Task<> let_others_write_first();
    Task<> measure_volumes();
    Task<> connect();
    Task<> session();
    Task<> serve();
    Task<> until_rejected(aio::TaskGroup* session);
    Task<> until_facts_change(aio::TaskGroup* session);
    HostFacts facts() const;
    Task<> until_disabled(aio::TaskGroup* serving);

    // registration.cpp
    Task<> register_until_accepted();
    Task<> register_once();
    Task<> look_at_host_first();
    Task<std::string> registration_token();
    void accept(protocol::RegisterAnswer answer, HostFacts told);

    // loops.cpp
    Task<> heartbeat();
    Task<> heartbeat_once();
    Task<> poll();
    Task<> poll_once();
    Task<> answer_plans();
    Task<> answer_plan(std::int64_t id);
    Realtime::Handlers realtime_handlers();
    void apply(bool enabled, const protocol::HostSettings& settings, std::int64_t wanted);
    void register_again_after(const std::exception& failure);

    // What is to be written to the state directory, and what is being written.
    struct Unsaved {
        bool host = false;
        bool desired = false;
    };
    struct Snapshot {
        std::optional<HostRecord> host;
        std::optional<protocol::DesiredState> desired;
    };
    Snapshot take_unsaved();
    void save(const Snapshot& snapshot);

    asio::any_io_executor executor_;
    AgentOptions options_;
    StateDirectory state_;
    SigningKey key_;
    std::optional<Bytes> machine_id_;
    std::unique_ptr<runtime::ContainerRuntime> runtime_;
    ServerLink server_;
    StatusSender sender_;
    Realtime realtime_;
    SessionPool session_pool_;
    metrics::HostSampler sampler_;
    GpuWatch gpus_;
    std::unique_ptr<reconcile::Reconciler> reconciler_;
    std::unique_ptr<sessions::Sessions> sessions_;

    HostRecord record_;                    // in force
    DesiredCopy desired_;                  // the server's; what a cache had is not in it
    std::optional<runtime::Info> engine_;  // what it last said
    std::string engine_fault_;             // why it said nothing
    HostFacts facts_told_;                 // to the server
    bool registered_before_ = false;
    std::string metrics_fault_;
    protocol::Health engine_health_ = protocol::Health::unknown;

    aio::Signal host_looked_at_;  // its engine, or its GPUs
    aio::Signal look_at_engine_;
    aio::Signal register_again_;
    aio::Signal enabled_changed_;
    aio::Signal heartbeat_now_;
    aio::Signal poll_now_;
    aio::Signal plan_asked_;
    std::deque<std::int64_t> plans_asked_;  // ids; at most kMostPlans
    aio::Signal save_;
    Unsaved unsaved_;

    aio::BlockingPool disk_{1};  // last: its thread is joined before the rest goes
};

}  // namespace trailer::agent
