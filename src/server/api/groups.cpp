// Groups: what belongs together, seen and deleted as one.
#include "base/error.h"
#include "server/api/routes.h"
#include "wire/json.h"

namespace trailer::server::api {
namespace {

// What of a group the caller may see.
std::vector<const ResourceEntry*> seen_in(const State& state, const Rights& rights,
                                          const std::string& group) {
    auto members = state.resources_in(group);
    std::erase_if(members, [&](const auto* each) { return !rights.see(each->record); });
    return members;
}

protocol::GroupView group_of(const Services& services, const Call& call) {
    const auto& state = services.core.state();
    const auto& name = call.parameters.at(0);
    const auto members = seen_in(state, {state, call.caller.user_id}, name);
    if (members.empty()) throw Error(ErrorKind::not_found, "group \"{}\" is not known", name);
    return state.view(name, members);
}

Task<> list(Services& services, Call& call) {
    const auto& state = services.core.state();
    const Rights rights(state, call.caller.user_id);
    std::map<std::string, std::string> names;
    for (const auto& [name, members] : state.groups()) names[name] = name;
    std::string item;
    auto text = page_of(names, call.query, [&](const std::string& name) -> const std::string* {
        const auto members = seen_in(state, rights, name);
        if (members.empty()) return nullptr;
        item = wire::to_json_text(state.view(name, members));
        return &item;
    });
    co_await call.answer(200, std::move(text));
}

Task<> get(Services& services, Call& call) {
    co_await call.answer(200, wire::to_json_text(group_of(services, call)));
}

Task<> remove(Services& services, Call& call) {
    const auto name = group_of(services, call).name;
    const auto volumes = query_flag(call.query, "volumes") ? Volumes::remove : Volumes::keep;
    co_await services.resources.remove_group(call.caller, name, volumes);
    // What an agent had never made may be gone by now, and the group with it.
    const auto& state = services.core.state();
    const auto left = state.groups().contains(name) ? group_of(services, call)
                                                    : protocol::GroupView{.name = name};
    co_await call.answer(202, wire::to_json_text(left));
}

}  // namespace

void add_group_routes(Router& router, Services& services) {
    router.add("GET", "/api/groups", Access::user,
               [&services](Call& call) { return list(services, call); });
    router.add("GET", "/api/groups/{name}", Access::user,
               [&services](Call& call) { return get(services, call); });
    router.add("DELETE", "/api/groups/{name}", Access::user,
               [&services](Call& call) { return remove(services, call); });
}

}  // namespace trailer::server::api
