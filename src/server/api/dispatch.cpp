#include <algorithm>

#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "server/api/routes.h"

namespace trailer::server::api {
namespace {

std::string bearer_token(const net::Headers& headers) {
    constexpr std::string_view kScheme = "Bearer ";
    const auto value = headers.get("Authorization");
    return std::string(value.starts_with(kScheme) ? value.substr(kScheme.size()) : "");
}

Caller authenticate_user(Services& services, const net::Request& request) {
    const auto bearer = bearer_token(request.headers);
    const auto session = bearer.empty() ? proxy::cookie_of(request.headers, "trailer_session") : "";
    const auto& token = bearer.empty() ? session : bearer;
    const auto caller = token.empty() ? std::nullopt : services.auth.authenticate(token);
    if (!caller) {
        throw Error(ErrorKind::unauthenticated,
                    token.empty() ? "log in first, or send a token (Authorization: Bearer …)"
                                  : "this token is not (or no longer) good: log in again");
    }
    // A cookie is sent by the browser whoever made the request; the header only by our page.
    const bool safe = request.method == "GET" || request.method == "HEAD";
    if (!session.empty() && !safe &&
        !equal_in_constant_time(request.headers.get("X-CSRF-Token"),
                                services.auth.csrf_token(session))) {
        throw Error(ErrorKind::forbidden,
                    "X-CSRF-Token must carry what the cookie trailer_csrf has");
    }
    return *caller;
}

Task<> serve(const Router& router, Services& services, net::Exchange& exchange) {
    const auto& request = exchange.request();
    if (auto place = services.proxy.place_of(request)) {
        co_await services.proxy.serve(&exchange, std::move(*place));
        co_return;
    }
    auto match = router.match(request.method, request.path());
    if (match.route == nullptr && !match.allowed.empty()) {
        net::Response response = problem_response(Error(ErrorKind::invalid, "not here"));
        protocol::Problem problem{
            .title = "Method not allowed",
            .status = 405,
            .detail = fmt::format("{} takes {}", request.path(), fmt::join(match.allowed, ", "))};
        response.status = 405;
        response.body = wire::to_json_text(problem);
        response.headers.set("Allow", fmt::format("{}", fmt::join(match.allowed, ", ")));
        co_await exchange.respond(std::move(response));
        co_return;
    }
    if (match.route == nullptr) {
        throw Error(ErrorKind::not_found, "there is nothing at {}", request.path());
    }
    Call call{
        .exchange = exchange, .parameters = std::move(match.parameters), .query = request.query()};
    if (match.route->access == Access::user) call.caller = authenticate_user(services, request);
    if (match.route->access == Access::agent) {
        call.host_id = services.agents.authenticate(bearer_token(request.headers)).record.id;
    }
    co_await match.route->handler(call);
}

}  // namespace

Router make_router(Services& services) {
    Router router;
    add_auth_routes(router, services);
    add_user_routes(router, services);
    add_audit_routes(router, services);
    add_host_routes(router, services);
    add_resource_routes(router, services);
    add_session_routes(router, services);
    add_proxy_routes(router, services);
    add_group_routes(router, services);
    add_event_routes(router, services);
    add_agent_routes(router, services);
    add_machine_routes(router, services);
    return router;
}

Task<> dispatch(const Router& router, Services& services, net::Exchange& exchange) {
    std::optional<net::Response> refusal;
    try {
        co_await serve(router, services, exchange);
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e) || exchange.answered()) throw;
        refusal = problem_response(e);
        const auto& request = exchange.request();
        if (refusal->status == 500) {
            log::error("{} {}: {}", request.method, request.path(), describe(e));
        }
    }
    if (refusal) co_await exchange.respond(std::move(*refusal));
}

}  // namespace trailer::server::api
