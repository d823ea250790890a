// The routes of docs/openapi.yaml, a function (and a file) for each part.
#pragma once

#include "server/api/router.h"
#include "server/proxy/proxy.h"
#include "server/service/agents.h"
#include "server/service/audit.h"
#include "server/service/hosts.h"
#include "server/service/resources.h"
#include "server/service/users.h"

namespace trailer::server::api {

struct Services {
    Core& core;
    AuthService& auth;
    HostService& hosts;
    ResourceService& resources;
    AgentService& agents;
    UserService& users;
    AuditLog& audit;
    proxy::Proxy& proxy;
    std::string version;
};

void add_auth_routes(Router& router, Services& services);
void add_user_routes(Router& router, Services& services);
void add_audit_routes(Router& router, Services& services);
void add_host_routes(Router& router, Services& services);
void add_resource_routes(Router& router, Services& services);
void add_session_routes(Router& router, Services& services);
void add_proxy_routes(Router& router, Services& services);
void add_group_routes(Router& router, Services& services);
void add_event_routes(Router& router, Services& services);
void add_agent_routes(Router& router, Services& services);
void add_machine_routes(Router& router, Services& services);

Router make_router(Services& services);

// Finds the route, checks who calls, calls it, and turns what it throws into a problem.
Task<> dispatch(const Router& router, Services& services, net::Exchange& exchange);

// `{items, next_cursor}` of rendered texts in the order of their names. Takes `limit`, `cursor`.
template <typename TextOf>
std::string page_of(const std::map<std::string, std::string>& ids, const net::Query& query,
                    TextOf text_of) {
    const auto limit = static_cast<std::size_t>(query_number(query, "limit", 1, 1000, 1000));
    const auto cursor = query.find("cursor");
    auto each = cursor ? ids.upper_bound(*cursor) : ids.begin();
    std::string text = R"({"items":[)";
    std::string last;
    std::size_t count = 0;
    for (; each != ids.end() && count < limit; ++each) {
        const std::string* item = text_of(each->second);
        if (item == nullptr) continue;
        if (count++ > 0) text += ',';
        text += *item;
        last = each->first;
    }
    text += ']';
    if (each != ids.end() && count > 0) {
        text += ",\"next_cursor\":" + boost::json::serialize(boost::json::string(last));
    }
    return text + '}';
}

}  // namespace trailer::server::api
