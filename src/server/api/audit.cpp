// The audit log: who opened which session.
#include "base/error.h"
#include "server/api/routes.h"
#include "wire/json.h"

namespace trailer::server::api {
namespace {

struct AuditPage {
    std::vector<protocol::AuditEntry> items;
    std::optional<std::string> next_cursor;
};
BOOST_DESCRIBE_STRUCT(AuditPage, (), (items, next_cursor))

std::optional<Timestamp> time_in(const net::Query& query, const std::string& name) {
    const auto text = query.find(name);
    if (!text || text->empty()) return std::nullopt;
    try {
        return parse_rfc3339(*text);
    } catch (const InvalidInput&) {
        throw InvalidInput("?" + name, "expected a time as 2026-11-24T01:02:03Z, got " + *text);
    }
}

// A name that is no more may still stand in the log: its id then serves.
std::string id_in(const net::Query& query, const std::string& name,
                  const std::function<std::optional<std::string>(const std::string&)>& find) {
    const auto text = query.find(name);
    if (!text || text->empty()) return "";
    return find(*text).value_or(*text);
}

store::AuditQuery query_of(const Services& services, const Call& call) {
    const auto& state = services.core.state();
    store::AuditQuery query;
    query.user_id = id_in(call.query, "user", [&](const auto& name) {
        const auto* user = state.user_named(name);
        return user == nullptr ? std::nullopt : std::optional(user->id);
    });
    query.workspace_id = id_in(call.query, "workspace", [&](const auto& name) {
        const auto* entry = state.resource(Kind::workspace, name);
        return entry == nullptr ? std::nullopt : std::optional(entry->record.id);
    });
    query.host_id = id_in(call.query, "host", [&](const auto& name) {
        const auto* host = state.host(name);
        return host == nullptr ? std::nullopt : std::optional(host->record.id);
    });
    if (const auto text = call.query.find("kind"); text && !text->empty()) {
        query.kind = wire::from_text<protocol::AuditKind>(*text);
        if (!query.kind) {
            throw InvalidInput(
                "?kind", "expected logs, exec, attach, port, host_logs or proxy, got " + *text);
        }
    }
    query.from = time_in(call.query, "from");
    query.to = time_in(call.query, "to");
    query.before = call.query.find("cursor").value_or("");
    query.limit = query_number(call.query, "limit", 1, 1000, 100);
    return query;
}

// Admins see all; others what they did themselves.
Task<> list(Services& services, Call& call) {
    auto query = query_of(services, call);
    const Rights rights(services.core.state(), call.caller.user_id);
    if (!rights.is_admin()) {
        if (!query.user_id.empty() && query.user_id != rights.user_id()) {
            rights.require_admin("what others did");
        }
        query.user_id = rights.user_id();
    }
    const auto limit = static_cast<std::size_t>(query.limit);
    AuditPage page;
    page.items = co_await services.audit.read(std::move(query));
    if (page.items.size() == limit) page.next_cursor = page.items.back().id;
    co_await call.answer(200, wire::to_json_text(page));
}

}  // namespace

void add_audit_routes(Router& router, Services& services) {
    router.add("GET", "/api/audit", Access::user,
               [&services](Call& call) { return list(services, call); });
}

}  // namespace trailer::server::api
