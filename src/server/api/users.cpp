// Users, and who is granted what.
#include "base/error.h"
#include "server/api/routes.h"
#include "wire/json.h"

namespace trailer::server::api {
namespace {

struct GrantList {
    std::vector<protocol::GrantView> items;
};
BOOST_DESCRIBE_STRUCT(GrantList, (), (items))

Rights rights_of(const Services& services, const Call& call) {
    return {services.core.state(), call.caller.user_id};
}

void check_admin(const Services& services, const Call& call) {
    rights_of(services, call).require_admin("managing users");
}

Task<> list(Services& services, Call& call) {
    check_admin(services, call);
    std::map<std::string, std::string> names;
    for (const auto& [id, user] : services.core.state().users()) names[user.username] = id;
    std::string item;
    auto text = page_of(names, call.query, [&](const std::string& id) {
        item = wire::to_json_text(services.users.view(id));
        return &item;
    });
    co_await call.answer(200, std::move(text));
}

Task<> create(Services& services, Call& call) {
    check_admin(services, call);
    const auto body = co_await call.body();
    auto request = wire::from_json<protocol::UserRequest>(body, wire::Unknown::refuse);
    const auto made = co_await services.users.create(std::move(request));
    co_await call.answer(201, wire::to_json_text(made));
}

Task<> get(Services& services, Call& call) {
    check_admin(services, call);
    co_await call.answer(200, wire::to_json_text(services.users.view(call.parameters.at(0))));
}

Task<> patch(Services& services, Call& call) {
    check_admin(services, call);
    const auto id = services.users.get(call.parameters.at(0)).id;
    const auto body = co_await call.body();
    auto patch = wire::from_json<protocol::UserPatch>(body, wire::Unknown::refuse);
    co_await services.users.patch(id, std::move(patch));
    co_await call.answer(200, wire::to_json_text(services.users.view(id)));
}

Task<> remove(Services& services, Call& call) {
    check_admin(services, call);
    co_await services.users.remove(call.parameters.at(0));
    co_await call.answer_nothing();
}

Task<> grants_of(Services& services, Call& call) {
    const bool own = services.core.state().user_named(call.parameters.at(0)) ==
                     services.core.state().user(call.caller.user_id);
    if (!own) check_admin(services, call);
    const GrantList list{services.users.grants_of(call.parameters.at(0))};
    co_await call.answer(200, wire::to_json_text(list));
}

GrantSubject subject_of(const Services& services, const Call& call, std::optional<Kind> kind) {
    const auto& name = call.parameters.at(0);
    if (!kind) {
        const auto& host = services.hosts.get(call.caller, name).record;
        return {"Host", host.id, host.name, host.id};
    }
    const auto& record = services.resources.get(call.caller, *kind, name).record;
    return {std::string(title(*kind)), record.id, record.name, record.host_id};
}

Task<> grants_on(Services& services, Call& call, std::optional<Kind> kind) {
    const GrantList list{services.users.grants_on(call.caller, subject_of(services, call, kind))};
    co_await call.answer(200, wire::to_json_text(list));
}

Task<> grant(Services& services, Call& call, std::optional<Kind> kind) {
    auto subject = subject_of(services, call, kind);
    const auto body = co_await call.body();
    const auto& user = call.parameters.at(1);
    protocol::GrantView made;
    if (kind) {
        auto request = wire::from_json<protocol::ResourceGrantRequest>(body, wire::Unknown::refuse);
        made = co_await services.users.grant(call.caller, std::move(subject), user, request);
    } else {
        auto request = wire::from_json<protocol::HostGrantRequest>(body, wire::Unknown::refuse);
        made = co_await services.users.grant(call.caller, std::move(subject), user,
                                             std::move(request));
    }
    co_await call.answer(200, wire::to_json_text(made));
}

Task<> revoke(Services& services, Call& call, std::optional<Kind> kind) {
    auto subject = subject_of(services, call, kind);
    co_await services.users.revoke(call.caller, std::move(subject), call.parameters.at(1));
    co_await call.answer_nothing();
}

void add_grant_routes(Router& router, Services& services, const std::string& path,
                      std::optional<Kind> kind) {
    using Of = Task<> (*)(Services&, Call&, std::optional<Kind>);
    const auto add = [&](std::string method, std::string under, Of handler) {
        router.add(
            std::move(method), path + std::move(under), Access::user,
            [&services, handler, kind](Call& call) { return handler(services, call, kind); });
    };
    add("GET", "/grants", grants_on);
    add("PUT", "/grants/{username}", grant);
    add("DELETE", "/grants/{username}", revoke);
}

}  // namespace

void add_user_routes(Router& router, Services& services) {
    const auto add = [&](std::string method, std::string path,
                         Task<> (*handler)(Services&, Call&)) {
        router.add(std::move(method), std::move(path), Access::user,
                   [&services, handler](Call& call) { return handler(services, call); });
    };
    add("GET", "/api/users", list);
    add("POST", "/api/users", create);
    add("GET", "/api/users/{username}", get);
    add("PATCH", "/api/users/{username}", patch);
    add("DELETE", "/api/users/{username}", remove);
    add("GET", "/api/users/{username}/grants", grants_of);
    add_grant_routes(router, services, "/api/hosts/{host}", std::nullopt);
    for (const auto kind : protocol::kAllKinds) {
        add_grant_routes(router, services, fmt::format("/api/{}/{{name}}", plural(kind)), kind);
    }
}

}  // namespace trailer::server::api
