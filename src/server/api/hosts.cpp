#include "base/error.h"
#include "server/api/routes.h"
#include "wire/json.h"

namespace trailer::server::api {
namespace {

struct ApproveRequest {
    std::optional<std::string> fingerprint;
};
BOOST_DESCRIBE_STRUCT(ApproveRequest, (), (fingerprint))

// Settling a host is the admins'.
const store::Host& to_settle(const Services& services, const Call& call) {
    const auto& host = services.hosts.get(call.caller, call.parameters.at(0)).record;
    Rights(services.core.state(), call.caller.user_id).require(host, Right::manage);
    return host;
}

Task<> list(Services& services, Call& call) {
    const auto& state = services.core.state();
    const Rights rights(state, call.caller.user_id);
    auto text = page_of(state.host_names(), call.query, [&](const std::string& id) {
        const auto* host = state.host(id);
        return rights.see(host->record) ? &host->text : nullptr;
    });
    co_await call.answer(200, std::move(text));
}

Task<> get(Services& services, Call& call) {
    co_await call.answer(200, services.hosts.get(call.caller, call.parameters.at(0)).text);
}

Task<> patch(Services& services, Call& call) {
    const auto id = to_settle(services, call).id;
    auto body = co_await call.body();
    co_await services.hosts.patch(id, std::move(body));
    co_await call.answer(200, services.hosts.get(id).text);
}

Task<> approve(Services& services, Call& call) {
    const auto id = to_settle(services, call).id;
    const auto text = co_await call.exchange.read_body(64 << 10);
    ApproveRequest request;
    if (!text.empty()) {
        request = wire::from_json_text<ApproveRequest>(text, wire::Unknown::refuse);
    }
    co_await services.hosts.approve(id, std::move(request.fingerprint));
    co_await call.answer(200, services.hosts.get(id).text);
}

Task<> remove(Services& services, Call& call) {
    const auto id = to_settle(services, call).id;
    co_await services.hosts.remove(id);
    co_await call.answer_nothing();
}

}  // namespace

void add_host_routes(Router& router, Services& services) {
    const auto bind = [&services](Task<> (*handler)(Services&, Call&)) {
        return [&services, handler](Call& call) { return handler(services, call); };
    };
    router.add("GET", "/api/hosts", Access::user, bind(list));
    router.add("GET", "/api/hosts/{host}", Access::user, bind(get));
    router.add("PATCH", "/api/hosts/{host}", Access::user, bind(patch));
    router.add("DELETE", "/api/hosts/{host}", Access::user, bind(remove));
    router.add("POST", "/api/hosts/{host}/approve", Access::user, bind(approve));
}

}  // namespace trailer::server::api
