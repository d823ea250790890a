// Groups: what belongs together, seen and deleted as one.
#include "server/api/routes.h"
#include "wire/json.h"

namespace trailer::server::api {
namespace {

Task<> list(Services& services, Call& call) {
    const auto& state = services.core.state();
    std::map<std::string, std::string> names;
    for (const auto& [name, members] : state.groups()) names[name] = name;
    std::string item;
    auto text = page_of(names, call.query, [&](const std::string& name) {
        item = wire::to_json_text(state.view(name));
        return &item;
    });
    co_await call.answer(200, std::move(text));
}

Task<> get(Services& services, Call& call) {
    co_await call.answer(200, wire::to_json_text(services.resources.group(call.parameters.at(0))));
}

Task<> remove(Services& services, Call& call) {
    const auto view = services.resources.group(call.parameters.at(0));
    const auto volumes = query_flag(call.query, "volumes") ? Volumes::remove : Volumes::keep;
    co_await services.resources.remove_group(view.name, volumes);
    // What an agent had never made may be gone by now, and the group with it.
    const auto& groups = services.core.state().groups();
    const auto left = groups.contains(view.name) ? services.resources.group(view.name)
                                                 : protocol::GroupView{.name = view.name};
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
