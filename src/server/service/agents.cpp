#include "server/service/agents.h"

#include <algorithm>

#include "base/id.h"
#include "base/log.h"
#include "server/service/auth.h"
#include "server/service/desired.h"
#include "wire/json.h"

namespace trailer::server {
namespace {

using protocol::Health;
using ResourceState = protocol::State;

constexpr std::size_t kMostPending = 1000;  // hosts that wait for approval
constexpr std::size_t kLongestText = 16 << 10;

bool is_registration_token(const std::string& text) {
    return text.size() == 32 && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

// Two hosts may have the same name of their own.
std::string free_name(const server::State& state, const std::string& wanted) {
    std::string name;
    for (const char c : wanted.substr(0, 50)) {
        const bool good =
            (std::isalnum(static_cast<unsigned char>(c)) != 0) || c == '-' || c == '_' || c == '.';
        name += good ? c : '-';
    }
    while (!name.empty() && std::isalnum(static_cast<unsigned char>(name.front())) == 0) {
        name.erase(0, 1);
    }
    while (!name.empty() && std::isalnum(static_cast<unsigned char>(name.back())) == 0) {
        name.pop_back();
    }
    if (name.size() < 2 || is_uuid(name)) name = "host";
    auto free = name;
    for (int i = 2; state.host(free) != nullptr; ++i) free = fmt::format("{}-{}", name, i);
    return free;
}

void take_facts(store::Host& host, const protocol::RegisterRequest& request,
                const std::string& address) {
    host.version = request.version;
    host.os = request.os;
    host.architecture = request.architecture;
    host.capabilities = request.capabilities;
    host.address = address;
}

std::string host_part(const std::string& address) {
    return address.substr(0, address.rfind(':'));
}

// What an agent remembers by telling it here; one that has just started may not know it yet.
void take_observed(store::Resource& resource, const boost::json::object& observed) {
    const auto former = std::exchange(resource.observed, observed);
    if (former.contains("pulled")) resource.observed["pulled"] = true;
    for (const auto* name : {"forced_pull", "last_plan"}) {
        const auto* told = former.if_contains(name);
        if (told != nullptr && !resource.observed.contains(name)) resource.observed[name] = *told;
    }
    const auto applied = std::max(number_in(former, "applied_revision"),
                                  number_in(resource.observed, "applied_revision"));
    if (applied > 0) resource.observed["applied_revision"] = applied;
}

// From the host's clock to ours.
void translate(protocol::Upkeep& upkeep, std::chrono::milliseconds ahead) {
    for (auto& each : upkeep.leftovers) {
        each.since -= ahead;
        each.removal -= ahead;
    }
    for (auto& each : upkeep.collected) each.at -= ahead;
}

}  // namespace

AgentService::AgentService(Core& core, std::string auto_approve_public_key)
    : core_(core),
      auto_approve_public_key_(std::move(auto_approve_public_key)),
      identity_(secret(core.state())) {}

protocol::ChallengeAnswer AgentService::challenge(const protocol::ChallengeRequest& request) const {
    if (request.public_key.size() != 43) {
        throw InvalidInput("/public_key", "expected an Ed25519 key: 43 letters of base64url");
    }
    return {identity_.challenge(request.public_key)};
}

Task<protocol::RegisterAnswer> AgentService::register_host(protocol::RegisterRequest request,
                                                           std::string address) {
    if (!is_registration_token(request.registration_token)) {
        throw InvalidInput("/registration_token", "expected 32 hexadecimal letters");
    }
    identity_.verify(request);
    address = host_part(address);
    co_await core_.change(
        [&](const server::State& state) { return decide_registration(state, request, address); });
    const auto* host = core_.state().host_of_registration(request.registration_token);
    if (host == nullptr) {
        throw Error(ErrorKind::unavailable, "the host was deleted at this moment; register again");
    }
    const auto& record = host->record;
    if (record.public_key != request.public_key) {
        throw RegistrationHeld(ErrorKind::conflict, protocol::kProblemIdentityConflict,
                               fmt::format("host {} is bound to another key, {}", record.name,
                                           key_fingerprint(record.public_key)));
    }
    if (!record.approved) {
        throw RegistrationHeld(ErrorKind::forbidden, protocol::kProblemPendingApproval,
                               fmt::format("host {} waits for an admin's approval", record.name));
    }
    log::info("host {} registered from {}", record.name, address);
    co_return protocol::RegisterAnswer{.host_id = record.id,
                                       .name = record.name,
                                       .token = identity_.token(record),
                                       .enabled = record.enabled,
                                       .settings = record.settings,
                                       .revision = record.revision};
}

store::Changes AgentService::decide_registration(const server::State& state,
                                                 const protocol::RegisterRequest& request,
                                                 const std::string& address) {
    store::Changes changes;
    const bool our_own =
        !auto_approve_public_key_.empty() && request.public_key == auto_approve_public_key_;
    const auto* known = state.host_of_registration(request.registration_token);
    if (known == nullptr) {
        const auto pending = std::ranges::count_if(
            state.hosts(), [](const auto& each) { return !each.second.record.approved; });
        if (!our_own && pending >= static_cast<std::ptrdiff_t>(kMostPending)) {
            throw Error(ErrorKind::rate_limited,
                        "{} hosts wait for approval: an admin must approve or delete some",
                        pending);
        }
        store::Host host{.id = new_id(),
                         .name = free_name(state, request.deployment_name),
                         .registration_token = request.registration_token,
                         .public_key = request.public_key,
                         .approved = our_own};
        take_facts(host, request, address);
        host.created = host.updated = now();
        log::info("host {} is new, from {}, with key {}{}", host.name, address,
                  key_fingerprint(host.public_key), our_own ? "" : ": it waits for approval");
        changes.put_hosts.push_back(std::move(host));
        return changes;
    }
    auto host = known->record;
    if (host.public_key != request.public_key && !our_own) {
        const auto fingerprint = key_fingerprint(request.public_key);
        if (host.conflict && host.conflict->fingerprint == fingerprint &&
            host.conflict->address == address &&
            now() - host.conflict->last < std::chrono::seconds{30}) {
            return changes;  // told a moment ago
        }
        const bool again = host.conflict && host.conflict->fingerprint == fingerprint;
        host.conflict = {.fingerprint = fingerprint,
                         .address = address,
                         .first = again ? host.conflict->first : now(),
                         .last = now()};
        host.conflict_key = request.public_key;
        log::warning("another agent, from {} with key {}, claims to be host {}", address,
                     fingerprint, host.name);
        changes.put_hosts.push_back(std::move(host));
        return changes;
    }
    const auto before = host;
    if (our_own) {
        host.public_key = request.public_key;
        host.approved = true;
    }
    take_facts(host, request, address);
    if (host == before) return changes;
    host.updated = now();
    changes.put_hosts.push_back(std::move(host));
    return changes;
}

const HostEntry& AgentService::authenticate(const std::string& token) const {
    const auto* host = identity_.host_of(token, core_.state());
    if (host == nullptr) {
        throw Error(ErrorKind::unauthenticated,
                    "this agent's token is not (or no longer) good: "
                    "register again");
    }
    return *host;
}

protocol::HeartbeatAnswer AgentService::heartbeat(const std::string& host_id,
                                                  protocol::HeartbeatRequest request) {
    core_.set_presence(host_id, [&](Presence& presence) {
        presence.heard = std::chrono::steady_clock::now();
        update(presence.heartbeat, Health::ok);
        // Since when is the host's to say, in its own clock.
        presence.clock_ahead = request.clock - now();
        const auto take = [&](protocol::Condition& seen, protocol::Condition& told) {
            told.since -= presence.clock_ahead;
            if (seen.status == told.status && seen.reason == told.reason) return;
            seen = std::move(told);
        };
        take(presence.engine, request.engine);
        take(presence.reconcile, request.reconcile);
        presence.metrics = request.metrics;
        translate(request.upkeep, presence.clock_ahead);
        presence.upkeep = std::move(request.upkeep);
        presence.revision_applied = request.revision;
        if (presence.status != protocol::HostState::online) {
            presence.status = protocol::HostState::online;
            presence.since = now();
        }
    });
    const auto& host = core_.state().host(host_id)->record;
    return {.enabled = host.enabled, .settings = host.settings, .revision = host.revision};
}

std::optional<std::string> AgentService::desired_state(const std::string& host_id,
                                                       const std::string& history,
                                                       std::int64_t revision) const {
    const auto& state = core_.state();
    const auto& host = state.host(host_id)->record;
    if (revision == host.revision) return std::nullopt;
    protocol::DesiredAnswer answer;
    answer.host_id = host.id;
    answer.revision = host.revision;
    answer.history = state.history_of(host_id);
    std::optional<Difference> difference;
    if (history == answer.history) difference = state.difference(host_id, revision);
    if (difference) {
        answer.since = revision;
        answer.removed = std::move(difference->removed);
    }
    for (const auto* entry : difference ? difference->changed : state.resources_on(host_id)) {
        add_to(answer, entry->record);
    }
    return wire::to_json_text(answer);
}

Task<> AgentService::take_reports(std::string host_id, protocol::StatusRequest request) {
    for (auto& report : request.reports) {
        for (auto& message : report.messages) {
            if (message.text.size() > kLongestText) message.text.resize(kLongestText);
        }
    }
    co_await core_.change([&](const server::State& state) {
        store::Changes changes;
        std::map<std::string, store::Resource> changed;
        std::set<std::string> removed;
        for (const auto& report : request.reports) {
            const auto* entry = state.resource_of_id(report.id);
            // Of what is no more, of another host's, or of what was wanted before.
            if (entry == nullptr || entry->record.host_id != host_id ||
                entry->record.kind != report.kind || report.revision < entry->record.revision) {
                continue;
            }
            if (report.status == ResourceState::deleted) {
                if (entry->record.deleting) removed.insert(report.id);
                continue;
            }
            auto& resource = changed.try_emplace(report.id, entry->record).first->second;
            resource.status = report.status;
            resource.messages = report.messages;
            take_observed(resource, report.observed);
        }
        for (const auto& id : removed) {
            changed.erase(id);
            changes.remove_resources.push_back(id);
        }
        for (auto& [id, resource] : changed) {
            if (resource == state.resource_of_id(id)->record) continue;
            resource.updated = now();
            changes.put_resources.push_back(std::move(resource));
        }
        if (!removed.empty()) {
            auto host = state.host(host_id)->record;
            ++host.revision;
            changes.put_hosts.push_back(std::move(host));
        }
        return changes;
    });
}

}  // namespace trailer::server
