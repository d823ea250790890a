#include "server/service/state.h"

#include "base/crypto.h"
#include "base/id.h"
#include "wire/json.h"

namespace trailer::server {
namespace {

using protocol::EventType;

// An agent that has missed more gets the whole.
constexpr std::size_t kMostRemovals = 4096;

template <typename Map>
auto* find_in(Map& map, const std::string& key) {
    const auto found = map.find(key);
    return found == map.end() ? nullptr : &found->second;
}

std::int64_t& count_of(protocol::GroupView& view, Kind kind) {
    switch (kind) {
        case Kind::workspace:
            return view.workspaces;
        case Kind::network:
            return view.networks;
        case Kind::volume:
            return view.volumes;
        case Kind::image:
            break;
    }
    return view.images;
}

}  // namespace

std::set<ResourceKey> uses_of(const protocol::WorkspaceSpec& spec) {
    std::set<ResourceKey> uses{{Kind::image, spec.image}};
    for (const auto& each : spec.networks) uses.emplace(Kind::network, each.network);
    for (const auto& each : spec.mounts) {
        if (!each.volume.empty()) uses.emplace(Kind::volume, each.volume);
    }
    return uses;
}

State::State(store::Snapshot snapshot) : process_(new_id()), meta_(std::move(snapshot.meta)) {
    for (const auto kind : protocol::kAllKinds) ids_[kind];
    store::Changes all;
    all.put_users = std::move(snapshot.users);
    all.put_tokens = std::move(snapshot.tokens);
    all.put_grants = std::move(snapshot.grants);
    all.put_hosts = std::move(snapshot.hosts);
    all.put_resources = std::move(snapshot.resources);
    apply(all);
}

const store::User* State::user(const std::string& id) const {
    return find_in(users_, id);
}

const store::User* State::user_named(const std::string& username) const {
    for (const auto& [id, user] : users_) {
        if (user.username == username) return &user;
    }
    return nullptr;
}

const store::Token* State::token_of_hash(const std::string& hash) const {
    const auto* id = find_in(token_ids_, hash);
    return id == nullptr ? nullptr : find_in(tokens_, *id);
}

const store::Token* State::token(const std::string& id) const {
    return find_in(tokens_, id);
}

std::vector<const store::Token*> State::tokens_of(const std::string& user_id) const {
    std::vector<const store::Token*> list;
    for (const auto& [id, token] : tokens_) {
        if (token.user_id == user_id) list.push_back(&token);
    }
    std::ranges::sort(list, {}, [](const store::Token* token) { return token->id; });
    return list;
}

const store::Grant* State::grant(const std::string& user_id, const std::string& subject_id) const {
    return find_in(grants_on(subject_id), user_id);
}

const std::map<std::string, store::Grant>& State::grants_on(const std::string& subject_id) const {
    static const std::map<std::string, store::Grant> none;
    const auto* grants = find_in(grants_, subject_id);
    return grants == nullptr ? none : *grants;
}

std::vector<const store::Grant*> State::grants_of(const std::string& user_id) const {
    std::vector<const store::Grant*> list;
    for (const auto& [subject, grants] : grants_) {
        if (const auto* grant = find_in(grants, user_id)) list.push_back(grant);
    }
    return list;
}

std::string State::meta(const std::string& key) const {
    const auto* value = find_in(meta_, key);
    return value == nullptr ? "" : *value;
}

const HostEntry* State::host(const std::string& id_or_name) const {
    if (const auto* entry = find_in(hosts_, id_or_name)) return entry;
    const auto* id = find_in(host_ids_, id_or_name);
    return id == nullptr ? nullptr : find_in(hosts_, *id);
}

const HostEntry* State::host_of_registration(const std::string& registration_token) const {
    const auto* id = find_in(registrations_, registration_token);
    return id == nullptr ? nullptr : find_in(hosts_, *id);
}

const ResourceEntry* State::resource_of_id(const std::string& id) const {
    return find_in(resources_, id);
}

const ResourceEntry* State::resource(Kind kind, const std::string& id_or_name) const {
    const auto* id = find_in(names(kind), id_or_name);
    const auto* entry = find_in(resources_, id == nullptr ? id_or_name : *id);
    return entry == nullptr || entry->record.kind != kind ? nullptr : entry;
}

const std::map<std::string, std::string>& State::names(Kind kind) const {
    return ids_.at(kind);
}

std::vector<const ResourceEntry*> State::resources_on(const std::string& host_id) const {
    std::vector<const ResourceEntry*> list;
    if (const auto* ids = find_in(on_host_, host_id)) {
        for (const auto& id : *ids) list.push_back(&resources_.at(id));
    }
    return list;
}

std::vector<const ResourceEntry*> State::resources_in(const std::string& group) const {
    std::vector<const ResourceEntry*> list;
    if (const auto* ids = find_in(groups_, group)) {
        for (const auto& id : *ids) list.push_back(&resources_.at(id));
    }
    return list;
}

std::string State::history_of(const std::string& host_id) const {
    return process_ + "." + host_id;
}

std::optional<Difference> State::difference(const std::string& host_id, std::int64_t since) const {
    const auto* removals = find_in(removals_, host_id);
    const auto* host = find_in(hosts_, host_id);
    if (removals == nullptr || host == nullptr) return std::nullopt;
    if (since < removals->since || since > host->record.revision) return std::nullopt;
    Difference difference;
    for (const auto* each : resources_on(host_id)) {
        if (each->wanted_since > since) difference.changed.push_back(each);
    }
    for (const auto& [revision, id] : removals->ids) {
        if (revision > since) difference.removed.push_back(id);
    }
    return difference;
}

void State::note_removal(const std::string& host_id, const std::string& id) {
    const auto* host = find_in(hosts_, host_id);
    if (host == nullptr) return;
    auto& removals = removals_[host_id];
    removals.ids.emplace_back(host->record.revision, id);
    if (removals.ids.size() <= kMostRemovals) return;
    removals.since = removals.ids.front().first;
    removals.ids.pop_front();
}

std::vector<Change> State::apply(const store::Changes& changes) {
    std::vector<Change> told;
    std::vector<Removed> removed;
    for (const auto& user : changes.put_users) users_[user.id] = user;
    for (const auto& id : changes.remove_users) remove_user(id);
    for (const auto& id : changes.remove_tokens) remove_token(id);
    for (const auto& token : changes.put_tokens) {
        tokens_[token.id] = token;
        token_ids_[token.hash] = token.id;
    }
    for (const auto& [key, value] : changes.put_meta) meta_[key] = value;
    for (const auto& id : changes.remove_resources) remove_resource(id, told, removed);
    for (const auto& id : changes.remove_hosts) {
        const auto found = hosts_.find(id);
        if (found == hosts_.end()) continue;
        for (const auto ids = on_host_[id]; const auto& each : ids)
            remove_resource(each, told, removed);
        const auto& record = found->second.record;
        told.push_back({EventType::deleted, "Host", record.id, record.name, ""});
        host_ids_.erase(record.name);
        registrations_.erase(record.registration_token);
        on_host_.erase(id);
        grants_.erase(id);
        removals_.erase(id);
        hosts_.erase(found);
    }
    for (const auto& host : changes.put_hosts) {
        const auto* before = find_in(hosts_, host.id);
        const bool renamed = before != nullptr && before->record.name != host.name;
        told.push_back(put(host));
        if (!renamed) continue;
        for (const auto& id : on_host_[host.id]) render(resources_.at(id));
    }
    for (const auto& [host_id, id] : removed) note_removal(host_id, id);  // by its new revision
    for (const auto& resource : changes.put_resources) told.push_back(put(resource));
    apply_grants(changes, told);
    return told;
}

void State::remove_user(const std::string& id) {
    for (const auto* token : tokens_of(id)) remove_token(std::string(token->id));
    for (auto& [subject, grants] : grants_) grants.erase(id);
    std::erase_if(grants_, [](const auto& each) { return each.second.empty(); });
    users_.erase(id);
    for (auto& [resource_id, entry] : resources_) {
        if (entry.record.owner_id == id) render(entry);
    }
}

void State::remove_token(const std::string& id) {
    if (const auto* token = find_in(tokens_, id)) token_ids_.erase(token->hash);
    tokens_.erase(id);
}

void State::remove_resource(const std::string& id, std::vector<Change>& told,
                            std::vector<Removed>& removed) {
    const auto found = resources_.find(id);
    if (found == resources_.end()) return;
    const auto& record = found->second.record;
    told.push_back({EventType::deleted, std::string(protocol::title(record.kind)), record.id,
                    record.name, ""});
    ids_.at(record.kind).erase(record.name);
    on_host_[record.host_id].erase(id);
    grants_.erase(id);
    leave_group(record);
    removed.emplace_back(record.host_id, id);
    resources_.erase(found);
}

// Who is granted something hears of it as of a change.
void State::apply_grants(const store::Changes& changes, std::vector<Change>& told) {
    for (const auto& [user_id, subject_id] : changes.remove_grants) {
        const auto found = grants_.find(subject_id);
        if (found == grants_.end()) continue;
        found->second.erase(user_id);
        if (found->second.empty()) grants_.erase(found);
    }
    for (const auto& grant : changes.put_grants) {
        grants_[grant.subject_id][grant.user_id] = grant;
        if (auto change = change_of(grant.subject_id)) told.push_back(std::move(*change));
    }
}

std::optional<Change> State::change_of(const std::string& subject_id) const {
    if (const auto* host = find_in(hosts_, subject_id)) {
        return Change{EventType::updated, "Host", subject_id, host->record.name, host->text};
    }
    const auto* entry = find_in(resources_, subject_id);
    if (entry == nullptr) return std::nullopt;
    return Change{EventType::updated, std::string(protocol::title(entry->record.kind)), subject_id,
                  entry->record.name, entry->text};
}

Change State::put(const store::Host& host) {
    const auto [entry, fresh] = hosts_.try_emplace(host.id);
    auto& [record, presence, text] = entry->second;
    if (fresh) {
        presence.since = now();
        removals_[host.id].since = host.revision;
    } else {
        host_ids_.erase(record.name);
    }
    record = host;
    host_ids_[host.name] = host.id;
    registrations_[host.registration_token] = host.id;
    using protocol::HostState;
    const auto status = !host.approved ? HostState::pending_approval
                        : presence.heartbeat.status == protocol::Health::ok ? HostState::online
                                                                            : HostState::offline;
    if (status != presence.status) {
        presence.status = status;
        presence.since = now();
    }
    render(entry->second);
    return {fresh ? EventType::created : EventType::updated, "Host", host.id, host.name, text};
}

Change State::put(const store::Resource& resource) {
    const auto [entry, fresh] = resources_.try_emplace(resource.id);
    auto& record = entry->second.record;
    if (!fresh) leave_group(record);
    if (fresh || record.revision != resource.revision) {
        const auto* host = find_in(hosts_, resource.host_id);
        entry->second.wanted_since = host == nullptr ? 0 : host->record.revision;
    }
    if (resource.kind == Kind::workspace && (fresh || record.spec != resource.spec)) {
        entry->second.workspace = std::make_shared<const protocol::WorkspaceSpec>(
            wire::from_json<protocol::WorkspaceSpec>(resource.spec));
        entry->second.uses = uses_of(*entry->second.workspace);
    }
    record = resource;
    if (!record.group.empty()) groups_[record.group].insert(record.id);
    ids_.at(resource.kind)[resource.name] = resource.id;
    on_host_[resource.host_id].insert(resource.id);
    render(entry->second);
    return {fresh ? EventType::created : EventType::updated,
            std::string(protocol::title(resource.kind)), resource.id, resource.name,
            entry->second.text};
}

void State::leave_group(const store::Resource& resource) {
    const auto found = groups_.find(resource.group);
    if (found == groups_.end()) return;
    found->second.erase(resource.id);
    if (found->second.empty()) groups_.erase(found);
}

std::optional<Change> State::set_presence(const std::string& host_id, Presence presence) {
    auto* entry = find_in(hosts_, host_id);
    if (entry == nullptr) return std::nullopt;
    const auto& was = entry->presence;
    const bool news = presence.status != was.status || presence.heartbeat != was.heartbeat ||
                      presence.realtime != was.realtime || presence.engine != was.engine ||
                      presence.reconcile != was.reconcile ||
                      presence.upkeep.leftovers_count != was.upkeep.leftovers_count ||
                      presence.upkeep.collected_count != was.upkeep.collected_count ||
                      presence.revision_applied != was.revision_applied;
    entry->presence = std::move(presence);
    render(*entry);
    if (!news) return std::nullopt;
    return Change{EventType::updated, "Host", host_id, entry->record.name, entry->text};
}

protocol::HostView State::view(const HostEntry& host) const {
    const auto& [record, presence, text] = host;
    protocol::HostView view;
    view.id = record.id;
    view.name = record.name;
    view.status = presence.status;
    view.since = presence.since;
    view.enabled = record.enabled;
    view.settings = record.settings;
    view.heartbeat = presence.heartbeat;
    view.realtime = presence.realtime;
    view.engine = presence.engine;
    view.reconcile = presence.reconcile;
    view.version = record.version;
    view.os = record.os;
    view.architecture = record.architecture;
    view.capabilities = record.capabilities;
    view.fingerprint = key_fingerprint(record.public_key);
    view.address = record.address;
    view.identity_conflict = record.conflict;
    view.metrics = presence.metrics;
    view.upkeep = presence.upkeep;
    view.revision = record.revision;
    view.revision_applied = presence.revision_applied;
    view.created = record.created;
    view.updated = record.updated;
    return view;
}

protocol::ResourceView State::view(const store::Resource& resource) const {
    protocol::ResourceView view;
    view.kind = resource.kind;
    view.id = resource.id;
    view.name = resource.name;
    view.host_id = resource.host_id;
    if (const auto* host = find_in(hosts_, resource.host_id)) view.host = host->record.name;
    view.group = resource.group;
    if (const auto* owner = user(resource.owner_id)) view.owner = owner->username;
    if (resource.kind == Kind::workspace) view.running = resource.running;
    view.spec = resource.spec;
    view.status = resource.status;
    view.messages = resource.messages;
    view.observed = resource.observed;
    view.revision = resource.revision;
    view.created = resource.created;
    view.updated = resource.updated;
    return view;
}

protocol::GroupView State::view(const std::string& group,
                                const std::vector<const ResourceEntry*>& members) const {
    protocol::GroupView view;
    view.name = group;
    std::set<std::string> hosts;
    for (const auto* entry : members) {
        const auto& record = entry->record;
        if (const auto* host = find_in(hosts_, record.host_id)) hosts.insert(host->record.name);
        if (record.kind == Kind::workspace) ++view.states[wire::to_text(record.status)];
        ++count_of(view, record.kind);
        if (view.created == Timestamp{}) view.created = record.created;
        view.created = std::min(view.created, record.created);
        view.updated = std::max(view.updated, record.updated);
    }
    view.hosts.assign(hosts.begin(), hosts.end());
    return view;
}

void State::render(HostEntry& host) const {
    host.text = wire::to_json_text(view(host));
}

void State::render(ResourceEntry& resource) const {
    resource.text = wire::to_json_text(view(resource.record));
}

}  // namespace trailer::server
