#include "server/service/batch.h"

#include <algorithm>

#include "base/error.h"
#include "base/id.h"
#include "protocol/validate.h"
#include "server/service/desired.h"
#include "wire/json.h"

namespace trailer::server {

using protocol::ApplyResult;
using protocol::Document;
using ResourceState = protocol::State;

namespace {

namespace json = boost::json;

// The members that differ, each with its pointer; objects are looked into, lists are not.
void differences(const std::string& pointer, const json::value& from, const json::value& to,
                 std::vector<std::string>& changes) {
    if (from == to) return;
    const auto* was = from.if_object();
    const auto* is = to.if_object();
    if (was == nullptr || is == nullptr) {
        changes.push_back(pointer);
        return;
    }
    const json::value none;
    for (const auto& [name, value] : *is) {
        const auto* old = was->if_contains(name);
        differences(wire::append_pointer(pointer, name), old == nullptr ? none : *old, value,
                    changes);
    }
    for (const auto& [name, value] : *was) {
        if (!is->contains(name)) changes.push_back(wire::append_pointer(pointer, name));
    }
}

protocol::HostPermission permission_to_create(Kind kind) {
    using protocol::HostPermission;
    switch (kind) {
        case Kind::workspace:
            return HostPermission::create_workspaces;
        case Kind::network:
            return HostPermission::create_networks;
        case Kind::volume:
            return HostPermission::volume_mounts;
        case Kind::image:
            break;
    }
    return HostPermission::create_images;
}

// Whether a mount gives what another gave already.
bool covers(const protocol::Mount& given, const protocol::Mount& asked) {
    return given.volume == asked.volume && given.bind == asked.bind &&
           (asked.read_only || !given.read_only);
}

}  // namespace

ResourceState first_state(Kind kind) {
    switch (kind) {
        case Kind::workspace:
            return ResourceState::deployment_pending;
        case Kind::image:
            return ResourceState::build_pending;
        default:
            return ResourceState::pending;
    }
}

void renew(store::Resource& resource, ResourceState status) {
    ++resource.revision;
    resource.status = status;
    resource.messages.clear();
    resource.updated = now();
}

Batch::Batch(const State& state, const std::string& user_id)
    : state_(state), rights_(state, user_id) {}

void Batch::add(const json::value& value, const std::string& pointer, std::optional<Kind> kind) {
    Document document;
    const auto faults_before = faults_.size();
    wire::Reader reader(value, wire::Unknown::refuse, faults_, pointer);
    wire::read(reader, document);
    if (document.kind && kind && *document.kind != *kind) {
        fail(pointer + "/kind", fmt::format("expected {}, for this path", title(*kind)));
    }
    if (!document.kind) document.kind = kind;
    if (!document.kind && value.is_object() && !value.get_object().contains("kind")) {
        fail(pointer + "/kind", "is required");
    }
    if (!document.kind || faults_.size() != faults_before) return;
    add(std::move(document), pointer, value.get_object().contains("running"));
}

void Batch::find_left_over() {
    for (const auto& group : groups_) {
        for (const auto* each : state_.resources_in(group)) {
            const auto& record = each->record;
            if (record.kind == Kind::volume || record.deleting || !rights_.see(record)) continue;
            if (seen_.contains({record.kind, record.name})) continue;
            left_over_.push_back(&record);
        }
    }
}

void Batch::prune() {
    if (groups_.empty()) fail("", "no document names a group: there is nothing to prune");
    for (const auto* record : std::exchange(left_over_, {})) {
        if (rights_.on(*record) < Right::manage) {
            deny("", noun(record->kind), record->name, "to be pruned", Right::manage);
        }
        Entry entry{.resource = *record};
        entry.item = {.kind = record->kind,
                      .name = record->name,
                      .id = record->id,
                      .result = ApplyResult::deleted};
        entry.resource.deleting = true;
        renew(entry.resource, ResourceState::deleting);
        entries_.push_back(std::move(entry));
    }
}

void Batch::check() {
    if (!denied_.empty()) {
        throw Error(ErrorKind::forbidden, "{}", fmt::to_string(fmt::join(denied_, "; ")));
    }
    throw_faults();
    for (auto& entry : entries_) plan_of(entry.resource.host_id).put(entry.resource);
    for (auto& entry : entries_) {
        auto& plan = plan_of(entry.resource.host_id);
        if (entry.item.result == ApplyResult::deleted) {
            check_unused(plan, entry.resource);
        } else {
            plan.check(entry.resource, entry.pointer, faults_);
        }
    }
    throw_faults();
}

store::Changes Batch::changes() const {
    store::Changes changes;
    std::set<std::string> hosts;
    for (const auto& entry : entries_) {
        if (entry.item.result == ApplyResult::unchanged) continue;
        changes.put_resources.push_back(entry.resource);
        hosts.insert(entry.resource.host_id);
    }
    for (const auto& id : hosts) {
        changes.put_hosts.push_back(state_.host(id)->record);
        ++changes.put_hosts.back().revision;
    }
    return changes;
}

std::map<std::string, protocol::DesiredState> Batch::desired_states() const {
    std::map<std::string, protocol::DesiredState> states;
    std::map<std::string, const store::Resource*> changed;
    for (const auto& entry : entries_) {
        changed[entry.resource.id] = &entry.resource;
        auto& state = states[entry.resource.host_id];
        state.host_id = entry.resource.host_id;
        state.revision = state_.host(entry.resource.host_id)->record.revision + 1;
        if (entry.item.result == ApplyResult::created) add_to(state, entry.resource);
    }
    for (auto& [host_id, state] : states) {
        for (const auto* known : state_.resources_on(host_id)) {
            const auto found = changed.find(known->record.id);
            add_to(state, found == changed.end() ? known->record : *found->second);
        }
    }
    return states;
}

protocol::ApplyAnswer Batch::answer() const {
    protocol::ApplyAnswer answer;
    for (const auto& entry : entries_) answer.items.push_back(entry.item);
    for (const auto* each : left_over_) {
        answer.left_over.push_back({.kind = each->kind, .name = each->name, .id = each->id});
    }
    return answer;
}

void Batch::fail(std::string pointer, std::string detail) {
    faults_.push_back({std::move(pointer), std::move(detail)});
}

void Batch::deny(const std::string& pointer, const std::string& what) {
    denied_.push_back(pointer.empty() ? what : pointer + ": " + what);
}

void Batch::deny(const std::string& pointer, std::string_view noun, const std::string& name,
                 std::string_view why, Right right) {
    deny(pointer, fmt::format("{} {} {}: this needs {}", noun, name, why, right_text(right)));
}

bool Batch::permitted(const std::string& pointer, const store::Host& host,
                      protocol::HostPermission permission) {
    if (rights_.may(host.id, permission)) return true;
    deny(pointer, fmt::format("this needs the permission {} on host {}", wire::to_text(permission),
                              host.name));
    return false;
}

void Batch::check_uses(const protocol::WorkspaceSpec& spec, const protocol::WorkspaceSpec& before,
                       const store::Host& host, const std::string& pointer) {
    if (rights_.is_admin()) return;
    for (std::size_t i = 0; i < spec.mounts.size(); ++i) {
        const auto& mount = spec.mounts[i];
        const bool had = std::ranges::any_of(before.mounts,
                                             [&](const auto& each) { return covers(each, mount); });
        if (had || mount.tmpfs) continue;
        const auto place = fmt::format("{}/spec/mounts/{}", pointer, i);
        if (!mount.bind.empty()) {
            permitted(place + "/bind", host, protocol::HostPermission::bind_mounts);
        } else if (permitted(place + "/volume", host, protocol::HostPermission::volume_mounts)) {
            check_use(Kind::volume, mount.volume, host, place + "/volume",
                      mount.read_only ? Right::view : Right::modify);
        }
    }
    const auto had = uses_of(before);
    for (std::size_t i = 0; i < spec.networks.size(); ++i) {
        const auto& name = spec.networks[i].network;
        if (had.contains({Kind::network, name})) continue;
        check_use(Kind::network, name, host, fmt::format("{}/spec/networks/{}", pointer, i),
                  Right::view);
    }
    if (spec.image != before.image) {
        check_use(Kind::image, spec.image, host, pointer + "/spec/image", Right::view);
    }
    for (std::size_t i = 0; i < spec.depends_on.size(); ++i) {
        check_use(Kind::workspace, spec.depends_on[i].workspace, host,
                  fmt::format("{}/spec/depends_on/{}", pointer, i), Right::view);
    }
}

void Batch::check_use(Kind kind, const std::string& name, const store::Host& host,
                      const std::string& pointer, Right right) {
    const auto* entry = state_.resource(kind, name);
    if (entry == nullptr || entry->record.host_id != host.id) return;
    if (rights_.on(entry->record) >= right) return;
    deny(pointer, noun(kind), name, "to be used so", right);
}

void Batch::throw_faults() {
    if (!faults_.empty()) throw InvalidInput(std::move(faults_));
}

void Batch::add(Document document, const std::string& pointer, bool says_running) {
    const auto kind = *document.kind;
    protocol::check_name(document.name, pointer + "/name", faults_);
    std::vector<FieldError> faults;
    auto spec = protocol::check_spec(kind, document.spec, faults);
    for (auto& each : faults) fail(pointer + each.pointer, std::move(each.detail));
    if (document.group && !document.group->empty()) {
        protocol::check_name(*document.group, pointer + "/group", faults_);
        groups_.insert(*document.group);
    }
    if (says_running && kind != Kind::workspace) {
        fail(pointer + "/running", "is for workspaces only");
    }
    if (!seen_.emplace(kind, document.name).second) {
        fail(pointer + "/name",
             fmt::format("{} {} stands in this request twice", noun(kind), document.name));
    }
    const auto* known = state_.resource(kind, document.name);
    if (known != nullptr && !rights_.see(known->record)) {
        fail(pointer + "/name",
             fmt::format("{} is another {}, which you may not see: choose another name",
                         document.name, noun(kind)));
        return;
    }
    const auto* host = find_host(document, known, pointer);
    if (host == nullptr || !faults.empty()) return;
    if (known == nullptr) {
        create(document, *host, std::move(spec), pointer);
    } else {
        update(document, known->record, *host, std::move(spec), pointer);
    }
}

const store::Host* Batch::find_host(const Document& document, const ResourceEntry* known,
                                    const std::string& pointer) {
    if (document.host.empty()) {
        if (known != nullptr) return &state_.host(known->record.host_id)->record;
        if (const auto* host = host_of_group(document)) return host;
    }
    const auto* host = document.host.empty() ? only_host(pointer) : state_.host(document.host);
    if (host == nullptr && document.host.empty()) return nullptr;
    if (host == nullptr || !rights_.see(host->record)) {
        fail(pointer + "/host", fmt::format("host \"{}\" is not known", document.host));
    } else if (!host->record.approved) {
        fail(pointer + "/host",
             fmt::format("host {} waits for an admin's approval", host->record.name));
    } else {
        return &host->record;
    }
    return nullptr;
}

const HostEntry* Batch::only_host(const std::string& pointer) {
    std::vector<const HostEntry*> seen;
    for (const auto& [id, entry] : state_.hosts()) {
        if (rights_.see(entry.record)) seen.push_back(&entry);
    }
    if (seen.size() == 1) return seen.front();
    const char* none = rights_.is_admin() ? "there is no host yet: start an agent and approve it"
                                          : "there is no host on which you were granted anything";
    fail(pointer + "/host", seen.empty() ? none : "is required where there are several hosts");
    return nullptr;
}

const store::Host* Batch::host_of_group(const Document& document) const {
    auto members = state_.resources_in(document.group.value_or(""));
    std::erase_if(members, [&](const auto* each) { return !rights_.see(each->record); });
    if (members.empty()) return nullptr;
    const auto& host_id = members.front()->record.host_id;
    const bool together = std::ranges::all_of(
        members, [&](const auto* each) { return each->record.host_id == host_id; });
    return together ? &state_.host(host_id)->record : nullptr;
}

void Batch::check_unused(const HostPlan& plan, const store::Resource& resource) {
    const auto users = plan.users_of(resource);
    if (users.empty()) return;
    fail("", fmt::format("{} {} of group {} can't be pruned: it is used by {}", noun(resource.kind),
                         resource.name, resource.group, fmt::join(users, ", ")));
}

void Batch::create(const Document& document, const store::Host& host, json::object spec,
                   const std::string& pointer) {
    const auto kind = *document.kind;
    permitted(pointer, host, permission_to_create(kind));
    if (kind == Kind::workspace) {
        check_uses(wire::from_json<protocol::WorkspaceSpec>(spec), {}, host, pointer);
    }
    Entry entry{.pointer = pointer};
    auto& resource = entry.resource;
    resource.kind = kind;
    resource.id = new_id();
    resource.name = document.name;
    resource.host_id = host.id;
    resource.group = document.group.value_or("");
    resource.owner_id = rights_.user_id();
    resource.running = document.running.value_or(true);
    resource.spec = std::move(spec);
    resource.status = first_state(kind);
    resource.created = resource.updated = now();
    entry.item = {
        .kind = kind, .name = document.name, .id = resource.id, .result = ApplyResult::created};
    entries_.push_back(std::move(entry));
}

void Batch::update(const Document& document, const store::Resource& known, const store::Host& host,
                   json::object spec, const std::string& pointer) {
    const auto kind = *document.kind;
    if (known.deleting) {
        return fail(pointer + "/name",
                    fmt::format("{} {} is being deleted: make it anew once it is gone", noun(kind),
                                known.name));
    }
    if (known.host_id != host.id) {
        return fail(pointer + "/host",
                    fmt::format("{} {} is on host {}: to move it, delete it and make it anew",
                                noun(kind), known.name, state_.host(known.host_id)->record.name));
    }
    Entry entry{.resource = known, .pointer = pointer};
    entry.item = {.kind = kind, .name = known.name, .id = known.id};
    auto& resource = entry.resource;
    auto& changed = entry.item.changes;
    // As this version writes it: one that was kept by an older has fewer members.
    std::vector<FieldError> outdated;
    differences("/spec", protocol::check_spec(kind, known.spec, outdated), spec, changed);
    if ((kind == Kind::network || kind == Kind::volume) && !changed.empty()) {
        for (const auto& each : changed) {
            fail(pointer + each,
                 fmt::format("is fixed once the {0} is made: delete {0} {1} and make it anew",
                             noun(kind), known.name));
        }
        return;
    }
    const bool runs = document.running.value_or(known.running);
    if (runs != known.running) changed.emplace_back("/running");
    // What someone changed on the host, and was only told: applying says that it is to go.
    if (known.observed.contains("drift")) changed.emplace_back("/observed/drift");
    if (!changed.empty()) {
        if (kind == Kind::workspace) {
            check_uses(wire::from_json<protocol::WorkspaceSpec>(spec),
                       wire::from_json<protocol::WorkspaceSpec>(known.spec), host, pointer);
        }
        entry.item.result = ApplyResult::updated;
        // What was pulled is of the former reference.
        if (std::ranges::find(changed, "/spec/reference") != changed.end()) {
            resource.observed.erase("pulled");
        }
        resource.spec = std::move(spec);
        resource.running = runs;
        renew(resource, first_state(kind));
    }
    const auto group = document.group.value_or(known.group);
    if (group != known.group) {
        if (!group.empty() && !known.group.empty()) {
            return fail(pointer + "/group",
                        fmt::format("{} {} is in group {}", noun(kind), known.name, known.group));
        }
        // The host need not know: nothing of the object itself changes.
        changed.emplace_back("/group");
        entry.item.result = ApplyResult::updated;
        resource.group = group;
        resource.updated = now();
    }
    if (entry.item.result != ApplyResult::unchanged && rights_.on(known) < Right::modify) {
        deny(pointer, noun(kind), known.name, "would change", Right::modify);
    }
    entries_.push_back(std::move(entry));
}

HostPlan& Batch::plan_of(const std::string& host_id) {
    const auto found = plans_.find(host_id);
    if (found != plans_.end()) return found->second;
    const auto& host = state_.host(host_id)->record;
    return plans_.try_emplace(host_id, host, state_).first->second;
}

}  // namespace trailer::server
