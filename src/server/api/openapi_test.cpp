// docs/openapi.yaml and the routes are the same, both ways.
#include <gmock/gmock.h>

#include "base/file.h"
#include "server/api/routes.h"
#include "store/store.h"
#include "wire/yaml.h"

namespace {

using namespace trailer;
using namespace trailer::server;

class NoStore : public store::Store {
  public:
    store::Snapshot load() override { return {.meta = {{"server_secret", "AAAA"}}}; }
    void commit(const store::Changes&) override {}
    void check() override {}
    void put_audit(const std::vector<store::AuditRecord>&) override {}
    std::vector<protocol::AuditEntry> audit(const store::AuditQuery&) override { return {}; }
    std::optional<store::AuditRecord> audit_of_session(const std::string&) override { return {}; }
    void prune_audit(Timestamp) override {}
};

std::set<std::string> documented() {
    const auto documents = wire::parse_yaml(read_file(TRAILER_SOURCE "/docs/openapi.yaml"));
    std::set<std::string> routes;
    for (const auto& [path, item] : documents.at(0).value.as_object().at("paths").as_object()) {
        for (const auto& [method, operation] : item.as_object()) {
            if (method == "parameters") continue;
            std::string upper(method);
            std::ranges::transform(upper, upper.begin(), ::toupper);
            routes.insert(upper + " " + std::string(path));
        }
    }
    return routes;
}

TEST(OpenApiTest, DescribesEveryRouteAndNoOther) {
    asio::io_context context;
    Core core(context.get_executor(), std::make_unique<NoStore>());
    AuthService auth(core, "/nowhere");
    HostService hosts(core);
    ResourceService resources(core);
    AgentService agents(core, "");
    UserService users(core);
    AuditLog audit(core, std::chrono::days(1));
    proxy::Proxy proxy(core, auth, resources, audit, {});
    api::Services services{core, auth, hosts, resources, agents, users, audit, proxy, "test"};
    std::set<std::string> served;
    const auto router = api::make_router(services);
    for (const auto& route : router.routes()) served.insert(route.method + " " + route.path);
    // Not of the router: any method, any path.
    served.insert("GET /proxy/{workspace}/{port}/{path}");
    EXPECT_THAT(documented(), testing::ContainerEq(served));
}

}  // namespace
