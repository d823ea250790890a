#include "server/service/core.h"

#include <boost/asio/bind_cancellation_slot.hpp>

#include "server/service/rights.h"

namespace trailer::server {

Core::Core(asio::any_io_executor executor, std::unique_ptr<store::Store> store)
    : executor_(executor),
      store_(std::move(store)),
      state_(store_->load()),
      feed_(executor),
      channels_(executor,
                [this](const std::string& host_id, protocol::Health health, std::string reason) {
                    set_presence(host_id, [&](Presence& presence) {
                        const auto* host = state_.host(host_id);
                        if (health != protocol::Health::ok && !host->record.enabled) {
                            health = protocol::Health::unknown;
                            reason = "this host is disabled";
                        }
                        update(presence.realtime, health, std::move(reason));
                    });
                }),
      plans_(executor, channels_),
      sessions_(executor, channels_),
      writing_(std::move(executor)) {}

Task<> Core::change(std::function<store::Changes(const State&)> decide) {
    auto work = commit(std::move(decide));
    co_await asio::co_spawn(
        executor_, std::move(work),
        asio::bind_cancellation_slot(asio::cancellation_slot(), asio::use_awaitable));
}

Task<> Core::commit(std::function<store::Changes(const State&)> decide) {
    const auto guard = co_await writing_.lock();
    const auto changes = decide(state_);
    if (changes.empty()) co_return;
    co_await disk_.run([this, &changes] { store_->commit(changes); });
    struct Before {
        std::int64_t revision;
        protocol::HostSettings settings;
        bool enabled;
    };
    std::map<std::string, Before> before;
    for (const auto& host : changes.put_hosts) {
        if (const auto* entry = state_.host(host.id)) {
            const auto& record = entry->record;
            before[host.id] = {record.revision, record.settings, record.enabled};
        }
    }
    const auto removed = audiences_of_removed(changes);
    tell(state_.apply(changes), removed);
    for (const auto& host : changes.put_hosts) {
        const auto found = before.find(host.id);
        if (found == before.end()) continue;
        if (found->second.revision != host.revision) channels_.nudge(host.id, host.revision);
        if (found->second.settings != host.settings || found->second.enabled != host.enabled) {
            channels_.settings_changed(host.id);
        }
    }
}

void Core::set_presence(const std::string& host_id, const std::function<void(Presence&)>& edit) {
    const auto* host = state_.host(host_id);
    if (host == nullptr) return;
    auto presence = host->presence;
    edit(presence);
    if (const auto change = state_.set_presence(host_id, std::move(presence))) {
        tell({*change}, {});
    }
}

std::set<std::string> Core::audience_of(const std::string& id) const {
    if (const auto* host = state_.host(id)) return server::audience_of(state_, host->record);
    const auto* entry = state_.resource_of_id(id);
    return entry == nullptr ? std::set<std::string>() : server::audience_of(state_, entry->record);
}

// Who saw what is about to go.
Core::Audiences Core::audiences_of_removed(const store::Changes& changes) const {
    Audiences audiences;
    for (const auto& id : changes.remove_resources) audiences[id] = audience_of(id);
    for (const auto& host_id : changes.remove_hosts) {
        audiences[host_id] = audience_of(host_id);
        for (const auto* entry : state_.resources_on(host_id)) {
            audiences[entry->record.id] = audience_of(entry->record.id);
        }
    }
    return audiences;
}

void Core::tell(const std::vector<Change>& changes, const Audiences& removed) {
    for (const auto& each : changes) {
        const auto found = removed.find(each.id);
        feed_.publish(each, found == removed.end() ? audience_of(each.id) : found->second);
    }
}

Task<> Core::write_audit(std::vector<store::AuditRecord> records) {
    co_await disk_.run([this, &records] { store_->put_audit(records); });
}

Task<std::vector<protocol::AuditEntry>> Core::read_audit(store::AuditQuery query) {
    co_return co_await disk_.run([this, &query] { return store_->audit(query); });
}

Task<std::optional<store::AuditRecord>> Core::audit_of_session(std::string session) {
    co_return co_await disk_.run([this, &session] { return store_->audit_of_session(session); });
}

Task<> Core::prune_audit(Timestamp oldest) {
    co_await disk_.run([this, oldest] { store_->prune_audit(oldest); });
}

Task<> Core::check_store() {
    co_await disk_.run([this] { store_->check(); });
}

}  // namespace trailer::server
