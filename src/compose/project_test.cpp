#include "compose/project.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/file.h"
#include "base/id.h"
#include "protocol/validate.h"

namespace {

using namespace trailer;
using namespace trailer::compose;
using protocol::Kind;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
namespace fs = std::filesystem;

// A directory called "shop" with the files of a project.
class ProjectTest : public testing::Test {
  protected:
    ProjectTest() { fs::create_directories(directory_); }
    void TearDown() override { fs::remove_all(directory_.parent_path()); }

    void write(const std::string& name, std::string_view text) const {
        fs::create_directories((directory_ / name).parent_path());
        write_file_atomically((directory_ / name).string(), text, 0600);
    }

    Project read(std::string_view text) {
        auto files = parse_tree("compose.yaml", text);
        for (const auto& over : overrides_) files.push_back(parse_tree("over.yaml", over).at(0));
        options_.working_directory = directory_.string();
        return read_project(std::move(files), "compose.yaml", options_);
    }

    // A project without a finding, each of whose documents the server would take.
    Project good(std::string_view text) {
        auto project = read(text);
        EXPECT_THAT(project.findings.faults, IsEmpty());
        EXPECT_THAT(project.findings.unsupported, IsEmpty());
        for (const auto& document : project.documents) {
            std::vector<FieldError> errors;
            protocol::check_spec(document.kind, document.value.at("spec").as_object(), errors);
            protocol::check_name(document.name, "/name", errors);
            for (const auto& error : errors) {
                ADD_FAILURE() << document.name << error.pointer << ": " << error.detail;
            }
        }
        return project;
    }

    // The workspace of the only service, "web", whose members `text` holds.
    protocol::WorkspaceSpec web(std::string_view text) {
        const auto project =
            good(fmt::format("services: {{web: {{image: x, {}}}}}\n"
                             "volumes: {{data: , more: }}\n"
                             "networks: {{front: , back: }}\n",
                             text));
        return spec_of(project, "shop-web");
    }

    static protocol::WorkspaceSpec spec_of(const Project& project, const std::string& name) {
        return wire::from_json<protocol::WorkspaceSpec>(find(project, Kind::workspace, name));
    }

    static boost::json::value find(const Project& project, Kind kind, const std::string& name) {
        for (const auto& each : project.documents) {
            if (each.kind == kind && each.name == name) return each.value.at("spec");
        }
        ADD_FAILURE() << "there is no " << name;
        return boost::json::object{{"image", "none"}};
    }

    static std::vector<std::string> names(const Project& project) {
        std::vector<std::string> names;
        for (const auto& each : project.documents) {
            names.push_back(fmt::format("{}/{}", noun(each.kind), each.name));
        }
        return names;
    }

    // What is said of a service with these members.
    Findings said(std::string_view text) {
        return read(fmt::format("services:\n  web:\n    {}\n", text)).findings;
    }

    fs::path directory_ = fs::temp_directory_path() / ("trailer-compose-" + new_id()) / "shop";
    Options options_;
    std::vector<std::string> overrides_;
};

TEST_F(ProjectTest, ServicesAreWorkspacesOfAGroupOnANetworkOfTheirOwn) {
    const auto project = good(R"(
version: "3.8"
x-anything: {a: 1}
services:
  web: {image: "nginx:1.25", ports: ["8080:80"], depends_on: [db]}
  db:
    image: postgres:16
    volumes: [data:/var/lib/postgresql/data]
volumes:
  data:
  unused:
)");
    EXPECT_EQ(project.name, "shop");
    EXPECT_THAT(names(project), ElementsAre("network/shop_default", "volume/shop_data",
                                            "workspace/shop-db", "workspace/shop-web"));
    for (const auto& each : project.documents) EXPECT_EQ(each.value.at("group"), "shop");
    const auto web = spec_of(project, "shop-web");
    EXPECT_EQ(web.image, "nginx:1.25");
    EXPECT_EQ(web.restart, protocol::RestartPolicy::no) << "as Compose has it";
    EXPECT_THAT(web.networks,
                ElementsAre(protocol::NetworkAttachment{"shop_default", {"web"}, ""}));
    EXPECT_THAT(web.depends_on, ElementsAre(protocol::Dependency{"shop-db"}));
    EXPECT_EQ(spec_of(project, "shop-db").mounts.at(0).volume, "shop_data");
}

TEST_F(ProjectTest, TheGroupIsCalledAsTheFlagTheEnvironmentTheFileOrTheDirectorySays) {
    const auto* text = "name: from-file\nservices: {a: {image: \"x:${COMPOSE_PROJECT_NAME}\"}}\n";
    EXPECT_EQ(good(text).name, "from-file");
    EXPECT_EQ(good("services: {a: {image: x}}\n").name, "shop");
    options_.environment["COMPOSE_PROJECT_NAME"] = "from-env";
    EXPECT_EQ(good(text).name, "from-env");
    options_.group = "from-flag";
    const auto project = good(text);
    EXPECT_EQ(project.name, "from-flag");
    EXPECT_EQ(spec_of(project, "from-flag-a").image, "x:from-flag");
    options_.group = "-";
    EXPECT_THAT(read(text).findings.faults, ElementsAre(HasSubstr("the group's name \"-\"")));
}

TEST_F(ProjectTest, VariablesComeFromTheEnvironmentThenFromTheFileBeside) {
    write(".env", "TAG=1\nWHO=file\n");
    write("other.env", "TAG=3\n");
    options_.environment["WHO"] = "process";
    const auto* text = "services: {a: {image: \"x:$TAG\", user: $WHO, hostname: $NONE}}\n";
    const auto project = good(text);
    EXPECT_EQ(spec_of(project, "shop-a").image, "x:1");
    EXPECT_EQ(spec_of(project, "shop-a").user, "process");
    EXPECT_THAT(project.findings.warnings,
                ElementsAre("compose.yaml:1:45: services.a.hostname: the variable NONE is not "
                            "set: it is taken as empty"));
    options_.env_file = "other.env";
    EXPECT_EQ(spec_of(good(text), "shop-a").image, "x:3");
    options_.env_file = "no.env";
    EXPECT_THROW(read(text), Error);
}

TEST_F(ProjectTest, TheEnvironmentIsOfFilesAndThenOfTheService) {
    write("a.env", "A=1\nB=\"2 $C\"\n");
    write("deep/b.env", "B=3\nFROM\n");
    options_.environment = {{"C", "c"}, {"FROM", "shell"}, {"BARE", "bare"}};
    const auto spec =
        web("env_file: [a.env, {path: deep/b.env}, {path: no.env, required: false}], "
            "environment: {A: , BARE: , N: 1.10, T: true, E: '', D: '$$x'}");
    EXPECT_EQ(spec.env, (std::map<std::string, std::string>{{"B", "3"},
                                                            {"FROM", "shell"},
                                                            {"BARE", "bare"},
                                                            {"N", "1.10"},
                                                            {"T", "true"},
                                                            {"E", ""},
                                                            {"D", "$x"}}))
        << "A without a value, here or around, is not set";
    EXPECT_EQ(web("environment: ['A=b=c', BARE, NO]").env,
              (std::map<std::string, std::string>{{"A", "b=c"}, {"BARE", "bare"}}));
    EXPECT_THAT(said("env_file: no.env").faults, Contains(HasSubstr("no.env")));
}

TEST_F(ProjectTest, ProfilesChooseServices) {
    const auto* text = R"(
services:
  web: {image: x, depends_on: {debug: {condition: service_started, required: false}}}
  debug: {image: x, profiles: [debug, all]}
)";
    EXPECT_THAT(names(good(text)), ElementsAre("network/shop_default", "workspace/shop-web"));
    options_.profiles = {"debug"};
    EXPECT_THAT(names(good(text)), Contains("workspace/shop-debug"));
    EXPECT_THAT(spec_of(good(text), "shop-web").depends_on,
                ElementsAre(protocol::Dependency{"shop-debug"}));
    options_.profiles = {};
    options_.environment["COMPOSE_PROFILES"] = "x,all";
    EXPECT_THAT(names(good(text)), Contains("workspace/shop-debug"));
    options_.environment = {};
    EXPECT_THAT(read("services: {a: {image: x, depends_on: [b]}, b: {image: x, profiles: [p]}}\n")
                    .findings.faults,
                ElementsAre(HasSubstr("--profile p only")));
}

TEST_F(ProjectTest, ClearingTheImagesOwnCommandIsNotSupported) {
    for (const auto* member : {"command", "entrypoint"}) {
        for (const auto* none : {"[]", "''", "' '"}) {
            const auto findings = said(fmt::format("image: x\n    {}: {}", member, none));
            EXPECT_THAT(findings.faults, IsEmpty());
            EXPECT_THAT(findings.unsupported,
                        ElementsAre(StartsWith(
                            fmt::format("compose.yaml:4:5: services.web.{}: empty", member))))
                << none;
        }
        EXPECT_THAT(said(fmt::format("image: x\n    {}:", member)).unsupported, IsEmpty())
            << "null is the image's own";
    }
    EXPECT_THAT(said("image: x\n    command: ['']").unsupported, IsEmpty()) << "an empty word";
}

TEST_F(ProjectTest, PortsInEachForm) {
    const auto ports = [&](std::string_view text) {
        std::string made;
        for (const auto& port : web(fmt::format("ports: [{}]", text)).ports) {
            made += fmt::format("{}{}:{}->{}/{}", made.empty() ? "" : " ", port.address, port.host,
                                port.container, wire::to_text(port.protocol));
        }
        return made;
    };
    EXPECT_EQ(ports("80"), ":0->80/tcp");
    EXPECT_EQ(ports("'8080:80'"), ":8080->80/tcp");
    EXPECT_EQ(ports("'6060:6060/udp', '53'"), ":6060->6060/udp :0->53/tcp");
    EXPECT_EQ(ports("'127.0.0.1:8001:80'"), "127.0.0.1:8001->80/tcp");
    EXPECT_EQ(ports("'127.0.0.1::80'"), "127.0.0.1:0->80/tcp");
    EXPECT_EQ(ports("'[::1]:8001:80', '::1:8002:80'"), "::1:8001->80/tcp ::1:8002->80/tcp");
    EXPECT_EQ(ports("'3000-3001'"), ":0->3000/tcp :0->3001/tcp");
    EXPECT_EQ(ports("'127.0.0.1:5000-5001:6000-6001/udp'"),
              "127.0.0.1:5000->6000/udp 127.0.0.1:5001->6001/udp");
    EXPECT_EQ(ports("{target: 80, published: '8080', protocol: udp, host_ip: 1.2.3.4, mode: host}"),
              "1.2.3.4:8080->80/udp");
    EXPECT_EQ(ports("{target: 80, name: web, app_protocol: http}"), ":0->80/tcp");
    for (const auto* bad :
         {"'0'", "'80:'", "'a:80'", "'80/icmp'", "'1-2:80-83'", "'70000'", "[80]"}) {
        EXPECT_THAT(said(fmt::format("ports: [{}]", bad)).faults,
                    Contains(StartsWith("compose.yaml:3:13: services.web.ports[0]:")))
            << bad;
    }
    EXPECT_THAT(said("ports: ['8000-9000:80']").unsupported,
                ElementsAre(HasSubstr("a free port out of a range")));
}

TEST_F(ProjectTest, MountsInEachForm) {
    options_.environment["HOME"] = "/home/me";
    const auto mounts = web(R"(volumes: [data:/a, 'more:/b:ro', ./src:/c/:cached, ../up:/d,
        ~/x:/e, /abs/:/f, {type: bind, source: ./y, target: /g, read_only: true},
        {type: volume, source: data, target: /h}, {type: tmpfs, target: /i, tmpfs: {size: 64m}}],
        tmpfs: [/run, '/tmp:size=1m'])")
                            .mounts;
    const auto root = directory_.string();
    ASSERT_EQ(mounts.size(), 11U);
    EXPECT_EQ(mounts[0], (protocol::Mount{.volume = "shop_data", .target = "/a"}));
    EXPECT_EQ(mounts[1],
              (protocol::Mount{.volume = "shop_more", .target = "/b", .read_only = true}));
    EXPECT_EQ(mounts[2], (protocol::Mount{.bind = root + "/src", .target = "/c"}));
    EXPECT_EQ(mounts[3],
              (protocol::Mount{.bind = directory_.parent_path().string() + "/up", .target = "/d"}));
    EXPECT_EQ(mounts[4], (protocol::Mount{.bind = "/home/me/x", .target = "/e"}));
    EXPECT_EQ(mounts[5], (protocol::Mount{.bind = "/abs", .target = "/f"}));
    EXPECT_EQ(mounts[6], (protocol::Mount{.bind = root + "/y", .target = "/g", .read_only = true}));
    EXPECT_EQ(mounts[8], (protocol::Mount{.tmpfs = true, .size = 64 << 20, .target = "/i"}));
    EXPECT_EQ(mounts[9], (protocol::Mount{.tmpfs = true, .target = "/run"}));
    EXPECT_EQ(mounts[10].size, 1 << 20);
    EXPECT_THAT(said("image: x\n    volumes: [nowhere:/x]").faults,
                ElementsAre("compose.yaml:4:15: services.web.volumes[0]: the volume \"nowhere\" "
                            "does not stand under the file's volumes"));
    EXPECT_THAT(said("volumes: ['a:/x:z', {type: npipe, target: /x}]").unsupported,
                ElementsAre(HasSubstr("mount option \"z\""), HasSubstr("type npipe")));
}

TEST_F(ProjectTest, AVolumeWithoutANameIsKeptUnderOneThatStays) {
    const auto* text = "services: {web: {image: x, volumes: [/app/node_modules]}}\n";
    EXPECT_THAT(names(good(text)), Contains("volume/shop_web_app_node_modules"));
    const auto deep = "/" + std::string(80, 'x');
    const auto project =
        good(fmt::format("services: {{web: {{image: x, volumes: ['{}']}}}}\n", deep));
    EXPECT_EQ(spec_of(project, "shop-web").mounts.at(0).target, deep);
}

TEST_F(ProjectTest, NetworksAndVolumesAsTheFileDescribesThem) {
    const auto project = good(R"(
services:
  web:
    image: x
    networks:
      back: {aliases: [api, web], ipv4_address: 10.9.0.5}
      front: {priority: 10}
      lab:
    volumes: [cache:/c, old:/o]
networks:
  front: {driver: bridge, internal: true, labels: [a=b], attachable: true}
  back: {name: backbone, ipam: {config: [{subnet: 10.9.0.0/24, gateway: 10.9.0.1}]}}
  lab: {external: true, name: the-lab}
  wire: {driver: macvlan, driver_opts: {parent: eth0}}
volumes:
  cache: {driver: local, driver_opts: {type: tmpfs, device: tmpfs}, labels: {a: b}}
  old: {external: {name: old_data}}
)");
    EXPECT_THAT(names(project), ElementsAre("network/backbone", "network/shop_front",
                                            "volume/shop_cache", "workspace/shop-web"));
    const auto web = spec_of(project, "shop-web");
    EXPECT_EQ(web.networks.at(0).network, "shop_front") << "by its priority";
    EXPECT_EQ(web.networks.at(1),
              (protocol::NetworkAttachment{"backbone", {"web", "api"}, "10.9.0.5"}));
    EXPECT_EQ(web.networks.at(2).network, "the-lab");
    EXPECT_EQ(web.mounts.at(1).volume, "old_data");
    const auto front =
        wire::from_json<protocol::NetworkSpec>(find(project, Kind::network, "shop_front"));
    EXPECT_TRUE(front.internal);
    EXPECT_EQ(front.labels.at("a"), "b");
    const auto back =
        wire::from_json<protocol::NetworkSpec>(find(project, Kind::network, "backbone"));
    EXPECT_EQ(back.subnet, "10.9.0.0/24");
    EXPECT_EQ(back.gateway, "10.9.0.1");
    const auto cache =
        wire::from_json<protocol::VolumeSpec>(find(project, Kind::volume, "shop_cache"));
    EXPECT_EQ(cache.driver_options.at("type"), "tmpfs");
}

TEST_F(ProjectTest, NetworksOfBothFamiliesAndOnAParentsTag) {
    const auto project = good(R"(
services:
  web: {image: x, networks: {dual: {ipv4_address: 10.8.0.5, ipv6_address: "fd00:8::5"}, wire: , l3: }}
networks:
  dual:
    enable_ipv6: true
    ipam: {config: [{subnet: 10.8.0.0/24}, {subnet: "fd00:8::/64", gateway: "fd00:8::1"}]}
  wire: {driver: macvlan, driver_opts: {parent: eth0.10, macvlan_mode: bridge}, ipam: {config: [{subnet: 10.7.0.0/24}]}}
  l3: {driver: ipvlan, driver_opts: {parent: eth1, ipvlan_mode: l3}, ipam: {config: [{subnet: 10.6.0.0/24}]}}
)");
    EXPECT_EQ(spec_of(project, "shop-web").networks.at(0).ipv6, "fd00:8::5");
    const auto network = [&](const std::string& name) {
        return wire::from_json<protocol::NetworkSpec>(find(project, Kind::network, name));
    };
    EXPECT_TRUE(network("shop_dual").ipv6);
    EXPECT_EQ(network("shop_dual").ipv6_subnet, "fd00:8::/64");
    EXPECT_EQ(network("shop_dual").ipv6_gateway, "fd00:8::1");
    EXPECT_EQ(network("shop_wire").parent, "eth0");
    EXPECT_EQ(network("shop_wire").vlan, 10);
    EXPECT_EQ(network("shop_l3").mode, protocol::IpvlanMode::l3);
    const auto told = read(R"(
services: {web: {image: x}}
networks:
  a: {driver: overlay}
  b: {ipam: {config: [{subnet: 10.1.0.0/24}, {subnet: 10.2.0.0/24}]}}
  c: {driver: ipvlan, driver_opts: {ipvlan_mode: l9}}
)")
                          .findings;
    EXPECT_THAT(told.unsupported, ElementsAre(HasSubstr("overlay"), HasSubstr("second subnet"),
                                              HasSubstr("ipvlan_mode")));
}

TEST_F(ProjectTest, TheDefaultNetworkCanBeDescribedAndTheHostsBeUsed) {
    const auto project = good(
        "services: {a: {image: x}, b: {image: x, network_mode: host}, "
        "c: {image: x, network_mode: bridge}}\n"
        "networks: {default: {internal: true}}\n");
    EXPECT_TRUE(find(project, Kind::network, "shop_default").at("internal").as_bool());
    EXPECT_TRUE(spec_of(project, "shop-b").host_network);
    EXPECT_THAT(spec_of(project, "shop-c").networks, IsEmpty());
    EXPECT_THAT(said("network_mode: none").unsupported, ElementsAre(HasSubstr("\"none\"")));
    EXPECT_THAT(said("image: x\n    networks: [nowhere]").faults,
                ElementsAre(HasSubstr("the network \"nowhere\"")));
}

TEST_F(ProjectTest, HealthChecksInEachForm) {
    const auto command = [&](std::string_view test) {
        return web(fmt::format("healthcheck: {{test: {}}}", test)).health_check->command;
    };
    EXPECT_THAT(command("[CMD, curl, -f, x]"), ElementsAre("curl", "-f", "x"));
    EXPECT_THAT(command("[CMD-SHELL, 'a || b']"), ElementsAre("/bin/sh", "-c", "a || b"));
    EXPECT_THAT(command("pg_isready -U $$USER"),
                ElementsAre("/bin/sh", "-c", "pg_isready -U $USER"));
    EXPECT_TRUE(web("healthcheck: {disable: true}").health_check->disabled);
    EXPECT_TRUE(web("healthcheck: {test: [NONE]}").health_check->disabled);
    const auto health = *web("healthcheck: {test: x, interval: 1m30s, timeout: 10s, retries: 5, "
                             "start_period: 1.5s}")
                             .health_check;
    EXPECT_EQ(health.interval_ms, 90'000);
    EXPECT_EQ(health.timeout_ms, 10'000);
    EXPECT_EQ(health.start_period_ms, 1'500);
    EXPECT_EQ(health.retries, 5);
    EXPECT_THAT(said("healthcheck: {test: [curl, x]}").faults, Contains(HasSubstr("CMD-SHELL")));
    EXPECT_THAT(said("healthcheck: {test: x, interval: 10}").faults, Contains(HasSubstr("1m30s")));
    EXPECT_THAT(said("healthcheck: {interval: 10s}").unsupported, ElementsAre(HasSubstr("`test`")));
}

TEST_F(ProjectTest, LimitsOfTheServiceAndOfItsDeployment) {
    auto resources =
        web("cpus: 0.50, mem_limit: 512m, pids_limit: 99, shm_size: 64m, gpus: all").resources;
    EXPECT_EQ(resources.cpus, 0.5);
    EXPECT_EQ(resources.memory, 512 << 20);
    EXPECT_EQ(resources.pids, 99);
    EXPECT_EQ(resources.shm_size, 64 << 20);
    EXPECT_TRUE(resources.gpus->all);
    const auto spec =
        web("deploy: {replicas: 1, resources: {limits: {cpus: '1.5', memory: 1G, pids: 5}, "
            "reservations: {devices: [{driver: nvidia, count: 2, capabilities: [gpu]}]}}, "
            "restart_policy: {condition: on-failure}}");
    EXPECT_EQ(spec.resources.cpus, 1.5);
    EXPECT_EQ(spec.resources.memory, 1 << 30);
    EXPECT_EQ(spec.resources.gpus->count, 2U);
    EXPECT_EQ(spec.restart, protocol::RestartPolicy::on_failure);
    EXPECT_FALSE(web("mem_limit: 0, pids_limit: -1").resources.memory.has_value());
    EXPECT_THAT(said("cpus: 1\n    deploy: {resources: {limits: {cpus: 2}}}").faults,
                Contains(HasSubstr("another limit than that at compose.yaml:3:5")));
    EXPECT_THAT(said("restart: on-failure:3\n    deploy: {replicas: 2, placement: {}}").unsupported,
                ElementsAre(HasSubstr("number of tries"), HasSubstr("one workspace"),
                            AllOf(HasSubstr("deploy.placement"), HasSubstr("is not supported"))));
}

TEST_F(ProjectTest, TheRestOfAService) {
    const auto spec =
        web(R"(command: sh -c "echo 'hi there'", entrypoint: [/init, --], user: 1000:50,
        working_dir: /app, hostname: h, dns: 1.1.1.1, sysctls: [net.core.somaxconn=1024],
        extra_hosts: ['a:1.2.3.4', 'b=[::1]', 'c:host-gateway'], cap_add: [cap_net_admin],
        cap_drop: [ALL], devices: ['/dev/fuse', '/dev/a:/dev/b:r', '/dev/c:/dev/d'],
        ulimits: {nproc: 65535, nofile: {soft: 1, hard: 2}}, read_only: true, init: "yes",
        stop_signal: usr1, stop_grace_period: 1m, logging: {driver: json-file, options: {max-size: 1m}},
        labels: {a.b: '1'}, privileged: true, restart: always, pull_policy: if_not_present,
        tty: true, stdin_open: true, expose: ['80'], container_name: ~)");
    EXPECT_THAT(spec.command, ElementsAre("sh", "-c", "echo 'hi there'"));
    EXPECT_THAT(spec.entrypoint, ElementsAre("/init", "--"));
    EXPECT_EQ(spec.user, "1000:50");
    EXPECT_THAT(spec.dns, ElementsAre("1.1.1.1"));
    EXPECT_EQ(spec.sysctls.at("net.core.somaxconn"), "1024");
    EXPECT_EQ(spec.extra_hosts, (std::map<std::string, std::string>{
                                    {"a", "1.2.3.4"}, {"b", "::1"}, {"c", "host-gateway"}}));
    EXPECT_THAT(spec.cap_add, ElementsAre("NET_ADMIN"));
    EXPECT_THAT(spec.devices, ElementsAre(protocol::Device{"/dev/fuse", "", "rwm"},
                                          protocol::Device{"/dev/a", "/dev/b", "r"},
                                          protocol::Device{"/dev/c", "/dev/d", "rwm"}));
    EXPECT_EQ(spec.ulimits.at("nproc").hard, 65535);
    EXPECT_EQ(spec.ulimits.at("nofile").soft, 1);
    EXPECT_TRUE(spec.read_only && spec.init && spec.privileged && spec.tty && spec.stdin_open);
    EXPECT_EQ(spec.stop_signal, "SIGUSR1");
    EXPECT_EQ(spec.stop_grace_ms, 60'000);
    EXPECT_EQ(spec.logging.options.at("max-size"), "1m");
    EXPECT_EQ(spec.restart, protocol::RestartPolicy::always);
}

TEST_F(ProjectTest, DependenciesOnServicesByTheirWorkspaces) {
    const auto project = good(R"(
services:
  web: {image: x, links: [cache], depends_on: {db: {condition: service_healthy, restart: false}}}
  cache: {image: x}
  db: {image: x, container_name: the-database}
)");
    using protocol::DependencyCondition;
    EXPECT_THAT(spec_of(project, "shop-web").depends_on,
                ElementsAre(protocol::Dependency{"the-database", DependencyCondition::healthy},
                            protocol::Dependency{"shop-cache", DependencyCondition::started}));
    EXPECT_THAT(spec_of(project, "the-database").networks.at(0).aliases, ElementsAre("db"));
    EXPECT_THAT(said("depends_on: [nobody]").faults, Contains(HasSubstr("no service \"nobody\"")));
    EXPECT_THAT(said("depends_on: {web: {condition: service_completed_successfully}}").unsupported,
                ElementsAre(HasSubstr("service_completed_successfully")));
}

TEST_F(ProjectTest, ImagesAreBuiltFromDockerfilesThatStandAlone) {
    write("Dockerfile", "FROM alpine\nARG V\nRUN echo $V\n");
    write("tools/Tools.df", "FROM alpine\n");
    options_.environment["FROM_SHELL"] = "yes";
    const auto project = good(R"(
services:
  web: {build: .}
  worker: {build: ., image: "shop-web"}
  tools: {build: {context: tools, dockerfile: Tools.df, args: [A=1, FROM_SHELL], pull: true}, image: "t:1"}
  tiny: {build: {dockerfile_inline: "FROM scratch\n"}, pull_policy: build}
)");
    EXPECT_THAT(names(project),
                testing::IsSupersetOf({"image/shop-web", "image/shop-tools", "image/shop-tiny"}));
    EXPECT_EQ(spec_of(project, "shop-worker").image, "shop-web") << "the same image is made once";
    EXPECT_EQ(spec_of(project, "shop-tools").image, "shop-tools");
    const auto tools =
        wire::from_json<protocol::ImageSpec>(find(project, Kind::image, "shop-tools"));
    EXPECT_EQ(tools.reference, "t:1");
    EXPECT_EQ(tools.dockerfile, "FROM alpine\n");
    EXPECT_EQ(tools.build_args.at("FROM_SHELL"), "yes");
    EXPECT_TRUE(tools.pull);
}

TEST_F(ProjectTest, ABuildThatNeedsItsContextIsToldOf) {
    write("Dockerfile", "FROM alpine\nCOPY . /app\n");
    EXPECT_THAT(said("build: .").faults,
                ElementsAre(AllOf(StartsWith("compose.yaml:3:5: services.web.build: the COPY of "
                                             "line 2 of "),
                                  HasSubstr("not supported yet"))));
    EXPECT_THAT(said("build: ./nowhere").faults, Contains(HasSubstr("nowhere/Dockerfile")));
    EXPECT_THAT(said("build: https://github.com/a/b.git").unsupported,
                ElementsAre(HasSubstr("not on this machine")));
    EXPECT_THAT(
        said("build: {dockerfile_inline: 'FROM a', target: x, cache_from: [y]}").unsupported,
        ElementsAre(HasSubstr("cache_from"), HasSubstr("target")));
}

TEST_F(ProjectTest, NothingIsDroppedSilently) {
    const auto findings = read(R"(
services:
  web:
    image: x
    imagee: y
    secrets: [s]
    configs: [c]
    runtime: runc
    oom_kill_disable: false
    x-mine: {a: 1}
    security_opt: [a]
    platform: linux/amd64
  db:
    extends: {file: other.yaml, service: db}
include: [other.yaml]
secrets: {s: {file: ./s}}
configs: {c: {file: ./c}}
networkz: {}
)")
                              .findings;
    EXPECT_THAT(findings.faults,
                testing::UnorderedElementsAre(
                    "compose.yaml:5:5: services.web.imagee: is not known to the Compose "
                    "Specification",
                    "compose.yaml:18:1: networkz: is not known to the Compose Specification",
                    "compose.yaml:13:3: services.db: needs `image` or `build`"));
    std::vector<std::string> where;
    for (const auto& each : findings.unsupported) {
        const auto start = each.find(": ") + 2;
        where.push_back(each.substr(start, each.find(':', start) - start));
    }
    EXPECT_THAT(where, testing::UnorderedElementsAre(
                           "services.web.secrets", "services.web.configs", "services.web.runtime",
                           "services.web.security_opt", "services.web.platform",
                           "services.db.extends", "include", "secrets", "configs"));
}

TEST_F(ProjectTest, WhatIsMalformedIsToldWhereItStands) {
    EXPECT_THAT(read("services:\n").findings.faults, Contains(HasSubstr("no services")));
    EXPECT_THAT(read("services: [a]\n").findings.faults, Contains(HasSubstr("a map of services")));
    EXPECT_THAT(read("services: {web: text}\n").findings.faults, Contains(HasSubstr("a map")));
    EXPECT_THAT(said("image: ${TAG:?choose one}").faults,
                ElementsAre("compose.yaml:3:5: services.web.image: the variable TAG is required: "
                            "choose one"));
    EXPECT_THAT(said("image: [a]").faults, ElementsAre(HasSubstr("expected text")));
    EXPECT_THAT(said("image: x\n    ports: 80").faults, ElementsAre(HasSubstr("expected a list")));
    EXPECT_THAT(said("image: x\n    environment: text").faults,
                ElementsAre(HasSubstr("NAME=VALUE")));
    EXPECT_THAT(said("image: x\n    init: maybe").faults, ElementsAre(HasSubstr("true or false")));
    EXPECT_THAT(said("image: x\n    command: echo 'open").faults,
                ElementsAre(HasSubstr("not closed")));
}

TEST_F(ProjectTest, PlacesAreThoseOfTheFileAndOfItsOverride) {
    overrides_ = {"services:\n  web:\n    ports: ['81:81']\n    user: u\n"};
    const auto project = good("services:\n  web:\n    image: x\n    ports:\n      - 80:80\n");
    const auto& places = project.documents.back().places;
    EXPECT_EQ(places.at("/spec/image").text(), "compose.yaml:3:5");
    EXPECT_EQ(places.at("/spec/ports/0").text(), "compose.yaml:5:9");
    EXPECT_EQ(places.at("/spec/ports/1").text(), "over.yaml:3:13");
    EXPECT_EQ(places.at("/spec/user").text(), "over.yaml:4:5");
    EXPECT_EQ(places.at("/name").text(), "compose.yaml:2:3");
}

TEST_F(ProjectTest, TheSameFilesGiveTheSameDocuments) {
    const auto* text =
        "services: {b: {image: x, volumes: [/a, v:/b]}, a: {image: y}}\nvolumes: {v: }\n";
    const auto first = good(text);
    const auto second = good(text);
    ASSERT_EQ(first.documents.size(), second.documents.size());
    for (std::size_t i = 0; i < first.documents.size(); ++i) {
        EXPECT_EQ(first.documents[i].value, second.documents[i].value);
    }
}

}  // namespace
