#include <gmock/gmock.h>

#include "protocol/agent.h"
#include "protocol/api.h"
#include "protocol/validate.h"

namespace {

using namespace trailer;
using namespace trailer::protocol;

std::vector<FieldError> faults(Kind kind, std::string_view spec) {
    std::vector<FieldError> errors;
    check_spec(kind, wire::parse(spec).as_object(), errors);
    return errors;
}

std::vector<std::string> pointers(Kind kind, std::string_view spec) {
    std::vector<std::string> result;
    for (const auto& error : faults(kind, spec)) result.push_back(error.pointer);
    return result;
}

TEST(Validate, TakesTheDocumentsOfApiMd) {
    EXPECT_THAT(faults(Kind::network, R"({"driver": "bridge", "subnet": "10.40.0.0/24"})"),
                testing::IsEmpty());
    EXPECT_THAT(faults(Kind::volume, "{}"), testing::IsEmpty());
    EXPECT_THAT(faults(Kind::image,
                       R"({"reference": "tools:1", "dockerfile": "FROM debian", "push": false})"),
                testing::IsEmpty());
    EXPECT_THAT(faults(Kind::workspace, R"({
        "image": "tools", "command": ["sleep", "infinity"], "env": {"EDITOR": "vim"},
        "ports": [{"host": 8080, "container": 80, "protocol": "tcp"}],
        "mounts": [{"volume": "data", "target": "/data"},
                   {"bind": "/srv/models", "target": "/models", "read_only": true}],
        "networks": [{"network": "lab", "aliases": ["dev"], "ipv4": "10.40.0.10"}],
        "resources": {"cpus": 1.5, "memory": 536870912, "shm_size": 67108864, "pids": 512, "gpus": "all"},
        "restart": "unless-stopped",
        "health_check": {"command": ["curl", "-f", "http://localhost"], "interval_ms": 10000,
                         "timeout_ms": 2000, "retries": 3}})"),
                testing::IsEmpty());
}

TEST(Validate, TakesWhatAContainerFindsAroundItAndMayDo) {
    EXPECT_THAT(faults(Kind::workspace, R"({
        "image": "tools", "pull": "always", "entrypoint": ["/init"], "user": "1000:1000",
        "working_dir": "/src", "hostname": "box", "dns": ["1.1.1.1", "::1"],
        "extra_hosts": {"db": "10.0.0.1", "host": "host-gateway"}, "init": true,
        "stop_signal": "SIGINT", "stop_grace_ms": 0, "read_only": true,
        "ulimits": {"nofile": {"soft": 1024, "hard": 4096}, "core": {"soft": -1, "hard": -1}},
        "sysctls": {"net.core.somaxconn": "1024"},
        "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
        "cap_add": ["NET_ADMIN"], "cap_drop": ["ALL"],
        "devices": [{"host": "/dev/fuse"}, {"host": "/dev/a", "container": "/dev/b",
                     "permissions": "r"}],
        "mounts": [{"tmpfs": true, "size": 1048576, "target": "/tmp"}],
        "depends_on": [{"workspace": "db", "condition": "healthy"}, {"workspace": "cache"}],
        "privileged": true})"),
                testing::IsEmpty());
    EXPECT_THAT(pointers(Kind::workspace, R"({
        "image": "x", "pull": "sometimes", "user": "a b"})"),
                testing::ElementsAre("/spec/pull"));
    EXPECT_THAT(pointers(Kind::workspace, R"({
        "image": "x", "user": "a b", "working_dir": "relative", "hostname": "a b", "dns": ["one"],
        "extra_hosts": {"db": "nowhere"}, "stop_signal": "INT", "stop_grace_ms": -1,
        "ulimits": {"files": {"soft": 1, "hard": 1}, "nofile": {"soft": 2, "hard": 1}},
        "sysctls": {"x": "1"}, "cap_add": ["CAP_NET_ADMIN"], "cap_drop": ["net"],
        "devices": [{"host": "fuse", "permissions": "x"}],
        "mounts": [{"volume": "v", "tmpfs": true, "target": "/a"},
                   {"volume": "v", "size": 1, "target": "/b"}],
        "depends_on": [{"workspace": "db"}, {"workspace": "db"}],
        "host_network": true, "networks": [{"network": "lab"}], "ports": [{"container": 1}]})"),
                testing::UnorderedElementsAre(
                    "/spec/user", "/spec/working_dir", "/spec/hostname", "/spec/dns/0",
                    "/spec/extra_hosts/db", "/spec/stop_signal", "/spec/stop_grace_ms",
                    "/spec/ulimits/files", "/spec/ulimits/nofile", "/spec/sysctls/x",
                    "/spec/cap_add/0", "/spec/cap_drop/0", "/spec/devices/0/host",
                    "/spec/devices/0/permissions", "/spec/mounts/0", "/spec/mounts/1/size",
                    "/spec/depends_on/1/workspace", "/spec/networks", "/spec/ports"));
}

TEST(Validate, NamesEachBadMemberOfAWorkspace) {
    EXPECT_THAT(
        pointers(Kind::workspace, R"({
        "image": "", "env": {"A=B": "x"},
        "ports": [{"host": 80, "container": 0}, {"host": 80, "container": 1}],
        "mounts": [{"target": "/a/../b"}, {"volume": "v", "bind": "/x", "target": "relative"}],
        "networks": [{"network": "lab", "ipv4": "10.0.0.300"}, {"network": "lab"}],
        "resources": {"cpus": 0, "memory": 1, "pids": 0},
        "health_check": {"command": [], "interval_ms": 0},
        "labels": {"dev.trailer.id": "x"}})"),
        testing::ElementsAre(
            "/spec/image", "/spec/env/A=B", "/spec/ports/0/container", "/spec/ports/1/host",
            "/spec/mounts/0", "/spec/mounts/0/target", "/spec/mounts/1", "/spec/mounts/1/target",
            "/spec/networks/0/ipv4", "/spec/networks/1/network", "/spec/resources/cpus",
            "/spec/resources/memory", "/spec/resources/pids", "/spec/health_check/command",
            "/spec/health_check/interval_ms", "/spec/labels/dev.trailer.id"));
    EXPECT_THAT(pointers(Kind::workspace, R"({"imagee": "x"})"),
                testing::ElementsAre("/spec/image", "/spec/imagee"));
}

TEST(Validate, TheRootIsADirectoryToWorkInAndToMountButNotToMountOver) {
    EXPECT_THAT(pointers(Kind::workspace, R"({"image": "x", "working_dir": "/",
                          "mounts": [{"bind": "/", "target": "/host"}]})"),
                testing::IsEmpty());
    EXPECT_THAT(pointers(Kind::workspace, R"({"image": "x", "working_dir": "src",
                          "mounts": [{"bind": "srv", "target": "/"}], "devices": [{"host": "/"}]})"),
                testing::ElementsAre("/spec/mounts/0/bind", "/spec/mounts/0/target",
                                     "/spec/working_dir", "/spec/devices/0/host"));
}

TEST(Bounds, TheRootIsBeneathNothingButItself) {
    EXPECT_EQ(bind_refusal("/", {.allowed_bind_roots = {"/"}}), "");
    EXPECT_EQ(bind_refusal("/srv", {.allowed_bind_roots = {"/"}}), "");
    EXPECT_NE(bind_refusal("/", {.allowed_bind_roots = {"/srv"}}), "");
    EXPECT_NE(bind_refusal("/", {}), "");
}

TEST(Validate, AHealthCheckHasACommandOrIsDisabled) {
    EXPECT_THAT(pointers(Kind::workspace, R"({"image": "x", "health_check": {"disabled": true}})"),
                testing::IsEmpty());
    EXPECT_THAT(pointers(Kind::workspace, R"({"image": "x", "health_check": {"retries": 2}})"),
                testing::ElementsAre("/spec/health_check/command"));
    EXPECT_THAT(pointers(Kind::workspace,
                         R"({"image": "x", "health_check": {"disabled": true, "command": ["a"]}})"),
                testing::ElementsAre("/spec/health_check/command"));
}

TEST(Validate, AnAliasAndAHostNameMayBeASingleLetter) {
    EXPECT_THAT(pointers(Kind::workspace, R"({"image": "x", "hostname": "a",
                          "networks": [{"network": "lab", "aliases": ["b", "c_d", "-e", ""]}]})"),
                testing::ElementsAre("/spec/networks/0/aliases/2", "/spec/networks/0/aliases/3"));
}

TEST(Validate, ChecksNetworksAsProductMdSays) {
    EXPECT_THAT(pointers(Kind::network, R"({"driver": "macvlan"})"),
                testing::ElementsAre("/spec/parent", "/spec/subnet"));
    EXPECT_THAT(faults(Kind::network, R"({"subnet": "10.40.0.5/24"})"),
                testing::ElementsAre(
                    FieldError{"/spec/subnet", "has host bits set; did you mean 10.40.0.0/24?"}));
    EXPECT_THAT(
        pointers(
            Kind::network,
            R"({"subnet": "10.40.0.0/24", "gateway": "10.41.0.1", "ip_range": "10.40.1.0/25"})"),
        testing::ElementsAre("/spec/gateway", "/spec/ip_range"));
}

TEST(Validate, ChecksInterfacesTagsAndIpv6OfNetworks) {
    EXPECT_THAT(pointers(Kind::network, R"({"driver": "ipvlan", "subnet": "10.9.0.0/24",
        "parent": "eth0", "vlan": 10, "mode": "l3", "ipv6": true, "ipv6_subnet": "fd00:9::/64",
        "ipv6_gateway": "fd00:9::1", "gateway": "10.9.0.1"})"),
                testing::IsEmpty());
    EXPECT_THAT(pointers(Kind::network, R"({"ipv6": true})"), testing::IsEmpty());
    EXPECT_THAT(pointers(Kind::network, R"({"parent": "eth0", "vlan": 10, "mode": "l2",
        "ipv6_subnet": "fd00::/64", "ipv6_gateway": "fd00::1"})"),
                testing::ElementsAre("/spec/parent", "/spec/vlan", "/spec/mode",
                                     "/spec/ipv6_subnet", "/spec/ipv6_gateway"));
    const auto macvlan = [](std::string_view rest) {
        return faults(Kind::network,
                      fmt::format(R"({{"driver": "macvlan", "subnet": "10.9.0.0/24", {}}})", rest));
    };
    EXPECT_THAT(
        macvlan(R"("parent": "eth0", "vlan": 4095)"),
        testing::ElementsAre(FieldError{"/spec/vlan", "expected a VLAN tag from 1 to 4094"}));
    EXPECT_THAT(macvlan(R"("parent": "enp0s20f0u1u2", "vlan": 100)").at(0).detail,
                testing::HasSubstr("enp0s20f0u1u2.100 is longer than 15 letters"));
    EXPECT_EQ(macvlan(R"("parent": "../eth0")").at(0).pointer, "/spec/parent");
    EXPECT_EQ(macvlan(R"("parent": "eth0", "mode": "l2")").at(0).pointer, "/spec/mode");
    EXPECT_EQ(macvlan(R"("parent": "eth0", "ipv6": true)").at(0).pointer, "/spec/ipv6_subnet");
    EXPECT_EQ(macvlan(R"("parent": "eth0", "gateway": "10.9.0.255")").at(0).pointer,
              "/spec/gateway");
    EXPECT_EQ(faults(Kind::network, R"({"ipv6": true, "ipv6_subnet": "fd00::5/64"})").at(0).detail,
              "has host bits set; did you mean fd00::/64?");
    EXPECT_EQ(faults(Kind::network, R"({"ipv6": true, "ipv6_subnet": "fd00::/64",
        "ipv6_gateway": "fd01::1"})")
                  .at(0)
                  .pointer,
              "/spec/ipv6_gateway");
    EXPECT_THAT(pointers(Kind::workspace, R"({"image": "x", "networks": [
        {"network": "lab", "ipv4": "10.0.0.2", "ipv6": "10.0.0.2"}]})"),
                testing::ElementsAre("/spec/networks/0/ipv6"));
}

TEST(Validate, ChecksImageReferences) {
    for (const auto* good : {"tools", "tools:1", "registry.local:5000/team/tools:v1.2_x"}) {
        EXPECT_THAT(pointers(Kind::image, fmt::format(R"({{"reference": "{}"}})", good)),
                    testing::IsEmpty())
            << good;
    }
    for (const auto* bad : {"", "Tools", "tools:", "a b", "/x", "x/", "tools@sha256:1"}) {
        EXPECT_THAT(pointers(Kind::image, fmt::format(R"({{"reference": "{}"}})", bad)),
                    testing::ElementsAre("/spec/reference"))
            << bad;
    }
}

TEST(Validate, NamesAreTheEnginesNamesToo) {
    const auto bad = [](std::string_view name) {
        std::vector<FieldError> errors;
        check_name(name, "/name", errors);
        return !errors.empty();
    };
    EXPECT_FALSE(bad("dev"));
    EXPECT_FALSE(bad("gpu-box_1.local"));
    EXPECT_TRUE(bad(""));
    EXPECT_TRUE(bad("a"));
    EXPECT_TRUE(bad("-dev"));
    EXPECT_TRUE(bad("dev/../x"));
    EXPECT_TRUE(bad(std::string(64, 'a')));
    EXPECT_TRUE(bad("019355f0-0000-7000-8000-000000000000"));
    EXPECT_TRUE(bad("dev.next"));
    EXPECT_FALSE(bad("dev.next.js"));
}

TEST(Gpus, AreAllOrACountOrUuids) {
    for (const auto* text : {R"("all")", "2", R"(["GPU-1","GPU-2"])"}) {
        EXPECT_EQ(wire::to_json_text(wire::from_json_text<Gpus>(text)), text);
    }
    EXPECT_THROW(wire::from_json_text<Gpus>(R"("some")"), InvalidInput);
}

TEST(Desired, CrossesTheWireWhole) {
    DesiredState state{.revision = 7};
    state.images.emplace_back().rebuilds = 2;
    auto& workspace = state.workspaces.emplace_back();
    workspace.name = "dev";
    workspace.restart_before = parse_rfc3339("2026-11-23T09:30:00Z");
    workspace.spec.env = {{"A", "b"}};
    EXPECT_EQ(wire::from_json_text<DesiredState>(wire::to_json_text(state), wire::Unknown::refuse),
              state);
}

TEST(Heartbeat, TellsOfAGpuWhatIsKnownAndMayTellOfNone) {
    HeartbeatRequest request;
    request.metrics.gpus = {{.uuid = "GPU-1", .name = "A", .utilization_percent = 37.5},
                            {.uuid = "GPU-2", .memory_total = 80LL << 30, .power_w = 123.456}};
    const auto text = wire::to_json_text(request);
    EXPECT_THAT(text, testing::Not(testing::HasSubstr("temperature_c")));
    EXPECT_EQ(wire::from_json_text<HeartbeatRequest>(text, wire::Unknown::refuse).metrics,
              request.metrics);
    // As an agent tells that knows nothing of GPUs.
    EXPECT_THAT(wire::from_json_text<HeartbeatRequest>(R"({"metrics": {}})").metrics.gpus,
                testing::IsEmpty());
}

TEST(Problem, CarriesAnErrorThere) {
    const auto problem = to_problem(InvalidInput({{"/name", "is required"}}));
    EXPECT_EQ(problem.status, 422);
    EXPECT_THROW(throw_problem(problem), InvalidInput);
    try {
        throw_problem(to_problem(Error(ErrorKind::conflict, "network lab is in use by dev")));
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.kind(), ErrorKind::conflict);
        EXPECT_STREQ(e.what(), "network lab is in use by dev");
    }
    EXPECT_EQ(to_problem(std::runtime_error("x")).status, 500);
}

TEST(Condition, KeepsSinceWhileTheStatusStays) {
    Condition condition;
    EXPECT_TRUE(update(condition, Health::ok));
    const auto since = condition.since;
    EXPECT_FALSE(update(condition, Health::ok));
    EXPECT_TRUE(update(condition, Health::ok, "slow"));
    EXPECT_EQ(condition.since, since);
    EXPECT_TRUE(update(condition, Health::failing, "gone"));
}

TEST(Resources, AReferenceWithoutATagIsLatest) {
    EXPECT_EQ(with_tag("tools"), "tools:latest");
    EXPECT_EQ(with_tag("host:5000/tools"), "host:5000/tools:latest");
    EXPECT_EQ(with_tag("host:5000/tools:1"), "host:5000/tools:1");
    EXPECT_EQ(with_tag("tools@sha256:ab"), "tools@sha256:ab");
}

TEST(Validate, SubnetsOverlapWithinTheirFamily) {
    EXPECT_TRUE(subnets_overlap("10.40.0.0/24", "10.40.0.128/25"));
    EXPECT_TRUE(subnets_overlap("fd00:1::/64", "fd00::/16"));
    EXPECT_FALSE(subnets_overlap("10.40.0.0/24", "10.41.0.0/24"));
    EXPECT_FALSE(subnets_overlap("10.40.0.0/24", "fd00::/16"));
    EXPECT_FALSE(subnets_overlap("", "10.40.0.0/24"));
}

}  // namespace
