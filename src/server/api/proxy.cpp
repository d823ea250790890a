// A workspace's port in a browser: the link that opens it. What it leads to is server/proxy.
#include "base/error.h"
#include "server/api/routes.h"
#include "wire/json.h"

namespace trailer::server::api {
namespace {

Task<> open_port(Services& services, Call& call) {
    const auto port = parse_number(call.parameters.at(1), 1, 65535);
    if (!port) {
        throw InvalidInput("", "expected a port, 1 to 65535, got " + call.parameters.at(1));
    }
    const auto text = co_await call.exchange.read_body(64 << 10);
    protocol::PortOpenRequest request;
    if (!text.empty()) {
        request =
            wire::from_json<protocol::PortOpenRequest>(wire::parse(text), wire::Unknown::refuse);
    }
    const auto answer =
        services.proxy.open(call.caller, call.parameters.at(0), static_cast<std::uint16_t>(*port),
                            request.path, call.exchange);
    co_await call.answer(200, wire::to_json_text(answer));
}

}  // namespace

void add_proxy_routes(Router& router, Services& services) {
    router.add("POST", "/api/workspaces/{name}/ports/{port}/open", Access::user,
               [&services](Call& call) { return open_port(services, call); });
}

}  // namespace trailer::server::api
