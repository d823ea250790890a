#include "base/error.h"
#include "server/api/routes.h"
#include "wire/json.h"

namespace trailer::server::api {
namespace {

constexpr std::size_t kMostDocument = 4 << 20;
constexpr std::size_t kMostApply = 16 << 20;

Task<> list(Services& services, Call& call, Kind kind) {
    const auto& state = services.core.state();
    std::string host_id;
    if (const auto host = call.query.find("host")) {
        host_id = services.hosts.get(call.caller, *host).record.id;
    }
    const Rights rights(state, call.caller.user_id);
    const auto group = call.query.find("group");
    auto text = page_of(state.names(kind), call.query, [&](const std::string& id) {
        const auto& entry = *state.resource_of_id(id);
        const auto& record = entry.record;
        const bool wanted =
            (host_id.empty() || record.host_id == host_id) && (!group || record.group == *group);
        return wanted && rights.see(record) ? &entry.text : nullptr;
    });
    co_await call.answer(200, std::move(text));
}

Task<> get(Services& services, Call& call, Kind kind) {
    co_await call.answer(200,
                         services.resources.get(call.caller, kind, call.parameters.at(0)).text);
}

Task<> create(Services& services, Call& call, Kind kind) {
    auto body = co_await call.body(kMostDocument);
    const auto id = co_await services.resources.create(call.caller, kind, std::move(body));
    co_await call.answer(201, services.resources.get(kind, id).text);
}

Task<> patch(Services& services, Call& call, Kind kind) {
    const auto id = services.resources.get(call.caller, kind, call.parameters.at(0)).record.id;
    auto body = co_await call.body(kMostDocument);
    co_await services.resources.patch(call.caller, kind, id, std::move(body));
    co_await call.answer(200, services.resources.get(kind, id).text);
}

Task<> remove(Services& services, Call& call, Kind kind) {
    const auto id = services.resources.get(call.caller, kind, call.parameters.at(0)).record.id;
    co_await services.resources.remove(call.caller, kind, id);
    co_await call.answer(202, services.resources.get(kind, id).text);
}

Task<> act(Services& services, Call& call, Kind kind, Act act) {
    const auto id = services.resources.get(call.caller, kind, call.parameters.at(0)).record.id;
    co_await services.resources.act(call.caller, kind, id, act);
    co_await call.answer(202, services.resources.get(kind, id).text);
}

Task<> apply(Services& services, Call& call) {
    const ApplyOptions options{.dry_run = query_flag(call.query, "dry_run"),
                               .prune = query_flag(call.query, "prune")};
    auto body = co_await call.body(kMostApply);
    const auto answer = co_await services.resources.apply(call.caller, std::move(body), options);
    co_await call.answer(200, wire::to_json_text(answer));
}

}  // namespace

void add_resource_routes(Router& router, Services& services) {
    using Of = Task<> (*)(Services&, Call&, Kind);
    for (const auto kind : protocol::kAllKinds) {
        const auto bind = [&services, kind](Of handler) {
            return [&services, handler, kind](Call& call) { return handler(services, call, kind); };
        };
        const auto path = fmt::format("/api/{}", plural(kind));
        router.add("GET", path, Access::user, bind(list));
        router.add("POST", path, Access::user, bind(create));
        router.add("GET", path + "/{name}", Access::user, bind(get));
        router.add("PATCH", path + "/{name}", Access::user, bind(patch));
        router.add("DELETE", path + "/{name}", Access::user, bind(remove));
    }
    const auto add_act = [&](Kind kind, const char* verb, Act which) {
        router.add(
            "POST", fmt::format("/api/{}/{{name}}/{}", plural(kind), verb), Access::user,
            [&services, kind, which](Call& call) { return act(services, call, kind, which); });
    };
    add_act(Kind::workspace, "start", Act::start);
    add_act(Kind::workspace, "stop", Act::stop);
    add_act(Kind::workspace, "restart", Act::restart);
    add_act(Kind::workspace, "redeploy", Act::redeploy);
    add_act(Kind::image, "build", Act::build);
    router.add("POST", "/api/apply", Access::user,
               [&services](Call& call) { return apply(services, call); });
}

}  // namespace trailer::server::api
