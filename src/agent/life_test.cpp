#include <gmock/gmock.h>
#include <sys/stat.h>

#include "agent/agent.h"
#include "agent/host_tree.h"
#include "agent/identity.h"
#include "agent/play.h"
#include "base/file.h"
#include "metrics/fake_nvml.h"
#include "runtime/fake_runtime.h"

namespace {

using namespace trailer;
using namespace trailer::agent;
using protocol::ControlType;
using protocol::Health;
using testing::Contains;
using testing::HasSubstr;

constexpr const char* kMachineId = "3d1219c7c4c5404aaa1f6d2a48adfda4\n";

// A host with an engine of its own, and the scripted server, on one event loop.
class World : public Stage {
  public:
    World() {
        host.put("etc/machine-id", kMachineId);
        host.put("etc/os-release", "NAME=x\nPRETTY_NAME=\"Test Linux 1\"\n");
        host.put("proc/stat", "cpu 1 0 1 8 0 0 0 0\ncpu0 1 0 1 8 0 0 0 0\n");
        host.put("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 400 kB\n");
        server.settings.heartbeat_interval_ms = 100;
        server.settings.reconcile_interval_ms = 60'000;
    }

    AgentOptions options() {
        AgentOptions options;
        options.config.server_url = server.url();
        options.config.deployment_name = "host-1";
        options.config.state_directory = host.root() / "state";
        options.config.bounds.allowed_bind_roots = {"/srv"};
        options.version = "1.2.3";
        options.root = host.root();
        options.nvidia_library = nvidia_library;
        options.make_runtime = [this](const asio::any_io_executor&, const config::Config&) {
            auto made = std::make_unique<runtime::FakeRuntime>(executor());
            runtime = made.get();
            return made;
        };
        return options;
    }

    void start() { beside().spawn(run_agent(options())); }

    void want(const std::string& name) {
        auto& workspace = server.desired.workspaces.emplace_back();
        workspace.id = "0190a000-0000-7000-8000-0000000000" + name;
        workspace.name = "ws-" + name;
        workspace.revision = ++server.desired.revision;
        workspace.spec.image = "image:1";
        workspace.spec.env["SECRET"] = "hunter2";
    }

    Task<> until_container(std::string name) {
        for (int i = 0; i < 2000; ++i) {
            const auto found = co_await runtime->find_container("ws-" + name);
            if (found && found->state == runtime::ContainerState::running) co_return;
            co_await aio::sleep(5ms);
        }
        throw Error(ErrorKind::timeout, "waited in vain for container ws-{}", name);
    }

    Task<> until_idle_for(std::chrono::milliseconds time, const int& counter) {
        auto seen = counter;
        do {
            seen = counter;
            co_await aio::sleep(time);
        } while (seen != counter);
    }

    HostTree host;
    std::string nvidia_library = "libnone.so.1";
    runtime::FakeRuntime* runtime = nullptr;  // of the agent that runs
};

Task<> registers(World& world) {
    world.start();
    auto& server = world.server;
    co_await until([&] { return server.heartbeats >= 2; }, "heartbeats");
    co_await until([&] { return server.sockets() == 1; }, "the realtime connection");
    EXPECT_EQ(server.registrations, 1);
    EXPECT_TRUE(server.signature_is_good);
    EXPECT_EQ(server.registered.registration_token,
              registration_token(machine_id(world.host.root()).value()));
    EXPECT_EQ(server.registered.deployment_name, "host-1");
    EXPECT_EQ(server.registered.version, "1.2.3");
    EXPECT_EQ(server.registered.runtime, "docker");
    EXPECT_NE(server.registered.architecture, "");
    EXPECT_NE(server.registered.capabilities.runtime_version, "");
    EXPECT_THAT(server.registered.capabilities.allowed_bind_roots, Contains("/srv"));
    EXPECT_EQ(server.heartbeat.engine.status, Health::ok);
    EXPECT_TRUE(server.heartbeat.metrics.host.has_value());
    EXPECT_GE(server.polls, 1);
    EXPECT_EQ(server.polled_revisions.front(), -1);
}

TEST(AgentTest, RegistersThenHeartbeatsPollsAndOpensTheRealtimeConnection) {
    World world;
    world.play(registers(world));
}

Task<> tells_its_gpus(World& world, metrics::FakeNvml& nvml) {
    world.start();
    auto& beat = world.server.heartbeat;
    co_await until([&] { return beat.metrics.gpus.size() == 2; }, "the GPUs' metrics");
    EXPECT_EQ(world.server.registrations, 1);
    const auto& gpus = world.server.registered.capabilities.gpus;
    EXPECT_EQ(gpus.size(), 2U);
    EXPECT_EQ(beat.metrics.gpus.front().uuid, gpus.front().uuid);
    EXPECT_EQ(beat.metrics.gpus.front().utilization_percent, 37);
    EXPECT_EQ(nvml.sessions(), 1);
    world.server.settings.metrics.gpus = false;
    co_await until([&] { return nvml.sessions() == 0; }, "the driver to be let go");
    co_await until([&] { return beat.metrics.gpus.empty(); }, "a heartbeat without them");
    world.server.settings.metrics.gpus = true;
    co_await until([&] { return beat.metrics.gpus.size() == 2; }, "their metrics again");
    EXPECT_EQ(world.server.registrations, 1);
    nvml.lose(1);
    co_await until([&] { return world.server.registrations == 2; }, "the news of a lost card");
    EXPECT_EQ(world.server.registered.capabilities.gpus.size(), 1U);
}

TEST(AgentTest, TellsItsGpusAndMeasuresThemWhileItsSettingsSaySo) {
    metrics::FakeNvml nvml;
    World world;
    world.nvidia_library = metrics::FakeNvml::kPath;
    world.play(tells_its_gpus(world, nvml));
}

Task<> waits_for_approval(World& world) {
    world.server.approved = false;
    world.start();
    co_await until([&] { return world.server.challenges >= 2; }, "a second attempt");
    EXPECT_EQ(world.server.heartbeats, 0);
    EXPECT_EQ(world.server.polls, 0);
    world.server.approved = true;
    co_await until([&] { return world.server.heartbeats > 0; }, "the heartbeat after approval");
}

TEST(AgentTest, WaitsForApprovalAndGoesOnWhenItComes) {
    World world;
    world.play(waits_for_approval(world));
}

Task<> tries_again_after_conflict(World& world) {
    world.server.conflict = true;
    world.start();
    co_await until([&] { return world.server.challenges >= 2; }, "a second attempt");
    world.server.conflict = false;
    co_await until([&] { return world.server.heartbeats > 0; }, "the heartbeat after re-approval");
}

TEST(AgentTest, TriesAgainWhenAnotherKeyIsBoundToItsIdentity) {
    World world;
    world.play(tries_again_after_conflict(world));
}

Task<> applies_at_a_nudge(World& world) {
    world.start();
    co_await until([&] { return world.server.sockets() == 1; }, "the realtime connection");
    co_await world.until_idle_for(100ms, world.server.polls);
    world.server.settings.heartbeat_interval_ms = 60'000;
    world.server.say({ControlType::settings, {}, {}});
    co_await world.until_idle_for(200ms, world.server.heartbeats);
    world.want("01");
    world.server.say({ControlType::nudge, world.server.desired.revision, {}});
    co_await world.until_container("01");
    co_await until(
        [&] {
            return std::ranges::any_of(world.server.reports, [](const auto& report) {
                return report.status == protocol::State::running;
            });
        },
        "the report that it runs");
}

TEST(AgentTest, ANudgeBringsTheDesiredStateAtOnce) {
    World world;
    world.play(applies_at_a_nudge(world));
}

Task<> registers_again(World& world) {
    world.want("01");
    world.start();
    co_await world.until_container("01");
    const auto id = (co_await world.runtime->find_container("ws-01"))->id;
    co_await until([&] { return !world.server.reports.empty(); }, "reports");
    world.server.forget_tokens();
    world.server.reports.clear();
    co_await until([&] { return world.server.registrations == 2; }, "the second registration");
    co_await until([&] { return !world.server.reports.empty(); }, "the reports again");
    co_await until([&] { return world.server.sockets() == 1; }, "the realtime connection");
    EXPECT_EQ((co_await world.runtime->find_container("ws-01"))->id, id);
    const auto beats = world.server.heartbeats;
    co_await until([&] { return world.server.heartbeats > beats + 1; }, "heartbeats");
    EXPECT_EQ(world.server.registrations, 2);
}

TEST(AgentTest, RegistersAgainAfterA401AndReportsAllAnew) {
    World world;
    world.play(registers_again(world));
}

Task<> goes_on_without_its_server(World& world) {
    world.want("01");
    world.start();
    co_await world.until_container("01");
    co_await world.server.down();
    const auto id = (co_await world.runtime->find_container("ws-01"))->id;
    co_await world.runtime->remove_container(id);
    co_await world.until_container("01");
    world.server.up();
    const auto beats = world.server.heartbeats;
    co_await until([&] { return world.server.heartbeats > beats; }, "the heartbeat");
    co_await until([&] { return world.server.sockets() == 1; }, "the realtime connection");
    EXPECT_EQ(world.server.registrations, 1) << "its token is still good";
}

TEST(AgentTest, WorkspacesAreCaredForWhileTheServerIsAway) {
    World world;
    world.play(goes_on_without_its_server(world));
}

Task<> settings_take_effect(World& world) {
    world.server.settings.heartbeat_interval_ms = 60'000;
    world.start();
    co_await until([&] { return world.server.sockets() == 1; }, "the realtime connection");
    co_await world.until_idle_for(200ms, world.server.heartbeats);
    co_await world.until_idle_for(200ms, world.server.polls);
    world.server.settings.heartbeat_interval_ms = 100;
    world.server.settings.reconcile_interval_ms = 100;
    world.server.settings.metrics.host = false;
    world.server.say({ControlType::settings, {}, {}});
    const auto beats = world.server.heartbeats;
    const auto polls = world.server.polls;
    co_await until([&] { return world.server.heartbeats > beats + 4; }, "faster heartbeats");
    co_await until([&] { return world.server.polls > polls + 3; }, "faster polls");
    EXPECT_FALSE(world.server.heartbeat.metrics.host.has_value());
}

TEST(AgentTest, NewSettingsTakeEffectAtOnce) {
    World world;
    world.play(settings_take_effect(world));
}

Task<> disabled_host(World& world) {
    world.server.settings.reconcile_interval_ms = 100;
    world.start();
    co_await until([&] { return world.server.sockets() == 1; }, "the realtime connection");
    world.server.enabled = false;
    co_await until([&] { return world.server.sockets() == 0; }, "the realtime connection to close");
    const auto polls = world.server.polls;
    const auto beats = world.server.heartbeats;
    world.want("01");
    co_await until([&] { return world.server.heartbeats > beats + 4; }, "heartbeats");
    EXPECT_EQ(world.server.polls, polls);
    EXPECT_EQ(world.server.sockets(), 0U);
    EXPECT_FALSE((co_await world.runtime->find_container("ws-01")).has_value());
    world.server.enabled = true;
    co_await world.until_container("01");
    co_await until([&] { return world.server.sockets() == 1; }, "the realtime connection");
}

TEST(AgentTest, ADisabledHostHeartbeatsAndDoesNothingElse) {
    World world;
    world.play(disabled_host(world));
}

Task<> end(aio::TaskGroup& agent) {
    agent.cancel();
    co_await agent.join();
}

Task<> starts_without_its_server(World& world) {
    world.want("01");
    const auto cache = world.host.root() / "state/desired_state.json";
    {
        aio::TaskGroup first(world.executor());
        first.spawn(run_agent(world.options()));
        co_await world.until_container("01");
        co_await until([&] { return std::filesystem::exists(cache); }, "the desired state on disk");
        co_await end(first);
    }
    struct stat status{};
    EXPECT_EQ(::stat(cache.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
    co_await world.server.down();
    world.start();  // on an engine that has lost everything
    co_await world.until_container("01");
    world.server.up();
    co_await until([&] { return world.server.registrations == 2; }, "the registration");
    co_await until([&] { return world.server.polls_unchanged > 0; }, "the poll");
    EXPECT_EQ(world.server.polled_revisions.back(), 1) << "it asks with the revision that it has";
}

TEST(AgentTest, StartsWithoutItsServerFromWhatItLastKnew) {
    World world;
    world.play(starts_without_its_server(world));
}

Task<> another_server(World& world) {
    world.want("01");
    {
        aio::TaskGroup first(world.executor());
        first.spawn(run_agent(world.options()));
        co_await world.until_container("01");
        co_await until(
            [&] { return std::filesystem::exists(world.host.root() / "state/desired_state.json"); },
            "the desired state on disk");
        co_await end(first);
    }
    world.server.host_id = "host-of-another-server";
    world.server.polled_revisions.clear();
    world.start();
    co_await until([&] { return !world.server.polled_revisions.empty(); }, "the poll");
    EXPECT_EQ(world.server.polled_revisions.front(), -1);
}

TEST(AgentTest, TheRevisionOfAnotherServerMeansNothing) {
    World world;
    world.play(another_server(world));
}

Task<> disabled_start(World& world) {
    world.want("01");
    const auto file = world.host.root() / "state/host.json";
    {
        aio::TaskGroup first(world.executor());
        first.spawn(run_agent(world.options()));
        co_await world.until_container("01");
        world.server.enabled = false;
        co_await until(
            [&] {
                return std::filesystem::exists(file) &&
                       read_file(file).find("\"enabled\":false") != std::string::npos;
            },
            "the disabled host on disk");
        co_await end(first);
    }
    co_await world.server.down();
    world.start();
    co_await aio::sleep(300ms);
    EXPECT_FALSE((co_await world.runtime->find_container("ws-01")).has_value());
    world.server.up();
}

TEST(AgentTest, ADisabledHostStaysDisabledAcrossAStartWithoutItsServer) {
    World world;
    world.play(disabled_start(world));
}

Task<> in_a_container(World& world) {
    world.host.make_docker_container(std::string(64, 'c'));
    world.start();
    co_await until([&] { return world.server.registrations == 1; }, "the registration");
    const auto engine = co_await world.runtime->info();
    EXPECT_EQ(world.server.registered.registration_token, registration_token(engine.id));
}

TEST(AgentTest, InAContainerTheEnginesIdTellsTheHost) {
    World world;
    world.play(in_a_container(world));
}

Task<> second_agent(World& world) {
    world.start();
    co_await until([&] { return world.server.registrations == 1; }, "the first agent");
    try {
        co_await run_agent(world.options());
        ADD_FAILURE() << "a second agent runs";
    } catch (const Error& e) {
        EXPECT_EQ(e.kind(), ErrorKind::conflict);
        EXPECT_THAT(e.what(), HasSubstr("in use by another agent"));
    }
}

TEST(AgentTest, ASecondAgentWithOneStateDirectoryIsRefused) {
    World world;
    world.play(second_agent(world));
}

}  // namespace
