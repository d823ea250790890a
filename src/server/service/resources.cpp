#include "server/service/resources.h"

#include <algorithm>

#include "aio/task_group.h"
#include "base/error.h"
#include "base/id.h"
#include "protocol/validate.h"
#include "server/service/checks.h"
#include "server/service/desired.h"
#include "wire/json.h"

namespace trailer::server {
namespace {

namespace json = boost::json;
using protocol::ApplyItem;
using protocol::ApplyResult;
using protocol::Document;
using ResourceState = protocol::State;

constexpr std::size_t kMostDocuments = 10'000;
constexpr std::chrono::seconds kPlanPatience{5};

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

// What changes a resource gets a new revision, and its host too.
void renew(store::Resource& resource, ResourceState status) {
    ++resource.revision;
    resource.status = status;
    resource.messages.clear();
    resource.updated = now();
}

// The changes of one request, as they come together.
class Batch {
  public:
    explicit Batch(const State& state) : state_(state) {}

    // Reads and checks one document. `pointer` is where it stands in the request.
    void add(const json::value& value, const std::string& pointer, std::optional<Kind> kind) {
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

    // What the groups of the documents have and the documents have not. Volumes hold data: they go
    // only when they are named.
    void find_left_over() {
        for (const auto& group : groups_) {
            for (const auto* each : state_.resources_in(group)) {
                const auto& record = each->record;
                if (record.kind == Kind::volume || record.deleting) continue;
                if (seen_.contains({record.kind, record.name})) continue;
                left_over_.push_back(&record);
            }
        }
    }

    // Deletes what find_left_over() found.
    void prune() {
        if (groups_.empty()) fail("", "no document names a group: there is nothing to prune");
        for (const auto* record : std::exchange(left_over_, {})) {
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

    // Throws what was wrong with any; else checks them against the rest.
    void check() {
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

    store::Changes changes() const {
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

    // What the hosts that it touches would be told, by their ids.
    std::map<std::string, protocol::DesiredState> desired_states() const {
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

    protocol::ApplyAnswer answer() const {
        protocol::ApplyAnswer answer;
        for (const auto& entry : entries_) answer.items.push_back(entry.item);
        for (const auto* each : left_over_) {
            answer.left_over.push_back({.kind = each->kind, .name = each->name, .id = each->id});
        }
        return answer;
    }

  private:
    struct Entry {
        store::Resource resource;
        std::string pointer;
        ApplyItem item;
    };

    void fail(std::string pointer, std::string detail) {
        faults_.push_back({std::move(pointer), std::move(detail)});
    }

    void throw_faults() {
        if (!faults_.empty()) throw InvalidInput(std::move(faults_));
    }

    void add(Document document, const std::string& pointer, bool says_running) {
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
        const auto* host = find_host(document, known, pointer);
        if (host == nullptr || !faults.empty()) return;
        if (known == nullptr) {
            create(document, *host, std::move(spec), pointer);
        } else {
            update(document, known->record, *host, std::move(spec), pointer);
        }
    }

    const store::Host* find_host(const Document& document, const ResourceEntry* known,
                                 const std::string& pointer) {
        if (document.host.empty()) {
            if (known != nullptr) return &state_.host(known->record.host_id)->record;
            if (const auto* host = host_of_group(document)) return host;
            if (state_.hosts().size() != 1) {
                fail(pointer + "/host", state_.hosts().empty()
                                            ? "there is no host yet: start an agent and approve it"
                                            : "is required where there are several hosts");
                return nullptr;
            }
        }
        const auto* host =
            document.host.empty() ? &state_.hosts().begin()->second : state_.host(document.host);
        if (host == nullptr) {
            fail(pointer + "/host", fmt::format("host \"{}\" is not known", document.host));
        } else if (!host->record.approved) {
            fail(pointer + "/host",
                 fmt::format("host {} waits for an admin's approval", host->record.name));
        } else {
            return &host->record;
        }
        return nullptr;
    }

    // Where all of its group is.
    const store::Host* host_of_group(const Document& document) const {
        const auto members = state_.resources_in(document.group.value_or(""));
        if (members.empty()) return nullptr;
        const auto& host_id = members.front()->record.host_id;
        const bool together = std::ranges::all_of(
            members, [&](const auto* each) { return each->record.host_id == host_id; });
        return together ? &state_.host(host_id)->record : nullptr;
    }

    void check_unused(const HostPlan& plan, const store::Resource& resource) {
        const auto users = plan.users_of(resource);
        if (users.empty()) return;
        fail("",
             fmt::format("{} {} of group {} can't be pruned: it is used by {}", noun(resource.kind),
                         resource.name, resource.group, fmt::join(users, ", ")));
    }

    void create(const Document& document, const store::Host& host, json::object spec,
                const std::string& pointer) {
        const auto kind = *document.kind;
        Entry entry{.pointer = pointer};
        auto& resource = entry.resource;
        resource.kind = kind;
        resource.id = new_id();
        resource.name = document.name;
        resource.host_id = host.id;
        resource.group = document.group.value_or("");
        resource.running = document.running.value_or(true);
        resource.spec = std::move(spec);
        resource.status = first_state(kind);
        resource.created = resource.updated = now();
        entry.item = {
            .kind = kind, .name = document.name, .id = resource.id, .result = ApplyResult::created};
        entries_.push_back(std::move(entry));
    }

    void update(const Document& document, const store::Resource& known, const store::Host& host,
                json::object spec, const std::string& pointer) {
        const auto kind = *document.kind;
        if (known.deleting) {
            return fail(pointer + "/name",
                        fmt::format("{} {} is being deleted: make it anew once it is gone",
                                    noun(kind), known.name));
        }
        if (known.host_id != host.id) {
            return fail(
                pointer + "/host",
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
            entry.item.result = ApplyResult::updated;
            resource.spec = std::move(spec);
            resource.running = runs;
            renew(resource, first_state(kind));
        }
        const auto group = document.group.value_or(known.group);
        if (group != known.group) {
            if (!group.empty() && !known.group.empty()) {
                return fail(pointer + "/group", fmt::format("{} {} is in group {}", noun(kind),
                                                            known.name, known.group));
            }
            // The host need not know: nothing of the object itself changes.
            changed.emplace_back("/group");
            entry.item.result = ApplyResult::updated;
            resource.group = group;
            resource.updated = now();
        }
        entries_.push_back(std::move(entry));
    }

    HostPlan& plan_of(const std::string& host_id) {
        const auto found = plans_.find(host_id);
        if (found != plans_.end()) return found->second;
        const auto& host = state_.host(host_id)->record;
        return plans_.try_emplace(host_id, host, state_).first->second;
    }

    const State& state_;
    std::vector<FieldError> faults_;
    std::vector<Entry> entries_;
    std::set<std::pair<Kind, std::string>> seen_;
    std::set<std::string> groups_;  // that the documents name
    std::vector<const store::Resource*> left_over_;
    std::map<std::string, HostPlan> plans_;
};

store::Changes with_host(const State& state, store::Resource resource) {
    store::Changes changes;
    changes.put_hosts.push_back(state.host(resource.host_id)->record);
    ++changes.put_hosts.back().revision;
    changes.put_resources.push_back(std::move(resource));
    return changes;
}

void refuse_deleting(const store::Resource& resource) {
    if (!resource.deleting) return;
    throw Error(ErrorKind::conflict, "{} {} is being deleted", noun(resource.kind), resource.name);
}

}  // namespace

const ResourceEntry& ResourceService::get(Kind kind, const std::string& id_or_name) const {
    const auto* entry = core_.state().resource(kind, id_or_name);
    if (entry == nullptr) {
        throw Error(ErrorKind::not_found, "{} \"{}\" is not known", noun(kind), id_or_name);
    }
    return *entry;
}

Task<protocol::ApplyAnswer> ResourceService::apply(json::value documents, ApplyOptions options) {
    const auto* list = documents.if_array();
    if (list == nullptr) throw InvalidInput("", "expected a list of documents");
    if (list->size() > kMostDocuments) {
        throw InvalidInput("", fmt::format("has more than {} documents", kMostDocuments));
    }
    protocol::ApplyAnswer answer;
    std::map<std::string, protocol::DesiredState> wanted;
    co_await core_.change([&](const State& state) {
        Batch batch(state);
        for (std::size_t i = 0; i < list->size(); ++i) {
            batch.add((*list)[i], "/" + std::to_string(i), std::nullopt);
        }
        batch.find_left_over();
        if (options.prune) batch.prune();
        batch.check();
        answer = batch.answer();
        if (!options.dry_run) return batch.changes();
        wanted = batch.desired_states();
        return store::Changes();
    });
    if (options.dry_run) answer.plans = co_await ask_hosts(std::move(wanted));
    co_return answer;
}

Task<std::vector<protocol::PlanOfHost>> ResourceService::ask_hosts(
    std::map<std::string, protocol::DesiredState> wanted) {
    std::vector<protocol::PlanOfHost> plans;
    plans.reserve(wanted.size());
    aio::TaskGroup asking(core_.executor());
    for (const auto& [host_id, state] : wanted) {
        auto& plan = plans.emplace_back();
        plan.host = core_.state().host(host_id)->record.name;
        asking.spawn(ask_host(host_id, wire::to_json_text(state), &plan.plan));
    }
    co_await asking.join();
    co_return plans;
}

Task<> ResourceService::ask_host(std::string host_id, std::string question,
                                 protocol::HostPlan* plan) {
    *plan = co_await core_.plans().ask(std::move(host_id), std::move(question), kPlanPatience);
}

Task<std::string> ResourceService::create(Kind kind, json::value document) {
    std::string id;
    co_await core_.change([&](const State& state) {
        Batch batch(state);
        batch.add(document, "", kind);
        batch.check();
        const auto item = batch.answer().items.at(0);
        if (item.result != ApplyResult::created) {
            throw Error(ErrorKind::conflict,
                        "{} {} is there already: PATCH changes it, POST /api/apply does either",
                        noun(kind), item.name);
        }
        id = item.id;
        return batch.changes();
    });
    co_return id;
}

Task<> ResourceService::patch(Kind kind, std::string id_or_name, json::value patch) {
    co_await core_.change([&](const State& state) {
        const auto& known = get(kind, id_or_name).record;
        refuse_deleting(known);
        json::object document{{"name", known.name}, {"group", known.group}, {"spec", known.spec}};
        if (kind == Kind::workspace) document["running"] = known.running;
        json::value merged = std::move(document);
        wire::merge_patch(merged, patch);
        if (const auto* name = merged.as_object().if_contains("name");
            name == nullptr || *name != json::value(known.name)) {
            throw InvalidInput("/name", fmt::format("a {} keeps its name", noun(kind)));
        }
        Batch batch(state);
        batch.add(merged, "", kind);
        batch.check();
        return batch.changes();
    });
}

Task<> ResourceService::act(Kind kind, std::string id_or_name, Act act) {
    co_await core_.change([&](const State& state) {
        auto resource = get(kind, id_or_name).record;
        refuse_deleting(resource);
        const auto& presence = state.host(resource.host_id)->presence;
        const auto host_now = now() + presence.clock_ahead;
        switch (act) {
            case Act::start:
                // What has ended by itself is started again too.
                if (resource.running && resource.status != ResourceState::stopped &&
                    resource.status != ResourceState::error) {
                    return store::Changes();
                }
                if (resource.running) resource.restart_before = host_now;
                resource.running = true;
                renew(resource, ResourceState::starting);
                break;
            case Act::stop:
                if (!resource.running) return store::Changes();
                resource.running = false;
                renew(resource, ResourceState::stopping);
                break;
            case Act::restart:
                if (!resource.running) {
                    throw Error(ErrorKind::conflict, "workspace {} is stopped: start it instead",
                                resource.name);
                }
                resource.restart_before = host_now;
                renew(resource, ResourceState::starting);
                break;
            case Act::redeploy:
            case Act::build:
                ++resource.rebuilds;
                renew(resource, first_state(kind));
                break;
        }
        if (act == Act::start) {
            HostPlan plan(state.host(resource.host_id)->record, state);
            plan.put(resource);
            std::vector<FieldError> faults;
            plan.check(resource, "", faults);
            if (!faults.empty()) {
                throw Error(ErrorKind::conflict, "workspace {} can't start: {}", resource.name,
                            faults.front().detail);
            }
        }
        return with_host(state, std::move(resource));
    });
}

Task<> ResourceService::remove(Kind kind, std::string id_or_name) {
    co_await core_.change([&](const State& state) {
        auto resource = get(kind, id_or_name).record;
        if (resource.deleting) return store::Changes();
        const HostPlan plan(state.host(resource.host_id)->record, state);
        if (const auto users = plan.users_of(resource); !users.empty()) {
            throw Error(ErrorKind::conflict, "{} {} is used by {}: delete or change {} first",
                        noun(kind), resource.name, fmt::join(users, ", "),
                        users.size() == 1 ? "it" : "them");
        }
        resource.deleting = true;
        renew(resource, ResourceState::deleting);
        return with_host(state, std::move(resource));
    });
}

protocol::GroupView ResourceService::group(const std::string& name) const {
    if (!core_.state().groups().contains(name)) {
        throw Error(ErrorKind::not_found, "group \"{}\" is not known", name);
    }
    return core_.state().view(name);
}

Task<> ResourceService::remove_group(std::string name, Volumes volumes) {
    co_await core_.change([&](const State& state) {
        const auto members = state.resources_in(name);
        if (members.empty()) throw Error(ErrorKind::not_found, "group \"{}\" is not known", name);
        std::map<std::string, HostPlan> plans;
        store::Changes changes;
        for (const auto* each : members) {
            auto resource = each->record;
            if (resource.deleting) continue;
            if (resource.kind == Kind::volume && volumes == Volumes::keep) continue;
            resource.deleting = true;
            renew(resource, ResourceState::deleting);
            const auto& host = state.host(resource.host_id)->record;
            if (plans.try_emplace(host.id, host, state).second) {
                changes.put_hosts.push_back(host);
                ++changes.put_hosts.back().revision;
            }
            plans.at(host.id).take(resource);
            changes.put_resources.push_back(std::move(resource));
        }
        for (const auto& resource : changes.put_resources) {
            const auto users = plans.at(resource.host_id).users_of(resource);
            if (users.empty()) continue;
            throw Error(ErrorKind::conflict,
                        "group {} can't be deleted: its {} {} is used by {}, outside of it", name,
                        noun(resource.kind), resource.name, fmt::join(users, ", "));
        }
        return changes;
    });
}

}  // namespace trailer::server
