#include "base/error.h"
#include "server/api/routes.h"
#include "wire/json.h"

namespace trailer::server::api {
namespace {

constexpr std::size_t kMostReports = 16 << 20;
constexpr std::size_t kMostControl = 64 << 10;

Task<> challenge(Services& services, Call& call) {
    const auto body = co_await call.body();
    const auto request = wire::from_json<protocol::ChallengeRequest>(body);
    const auto answer = services.agents.challenge(request);
    co_await call.answer(200, wire::to_json_text(answer));
}

Task<> register_host(Services& services, Call& call) {
    const auto body = co_await call.body();
    auto request = wire::from_json<protocol::RegisterRequest>(body);
    const auto answer =
        co_await services.agents.register_host(std::move(request), call.exchange.peer());
    co_await call.answer(200, wire::to_json_text(answer));
}

Task<> heartbeat(Services& services, Call& call) {
    const auto body = co_await call.body();
    auto request = wire::from_json<protocol::HeartbeatRequest>(body);
    const auto answer = services.agents.heartbeat(call.host_id, std::move(request));
    co_await call.answer(200, wire::to_json_text(answer));
}

Task<> desired_state(Services& services, Call& call) {
    constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
    const auto revision = query_number(call.query, "revision", -1, kMost, -1);
    const auto history = call.query.find("history").value_or("");
    auto text = services.agents.desired_state(call.host_id, history, revision);
    if (text) {
        co_await call.answer(200, std::move(*text));
    } else {
        net::Response response{.status = 304};
        co_await call.exchange.respond(std::move(response));
    }
}

std::int64_t plan_id(const Call& call) {
    const auto id =
        parse_number(call.parameters.at(0), 0, std::numeric_limits<std::int64_t>::max());
    if (!id) throw Error(ErrorKind::not_found, "{} is no plan's number", call.parameters.at(0));
    return *id;
}

Task<> plan_question(Services& services, Call& call) {
    co_await call.answer(200, services.core.plans().question(call.host_id, plan_id(call)));
}

Task<> plan_answer(Services& services, Call& call) {
    const auto body = co_await call.body(kMostReports);
    auto plan = wire::from_json<protocol::HostPlan>(body);
    services.core.plans().answer(call.host_id, plan_id(call), std::move(plan));
    co_await call.answer_nothing();
}

Task<> status(Services& services, Call& call) {
    const auto body = co_await call.body(kMostReports);
    auto request = wire::from_json<protocol::StatusRequest>(body);
    co_await services.agents.take_reports(call.host_id, std::move(request));
    co_await call.answer_nothing();
}

void expect_websocket(const Call& call) {
    if (call.exchange.wants_websocket()) return;
    throw Error(ErrorKind::invalid, "expected a WebSocket handshake");
}

Task<> realtime(Services& services, Call& call) {
    expect_websocket(call);
    net::WebSocketOptions options;
    options.max_message = kMostControl;
    std::shared_ptr<net::WebSocket> socket = co_await call.exchange.accept_websocket(options);
    co_await services.core.channels().serve(call.host_id, std::move(socket));
}

Task<> session(Services& services, Call& call) {
    expect_websocket(call);
    net::WebSocketOptions options;
    options.max_message = protocol::kMostMessage;
    std::shared_ptr<net::WebSocket> socket = co_await call.exchange.accept_websocket(options);
    co_await services.core.sessions().keep(call.host_id, std::move(socket));
}

Task<> trunk(Services& services, Call& call) {
    net::WebSocketOptions options;
    options.max_message = net::Trunk::kMostCarried;
    auto socket = co_await call.exchange.accept_websocket(options);
    co_await services.core.sessions().keep_trunk(call.host_id, std::move(socket));
}

}  // namespace

void add_agent_routes(Router& router, Services& services) {
    const auto bind = [&services](Task<> (*handler)(Services&, Call&)) {
        return [&services, handler](Call& call) { return handler(services, call); };
    };
    router.add("POST", "/api/agent/challenge", Access::anyone, bind(challenge));
    router.add("POST", "/api/agent/register", Access::anyone, bind(register_host));
    router.add("POST", "/api/agent/heartbeat", Access::agent, bind(heartbeat));
    router.add("GET", "/api/agent/desired-state", Access::agent, bind(desired_state));
    router.add("POST", "/api/agent/status", Access::agent, bind(status));
    router.add("GET", "/api/agent/plans/{id}", Access::agent, bind(plan_question));
    router.add("POST", "/api/agent/plans/{id}", Access::agent, bind(plan_answer));
    router.add("GET", "/api/agent/realtime", Access::agent, bind(realtime));
    router.add("GET", "/api/agent/session", Access::agent, bind(session));
    router.add("GET", "/api/agent/trunk", Access::agent, bind(trunk));
}

}  // namespace trailer::server::api
