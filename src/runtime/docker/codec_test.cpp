#include "runtime/docker/codec.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "runtime/docker/build_context.h"

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

}  // namespace
