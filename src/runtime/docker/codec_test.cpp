#include "runtime/docker/codec.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "runtime/docker/build_context.h"
#include "runtime/docker/event_memory.h"

namespace {

using namespace trailer;
using namespace trailer::runtime;
using namespace trailer::runtime::docker;

TEST(Codec, WritesAContainerAsTheEngineTakesIt) {
    ContainerSpec spec{
        .name = "dev", .image = "tools:1", .command = {"sleep", "1"}, .env = {{"A", "b=c"}}};
    spec.ports = {{.host = 8080, .container = 80},
                  {.host = 0, .container = 53, .protocol = protocol::PortProtocol::udp}};
    spec.mounts = {{.source = "data", .target = "/data"},
                   {.type = ContainerMount::Type::bind,
                    .source = "/srv",
                    .target = "/srv",
                    .read_only = true}};
    spec.networks = {{.network = "lab", .aliases = {"web"}, .ipv4 = "10.0.0.9"},
                     {.network = "second"}};
    spec.limits = {.nano_cpus = 1'500'000'000, .memory = 1 << 26, .pids = 10};
    spec.gpus = protocol::Gpus{.all = true};
    spec.health_check = protocol::HealthCheck{.command = {"true"}, .interval_ms = 1000};
    const auto body = container_create_body(spec);
    EXPECT_EQ(body.at("Env"), json::parse(R"(["A=b=c"])"));
    const auto& host = body.at("HostConfig").as_object();
    EXPECT_EQ(
        host.at("PortBindings"),
        json::parse(
            R"({"80/tcp":[{"HostIp":"","HostPort":"8080"}],"53/udp":[{"HostIp":"","HostPort":""}]})"));
    EXPECT_EQ(host.at("MemorySwap"), host.at("Memory"));
    EXPECT_EQ(host.at("NetworkMode"), "lab");
    EXPECT_EQ(host.at("DeviceRequests"),
              json::parse(R"([{"Driver":"nvidia","Count":-1,"Capabilities":[["gpu"]]}])"));
    EXPECT_EQ(
        body.at("NetworkingConfig"),
        json::parse(
            R"({"EndpointsConfig":{"lab":{"Aliases":["web"],"IPAMConfig":{"IPv4Address":"10.0.0.9"}}}})"));
    EXPECT_EQ(body.at("Healthcheck").at("Interval"), 1'000'000'000);
}

TEST(Codec, AsksForGpusAllOrByNumberOrByTheirIds) {
    const std::vector<std::pair<protocol::Gpus, std::string>> cases{
        {{.all = true}, R"([{"Driver":"nvidia","Count":-1,"Capabilities":[["gpu"]]}])"},
        {{.count = 2}, R"([{"Driver":"nvidia","Count":2,"Capabilities":[["gpu"]]}])"},
        {{.uuids = {"GPU-1", "GPU-2"}},
         R"([{"Driver":"nvidia","Count":0,"DeviceIDs":["GPU-1","GPU-2"],"Capabilities":[["gpu"]]}])"}};
    for (const auto& [gpus, requests] : cases) {
        ContainerSpec spec;
        spec.gpus = gpus;
        const auto host = container_create_body(spec).at("HostConfig").as_object();
        EXPECT_EQ(host.at("DeviceRequests"), json::parse(requests));
    }
    for (const auto& none : {std::optional<protocol::Gpus>(), std::optional(protocol::Gpus())}) {
        ContainerSpec spec;
        spec.gpus = none;
        EXPECT_FALSE(
            container_create_body(spec).at("HostConfig").as_object().contains("DeviceRequests"));
    }
}

TEST(Codec, WritesWhatAContainerFindsAroundItAndMayDo) {
    ContainerSpec spec{.name = "dev", .image = "tools:1"};
    auto body = container_create_body(spec);
    for (const auto* member : {"Entrypoint", "User", "WorkingDir", "StopSignal"}) {
        EXPECT_FALSE(body.contains(member)) << member << " is the image's";
    }
    spec.entrypoint = {"/init"};
    spec.user = "1000";
    spec.working_dir = "/src";
    spec.stop_signal = "SIGINT";
    spec.mounts = {{.type = ContainerMount::Type::tmpfs, .size = 4096, .target = "/tmp"}};
    spec.dns = {"1.1.1.1"};
    spec.extra_hosts = {{"db", "10.0.0.1"}};
    spec.init = spec.read_only = spec.privileged = true;
    spec.ulimits = {{"nofile", {.soft = 1, .hard = 2}}};
    spec.sysctls = {{"net.core.somaxconn", "9"}};
    spec.logging = {.driver = "json-file", .options = {{"max-size", "1m"}}};
    spec.cap_add = {"NET_ADMIN"};
    spec.cap_drop = {"ALL"};
    spec.devices = {{.host = "/dev/fuse"}};
    spec.hostname = "box";
    spec.host_network = true;
    body = container_create_body(spec);
    EXPECT_EQ(json::serialize(body.at("Entrypoint")), R"(["/init"])");
    EXPECT_FALSE(body.contains("Hostname")) << "the host's own, with its network";
    const auto& host = body.at("HostConfig").as_object();
    EXPECT_EQ(
        host.at("Mounts"),
        json::parse(
            R"([{"Type":"tmpfs","Target":"/tmp","ReadOnly":false,"TmpfsOptions":{"SizeBytes":4096}}])"));
    EXPECT_EQ(host.at("NetworkMode"), "host");
    EXPECT_EQ(host.at("ExtraHosts"), json::parse(R"(["db:10.0.0.1"])"));
    EXPECT_EQ(host.at("Ulimits"), json::parse(R"([{"Name":"nofile","Soft":1,"Hard":2}])"));
    EXPECT_EQ(host.at("LogConfig"),
              json::parse(R"({"Type":"json-file","Config":{"max-size":"1m"}})"));
    EXPECT_EQ(
        host.at("Devices"),
        json::parse(
            R"([{"PathOnHost":"/dev/fuse","PathInContainer":"/dev/fuse","CgroupPermissions":"rwm"}])"));
    for (const auto* member : {"Init", "ReadonlyRootfs", "Privileged"}) {
        EXPECT_EQ(host.at(member), true) << member;
    }
}

TEST(Codec, TellsADigestInThePlaceOfATagWhenItPulls) {
    const std::vector<std::array<std::string, 3>> cases{
        {"nginx", "nginx", "latest"},
        {"nginx:1.25", "nginx", "1.25"},
        {"host:5000/team/tools", "host:5000/team/tools", "latest"},
        {"host:5000/team/tools:v1", "host:5000/team/tools", "v1"},
        {"nginx@sha256:ab", "nginx", "sha256:ab"},
        {"nginx:1.25@sha256:ab", "nginx", "sha256:ab"},
        {"host:5000/tools@sha256:ab", "host:5000/tools", "sha256:ab"}};
    for (const auto& [reference, name, tag] : cases) {
        EXPECT_EQ(split_reference(reference), std::pair(name, tag)) << reference;
    }
}

TEST(Codec, ReadsAContainerAsTheEngineTellsIt) {
    const auto container = container_from(json::parse(R"({
        "Id": "0123456789abcdef", "Name": "/dev", "Image": "sha256:aa", "Created": "2026-11-23T09:00:00.123456789Z",
        "State": {"Status": "exited", "ExitCode": 137, "OOMKilled": true, "Error": "",
                  "StartedAt": "2026-11-23T09:00:01Z", "FinishedAt": "0001-01-01T00:00:00Z",
                  "Health": {"Status": "unhealthy", "Log": [{"ExitCode": 1, "Output": "not today"}]}},
        "Config": {"Image": "tools:1", "Labels": {"a": "b"}}, "RestartCount": 3,
        "HostConfig": {"NanoCpus": 5, "Memory": 6, "PidsLimit": null, "RestartPolicy": {"Name": "on-failure"}},
        "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": null},
                            "Networks": {"lab": {"Aliases": ["web", "0123456789ab"], "IPAddress": "10.0.0.9",
                                                 "IPAMConfig": {"IPv4Address": "10.0.0.9"}, "NetworkID": "n1"}}}})"));
    EXPECT_EQ(container.name, "dev");
    EXPECT_EQ(container.state, ContainerState::exited);
    EXPECT_EQ(container.exit_code, 137);
    EXPECT_TRUE(container.oom_killed);
    EXPECT_EQ(container.health_output, "not today");
    EXPECT_TRUE(container.started);
    EXPECT_FALSE(container.finished);
    EXPECT_EQ(container.limits, (Limits{5, 6, 0}));
    EXPECT_EQ(container.restart, protocol::RestartPolicy::on_failure);
    ASSERT_EQ(container.networks.size(), 1U);
    EXPECT_THAT(container.networks[0].aliases, testing::ElementsAre("web"));
    ASSERT_EQ(container.ports.size(), 1U);
    EXPECT_EQ(container.ports[0].host, 8080);
    EXPECT_EQ(container_from(json::parse("{}")).name, "");  // whatever an engine leaves out
}

TEST(Codec, AnAliasThatTheContainersIdBeginsWithIsNotTheOneThatTheEngineAdds) {
    const auto container = container_from(json::parse(R"({"Id": "db0123456789abcd",
        "NetworkSettings": {"Networks": {"lab": {"Aliases": ["db", "db0123456789"]}}}})"));
    EXPECT_THAT(container.networks.at(0).aliases, testing::ElementsAre("db"));
}

TEST(Codec, AContainerThatRunsAndWasNeverStartedIsDead) {
    const auto state_of = [](const char* started) {
        return container_from(json::object{
            {"State", {{"Status", "running"}, {"Running", true}, {"StartedAt", started}}}});
    };
    EXPECT_EQ(state_of("0001-01-01T00:00:00Z").state, ContainerState::dead);
    EXPECT_EQ(state_of("2026-11-23T09:00:01Z").state, ContainerState::running);
}

TEST(Codec, WritesNetworksOfBothFamiliesWithTheirParentAndMode) {
    const auto body = network_create_body({.name = "lan",
                                           .driver = "ipvlan",
                                           .subnet = "10.9.0.0/24",
                                           .gateway = "10.9.0.1",
                                           .ip_range = "10.9.0.128/25",
                                           .ipv6 = true,
                                           .subnet6 = "fd00:9::/64",
                                           .parent = "eth0.10",
                                           .mode = "l3"});
    EXPECT_EQ(body.at("Options"), json::parse(R"({"parent": "eth0.10", "ipvlan_mode": "l3"})"));
    EXPECT_EQ(body.at("EnableIPv6"), true);
    EXPECT_EQ(body.at("IPAM").at("Config"),
              json::parse(R"([{"Subnet": "10.9.0.0/24", "Gateway": "10.9.0.1",
                               "IPRange": "10.9.0.128/25"}, {"Subnet": "fd00:9::/64"}])"));
    EXPECT_FALSE(network_create_body({.name = "lab"}).contains("IPAM"));
    EXPECT_EQ(endpoint_settings({.network = "lan", .ipv4 = "10.9.0.9", .ipv6 = "fd00:9::9"})
                  .at("IPAMConfig"),
              json::parse(R"({"IPv4Address": "10.9.0.9", "IPv6Address": "fd00:9::9"})"));
}

TEST(Codec, ReadsAllSubnetsOfANetworkAndWhoIsOnIt) {
    const auto network = network_from(json::parse(R"({
        "Id": "n1", "Name": "lan", "Driver": "macvlan", "IPAM": {"Config": [
            {"Subnet": "fd00:9::/64", "Gateway": "fd00:9::1/64"}, {"Subnet": "10.9.0.0/24"},
            {"Subnet": "10.8.0.0/24", "Gateway": "10.8.0.1"}]},
        "Containers": {"c2": {"Name": "web"}, "c1": {"Name": "db"}}})"));
    EXPECT_EQ(network.subnet, "10.9.0.0/24");
    EXPECT_EQ(network.gateway, "");
    EXPECT_EQ(network.subnet6, "fd00:9::/64");
    EXPECT_EQ(network.gateway6, "fd00:9::1");
    EXPECT_THAT(network.subnets, testing::ElementsAre("fd00:9::/64", "10.9.0.0/24", "10.8.0.0/24"));
    EXPECT_THAT(network.attached, testing::ElementsAre("db", "web"));
}

TEST(Codec, TellsEndpointsWhoseContainerIsNoMoreFromThoseOfContainers) {
    const auto inspect = json::parse(R"({"Id": "n1", "Name": "lan", "Containers": {
        "ep-1": {"Name": "gone"}, "c1": {"Name": "web"}, "ep-2": {"Name": "web"}}})");
    EXPECT_THAT(network_from(inspect).attached, testing::ElementsAre("web"));
    EXPECT_THAT(forgotten_endpoints(inspect), testing::ElementsAre("gone"));
    EXPECT_THAT(forgotten_endpoints(json::parse(R"({"Containers": {}})")), testing::IsEmpty());
}

TEST(Codec, ReadsTheSizesOfVolumesWhoseDriverTells) {
    const auto sizes = volume_sizes_from(json::parse(R"({"Volumes": [
        {"Name": "data", "UsageData": {"Size": 4096, "RefCount": 1}},
        {"Name": "nfs", "UsageData": {"Size": -1}}, {"Name": "new"}]})"));
    EXPECT_THAT(sizes, testing::ElementsAre(std::pair("data", 4096)));
    EXPECT_THAT(volume_sizes_from(json::parse(R"({"Volumes": null})")), testing::IsEmpty());
}

TEST(Codec, TellsErrorsByTheEnginesWords) {
    const auto kind = [](int status, std::string_view words) {
        try {
            throw_engine_error(status, json::serialize(json::object{{"message", words}}), "doing");
        } catch (const Error& e) {
            EXPECT_EQ(std::string(e.what()), fmt::format("doing: {}", words));
            return e.kind();
        }
    };
    EXPECT_EQ(kind(409, "Conflict. The container name \"/x\" is already in use"),
              ErrorKind::conflict);
    EXPECT_EQ(kind(500, "driver failed: Bind for 0.0.0.0:80 failed: port is already allocated"),
              ErrorKind::conflict);
    EXPECT_EQ(kind(403, "error while removing network: network x has active endpoints"),
              ErrorKind::conflict);
    EXPECT_EQ(kind(404, "No such container: x"), ErrorKind::not_found);
    EXPECT_EQ(kind(400, "invalid"), ErrorKind::invalid);
    EXPECT_EQ(kind(500, "whatever"), ErrorKind::internal);
    // Of an engine that is ending: no fault of the container that was to be started.
    EXPECT_EQ(kind(500,
                   "failed to update store for object type *libnetwork.endpoint: open : no "
                   "such file or directory"),
              ErrorKind::unavailable);
    EXPECT_EQ(kind(500, "get data: database not open"), ErrorKind::unavailable);
}

TEST(Codec, ReadsEventsAndProgress) {
    const auto event = event_from(json::parse(
        R"({"Type":"container","Action":"die","Actor":{"ID":"c1","Attributes":{"name":"dev","dev.trailer.managed":"true"}}})"));
    ASSERT_TRUE(event);
    EXPECT_EQ(event->name, "dev");
    EXPECT_EQ(event->labels.at("dev.trailer.managed"), "true");
    EXPECT_FALSE(event_from(json::parse(R"({"Type":"daemon","Action":"reload"})")));
    EXPECT_EQ(
        progress_from(json::parse(R"({"errorDetail":{"message":"boom"},"error":"boom"})")).error,
        "boom");
    EXPECT_EQ(progress_from(json::parse(R"({"status":"Pulling","id":"l1"})")).text, "l1: Pulling");
    EXPECT_EQ(progress_from(json::parse(R"({"aux":{"ID":"sha256:1"}})")).image_id, "sha256:1");
}

TEST(Codec, SplitsLinesWhereverTheBytesBreak) {
    LineSplitter splitter;
    std::vector<std::string> lines;
    const auto each = [&](std::string_view line) { lines.emplace_back(line); };
    for (const auto* piece : {"a", "b\nc", "\n", "\nd\ne"}) splitter.feed(piece, each);
    EXPECT_THAT(lines, testing::ElementsAre("ab", "c", "", "d"));
}

TEST(BuildContext, IsATarWithTheDockerfile) {
    const auto tar = build_context("FROM scratch\n");
    EXPECT_EQ(tar.size() % 512, 0U);
    EXPECT_TRUE(tar.starts_with(std::string("Dockerfile\0", 11)));
    EXPECT_EQ(tar.substr(257, 5), "ustar");
    EXPECT_EQ(tar.substr(512, 13), "FROM scratch\n");
}

TEST(Codec, AVolumeThatTheEngineMakesByItselfIsMadeAsOurs) {
    const ContainerSpec spec{
        .name = "dev",
        .image = "tools:1",
        .mounts = {{.source = "data",
                    .target = "/data",
                    .volume = VolumeSpec{.name = "data",
                                         .driver_options = {{"type", "nfs"}},
                                         .labels = {{label::kId, "id-data"}}}}}};
    const json::value body = container_create_body(spec);
    const auto& options = body.at("HostConfig").at("Mounts").at(0).at("VolumeOptions");
    EXPECT_EQ(options.at("Labels").at(label::kId), "id-data");
    EXPECT_EQ(options.at("DriverConfig").at("Name"), "local");
    EXPECT_EQ(options.at("DriverConfig").at("Options").at("type"), "nfs");
}

TEST(EventMemoryTest, AStreamBeginsBeforeTheLastOneBrokeAndTellsNothingTwice) {
    using namespace std::chrono_literals;
    EventMemory memory;
    const std::chrono::sys_time<std::chrono::nanoseconds> start{100s + 5ns};
    EXPECT_EQ(memory.since(start), "98.000000005");
    EXPECT_TRUE(memory.is_new("first", 50'000'000'000));
    EXPECT_TRUE(memory.is_new("of the same time", 50'000'000'000));
    EXPECT_EQ(memory.since(start), "48.000000000") << "by the engine's clock";
    EXPECT_FALSE(memory.is_new("first", 50'000'000'000));
    EXPECT_FALSE(memory.is_new("of the same time", 50'000'000'000));
    EXPECT_TRUE(memory.is_new("missed", 49'000'000'000));
    EXPECT_TRUE(memory.is_new("first", 51'000'000'000)) << "happened again";
}

}  // namespace
