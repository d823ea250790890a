// What machines ask: is it alive, is it ready, how is it doing.
#include "server/api/routes.h"
#include "wire/json.h"

namespace trailer::server::api {
namespace {

Task<> health(Services&, Call& call) {
    co_await call.answer(200, R"({"status":"ok"})");
}

Task<> ready(Services& services, Call& call) {
    co_await services.core.check_store();
    co_await call.answer(200, R"({"status":"ready"})");
}

// Prometheus' text format, 0.0.4.
Task<> metrics(Services& services, Call& call) {
    const auto& state = services.core.state();
    std::string text =
        "# HELP trailer_info The version of this server.\n# TYPE trailer_info gauge\n" +
        fmt::format("trailer_info{{version=\"{}\"}} 1\n", services.version);
    text += "# HELP trailer_hosts Hosts by status.\n# TYPE trailer_hosts gauge\n";
    std::map<protocol::HostState, int> hosts{{protocol::HostState::online, 0},
                                             {protocol::HostState::offline, 0},
                                             {protocol::HostState::pending_approval, 0}};
    for (const auto& [id, host] : state.hosts()) ++hosts[host.presence.status];
    for (const auto& [status, count] : hosts) {
        text += fmt::format("trailer_hosts{{status=\"{}\"}} {}\n", wire::to_text(status), count);
    }
    text +=
        "# HELP trailer_resources Resources by kind and status.\n"
        "# TYPE trailer_resources gauge\n";
    for (const auto kind : protocol::kAllKinds) {
        std::map<protocol::State, int> counts;
        for (const auto& [name, id] : state.names(kind)) {
            ++counts[state.resource_of_id(id)->record.status];
        }
        for (const auto& [status, count] : counts) {
            text += fmt::format("trailer_resources{{kind=\"{}\",status=\"{}\"}} {}\n", noun(kind),
                                wire::to_text(status), count);
        }
    }
    text +=
        "# HELP trailer_realtime_connections Agents with an open realtime connection.\n"
        "# TYPE trailer_realtime_connections gauge\n" +
        fmt::format("trailer_realtime_connections {}\n", services.core.channels().size());
    net::Response response{.body = std::move(text)};
    response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    co_await call.exchange.respond(std::move(response));
}

}  // namespace

void add_machine_routes(Router& router, Services& services) {
    const auto bind = [&services](Task<> (*handler)(Services&, Call&)) {
        return [&services, handler](Call& call) { return handler(services, call); };
    };
    router.add("GET", "/healthz", Access::anyone, bind(health));
    router.add("GET", "/readyz", Access::anyone, bind(ready));
    router.add("GET", "/metrics", Access::user, bind(metrics));
}

}  // namespace trailer::server::api
