#include "server/service/resources.h"

#include <algorithm>

#include "aio/task_group.h"
#include "base/error.h"
#include "server/service/batch.h"
#include "wire/json.h"

namespace trailer::server {
namespace {

namespace json = boost::json;
using protocol::ApplyResult;
using ResourceState = protocol::State;

constexpr std::size_t kMostDocuments = 10'000;
constexpr std::chrono::seconds kPlanPatience{5};

// A host's plan as one may see it who may not see all of the host.
void narrow(protocol::HostPlan& plan,
            const std::function<bool(Kind, const std::string& name)>& may_see) {
    std::vector<std::int64_t> places(plan.steps.size(), -1);
    std::vector<protocol::PlanStep> steps;
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        if (!may_see(plan.steps[i].kind, plan.steps[i].name)) continue;
        places[i] = static_cast<std::int64_t>(steps.size());
        steps.push_back(std::move(plan.steps[i]));
    }
    for (auto& step : steps) {
        for (auto& each : step.after) each = places.at(static_cast<std::size_t>(each));
        std::erase(step.after, -1);
    }
    plan.steps = std::move(steps);
    std::erase_if(plan.obstacles, [&](const auto& each) { return !may_see(each.kind, each.name); });
    plan.leftovers.clear();
}

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

const ResourceEntry& ResourceService::get(const Caller& caller, Kind kind,
                                          const std::string& id_or_name) const {
    const auto* entry = core_.state().resource(kind, id_or_name);
    if (entry == nullptr || !Rights(core_.state(), caller.user_id).see(entry->record)) {
        throw Error(ErrorKind::not_found, "{} \"{}\" is not known", noun(kind), id_or_name);
    }
    return *entry;
}

Task<protocol::ApplyAnswer> ResourceService::apply(Caller caller, json::value documents,
                                                   ApplyOptions options) {
    const auto* list = documents.if_array();
    if (list == nullptr) throw InvalidInput("", "expected a list of documents");
    if (list->size() > kMostDocuments) {
        throw InvalidInput("", fmt::format("has more than {} documents", kMostDocuments));
    }
    protocol::ApplyAnswer answer;
    std::map<std::string, protocol::DesiredState> wanted;
    co_await core_.change([&](const State& state) {
        Batch batch(state, caller.user_id);
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
    const Rights rights(core_.state(), caller.user_id);
    if (!answer.plans || rights.is_admin()) co_return answer;
    const auto may_see = [&](Kind kind, const std::string& name) {
        const auto* entry = core_.state().resource(kind, name);
        const bool asked = std::ranges::any_of(
            answer.items, [&](const auto& each) { return each.kind == kind && each.name == name; });
        return asked || (entry != nullptr && rights.see(entry->record));
    };
    for (auto& each : *answer.plans) narrow(each.plan, may_see);
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

Task<std::string> ResourceService::create(Caller caller, Kind kind, json::value document) {
    std::string id;
    co_await core_.change([&](const State& state) {
        Batch batch(state, caller.user_id);
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

Task<> ResourceService::patch(Caller caller, Kind kind, std::string id_or_name, json::value patch) {
    co_await core_.change([&](const State& state) {
        const auto& known = get(kind, id_or_name).record;
        refuse_deleting(known);
        json::object document{{"name", known.name}, {"group", known.group}, {"spec", known.spec}};
        if (kind == Kind::workspace) document["running"] = known.running;
        json::value merged = std::move(document);
        wire::merge_patch(merged, patch);
        // A document that leaves it out is of the group it was of; a patch takes it away.
        if (merged.is_object()) merged.get_object().emplace("group", "");
        if (const auto* name = merged.as_object().if_contains("name");
            name == nullptr || *name != json::value(known.name)) {
            throw InvalidInput("/name", fmt::format("a {} keeps its name", noun(kind)));
        }
        Batch batch(state, caller.user_id);
        batch.add(merged, "", kind);
        batch.check();
        return batch.changes();
    });
}

Task<> ResourceService::act(Caller caller, Kind kind, std::string id_or_name, Act act) {
    co_await core_.change([&](const State& state) {
        auto resource = get(kind, id_or_name).record;
        Rights(state, caller.user_id).require(resource, Right::modify);
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

Task<> ResourceService::remove(Caller caller, Kind kind, std::string id_or_name) {
    co_await core_.change([&](const State& state) {
        auto resource = get(kind, id_or_name).record;
        Rights(state, caller.user_id).require(resource, Right::manage);
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

Task<> ResourceService::remove_group(Caller caller, std::string name, Volumes volumes) {
    co_await core_.change([&](const State& state) {
        const auto members = state.resources_in(name);
        if (members.empty()) throw Error(ErrorKind::not_found, "group \"{}\" is not known", name);
        const Rights rights(state, caller.user_id);
        std::map<std::string, HostPlan> plans;
        store::Changes changes;
        for (const auto* each : members) {
            auto resource = each->record;
            if (resource.deleting) continue;
            if (resource.kind == Kind::volume && volumes == Volumes::keep) continue;
            if (!rights.see(resource)) {
                throw Error(ErrorKind::forbidden, "group {} has members that you may not see",
                            name);
            }
            rights.require(resource, Right::manage);
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
