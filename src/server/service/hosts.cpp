#include "server/service/hosts.h"

#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "protocol/validate.h"
#include "server/service/rights.h"
#include "wire/json.h"

namespace trailer::server {
namespace {

using namespace std::chrono_literals;
using protocol::Health;

constexpr auto kLookEvery = 250ms;
constexpr int kMissedHeartbeats = 3;
constexpr auto kLatency = 1s;  // what a heartbeat may be late for the network's sake

struct HostPatch {
    std::string name;
    bool enabled = true;
    protocol::HostSettings settings;
};
BOOST_DESCRIBE_STRUCT(HostPatch, (), (name, enabled, settings))

void check_range(std::vector<FieldError>& faults, const char* member, std::int64_t value,
                 std::int64_t least, std::int64_t most, std::string_view unit = "milliseconds") {
    if (value >= least && value <= most) return;
    faults.push_back({fmt::format("/settings/{}", member),
                      fmt::format("expected {} to {} {}, got {}", least, most, unit, value)});
}

void check_settings(const protocol::HostSettings& settings, std::vector<FieldError>& faults) {
    constexpr std::int64_t kHour = 3'600'000;
    constexpr std::int64_t kDay = 24 * kHour;
    check_range(faults, "heartbeat_interval_ms", settings.heartbeat_interval_ms, 100, kHour);
    check_range(faults, "reconcile_interval_ms", settings.reconcile_interval_ms, 100, kHour);
    check_range(faults, "pull_timeout_ms", settings.pull_timeout_ms, 1000, kDay);
    check_range(faults, "push_timeout_ms", settings.push_timeout_ms, 1000, kDay);
    check_range(faults, "build_timeout_ms", settings.build_timeout_ms, 1000, kDay);
    check_range(faults, "metrics_retention_ms", settings.metrics_retention_ms, 0, 3650 * kDay);
    check_range(faults, "leftover_grace_ms", settings.leftover_grace_ms, 0, 30 * kDay);
    const auto& collection = settings.collection;
    check_range(faults, "collection/keep", collection.keep, 0, 1000, "images");
    check_range(faults, "collection/older_than_ms", collection.older_than_ms, 0, 3650 * kDay);
    check_range(faults, "collection/disk_above_percent", collection.disk_above_percent, 1, 100,
                "percent");
}

}  // namespace

const HostEntry& HostService::get(const std::string& id_or_name) const {
    const auto* host = core_.state().host(id_or_name);
    if (host == nullptr) throw Error(ErrorKind::not_found, "host \"{}\" is not known", id_or_name);
    return *host;
}

const HostEntry& HostService::get(const Caller& caller, const std::string& id_or_name) const {
    const auto* host = core_.state().host(id_or_name);
    if (host == nullptr || !Rights(core_.state(), caller.user_id).see(host->record)) {
        throw Error(ErrorKind::not_found, "host \"{}\" is not known", id_or_name);
    }
    return *host;
}

Task<> HostService::patch(std::string id_or_name, boost::json::value patch) {
    co_await core_.change([&](const State& state) {
        store::Changes changes;
        auto host = get(id_or_name).record;
        const HostPatch was{host.name, host.enabled && host.approved, host.settings};
        auto document = wire::to_json(was);
        wire::merge_patch(document, patch);
        const auto wanted = wire::from_json<HostPatch>(document, wire::Unknown::refuse);
        std::vector<FieldError> faults;
        if (wanted.name != was.name) {
            protocol::check_name(wanted.name, "/name", faults);
            if (state.host(wanted.name) != nullptr) {
                faults.push_back({"/name", fmt::format("another host is named {}", wanted.name)});
            }
        }
        check_settings(wanted.settings, faults);
        if (!faults.empty()) throw InvalidInput(std::move(faults));
        if (wire::to_json(wanted) == wire::to_json(was)) return changes;
        if (!host.approved && wanted.enabled) {
            host.approved = true;
            log::info("host {} approved, with key {}", host.name, key_fingerprint(host.public_key));
        }
        host.name = wanted.name;
        host.enabled = wanted.enabled;
        host.settings = wanted.settings;
        host.updated = now();
        changes.put_hosts.push_back(std::move(host));
        return changes;
    });
}

Task<> HostService::approve(std::string id_or_name, std::optional<std::string> fingerprint) {
    std::string rebound;
    co_await core_.change([&](const State&) {
        store::Changes changes;
        auto host = get(id_or_name).record;
        const bool second =
            fingerprint && host.conflict && *fingerprint == host.conflict->fingerprint;
        if (fingerprint && !second && *fingerprint != key_fingerprint(host.public_key)) {
            throw InvalidInput(
                "/fingerprint",
                fmt::format("is neither the key of host {} ({}) nor one that claims to be it",
                            host.name, key_fingerprint(host.public_key)));
        }
        if (host.approved && !second && !(fingerprint && host.conflict)) return changes;
        if (second) {
            host.public_key = host.conflict_key;
            rebound = host.id;
        }
        host.conflict.reset();
        host.conflict_key.clear();
        host.approved = true;
        host.updated = now();
        log::info("host {} approved, with key {}", host.name, key_fingerprint(host.public_key));
        changes.put_hosts.push_back(std::move(host));
        return changes;
    });
    if (!rebound.empty()) core_.channels().drop(rebound);  // the former key's
}

Task<> HostService::remove(std::string id_or_name) {
    std::string removed;
    co_await core_.change([&](const State&) {
        const auto& host = get(id_or_name).record;
        if (host.approved && host.enabled) {
            throw Error(ErrorKind::conflict,
                        "host {} is enabled: disable it first (PATCH {{\"enabled\": false}})",
                        host.name);
        }
        removed = host.id;
        store::Changes changes;
        changes.remove_hosts.push_back(host.id);
        return changes;
    });
    core_.channels().drop(removed);
}

Task<> HostService::watch_heartbeats() {
    for (;;) {
        co_await aio::sleep(kLookEvery);
        std::vector<std::string> silent;
        for (const auto& [id, host] : core_.state().hosts()) {
            const auto patience =
                kMissedHeartbeats *
                    std::chrono::milliseconds{host.record.settings.heartbeat_interval_ms} +
                kLatency;
            if (host.presence.heartbeat.status == Health::ok &&
                std::chrono::steady_clock::now() - host.presence.heard > patience) {
                silent.push_back(id);
            }
        }
        for (const auto& id : silent) {
            const auto& name = core_.state().host(id)->record.name;
            log::warning("host {} is no longer heard of", name);
            core_.set_presence(id, [](Presence& presence) {
                update(presence.heartbeat, Health::failing,
                       fmt::format("{} heartbeats in a row did not come", kMissedHeartbeats));
                update(presence.engine, Health::unknown, "the host is not heard of");
                update(presence.reconcile, Health::unknown, "the host is not heard of");
                presence.status = protocol::HostState::offline;
                presence.since = now();
            });
        }
    }
}

}  // namespace trailer::server
