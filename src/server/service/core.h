// The one way to change what the server knows: decide on the state as it is, commit, apply to the
// state in memory, tell the listeners. One change at a time; a change that fails leaves nothing.
#pragma once

#include <functional>
#include <memory>

#include "aio/blocking_pool.h"
#include "aio/mutex.h"
#include "server/hub/agent_channels.h"
#include "server/hub/event_feed.h"
#include "server/hub/plan_desk.h"
#include "server/hub/session_desk.h"
#include "server/service/state.h"
#include "store/store.h"

namespace trailer::server {

class Core {
  public:
    Core(asio::any_io_executor executor, std::unique_ptr<store::Store> store);

    const State& state() const { return state_; }
    EventFeed& feed() { return feed_; }
    AgentChannels& channels() { return channels_; }
    PlanDesk& plans() { return plans_; }
    SessionDesk& sessions() { return sessions_; }
    // For what takes long: password hashes.
    aio::BlockingPool& pool() { return pool_; }
    asio::any_io_executor executor() const { return executor_; }

    // `decide` sees the state as it will be when the change is applied: nothing else changes it
    // meanwhile. It throws to refuse. Returns when the change is on the disk. Once begun it is not
    // cut short by the caller's cancellation.
    Task<> change(std::function<store::Changes(const State&)> decide);

    // Changes what is not in the database.
    void set_presence(const std::string& host_id, const std::function<void(Presence&)>& edit);

    // Throws Error when the database does not answer.
    Task<> check_store();

    // The audit log on the disk; what it means is AuditLog's. Throw Error.
    Task<> write_audit(std::vector<store::AuditRecord> records);
    Task<std::vector<protocol::AuditEntry>> read_audit(store::AuditQuery query);
    Task<std::optional<store::AuditRecord>> audit_of_session(std::string session);
    Task<> prune_audit(Timestamp oldest);

  private:
    Task<> commit(std::function<store::Changes(const State&)> decide);
    using Audiences = std::map<std::string, std::set<std::string>>;  // by the subject's id
    Audiences audiences_of_removed(const store::Changes& changes) const;
    std::set<std::string> audience_of(const std::string& id) const;
    void tell(const std::vector<Change>& changes, const Audiences& removed);

    asio::any_io_executor executor_;
    std::unique_ptr<store::Store> store_;
    State state_;
    EventFeed feed_;
    AgentChannels channels_;
    PlanDesk plans_;
    SessionDesk sessions_;
    aio::Mutex writing_;
    aio::BlockingPool pool_{2};
    aio::BlockingPool disk_{1};  // last: its threads are joined before the rest goes
};

}  // namespace trailer::server
