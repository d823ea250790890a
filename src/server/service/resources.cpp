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

    // Throws what was wrong with any; else checks them against the rest.
    void check() {
        throw_faults();
        for (auto& entry : entries_) plan_of(entry.resource.host_id).put(entry.resource);
        for (auto& entry : entries_) {
            plan_of(entry.resource.host_id).check(entry.resource, entry.pointer, faults_);
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

    void create(const Document& document, const store::Host& host, json::object spec,
                const std::string& pointer) {
        const auto kind = *document.kind;
        Entry entry{.pointer = pointer};
        auto& resource = entry.resource;
        resource.kind = kind;
        resource.id = new_id();
        resource.name = document.name;
        resource.host_id = host.id;
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
        differences("/spec", known.spec, spec, changed);
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
        if (!changed.empty()) {
            entry.item.result = ApplyResult::updated;
            resource.spec = std::move(spec);
            resource.running = runs;
            renew(resource, first_state(kind));
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

Task<protocol::ApplyAnswer> ResourceService::apply(json::value documents, bool dry_run) {
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
        batch.check();
        answer = batch.answer();
        if (!dry_run) return batch.changes();
        wanted = batch.desired_states();
        return store::Changes();
    });
    if (dry_run) answer.plans = co_await ask_hosts(std::move(wanted));
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
        json::object document{{"name", known.name}, {"spec", known.spec}};
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

}  // namespace trailer::server
