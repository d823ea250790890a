// What the server knows of a host and keeps for its agent: its bounds, and what the agent told.
#include "server/trial.h"

namespace {

using namespace trailer;
using namespace trailer::server;
using testing::ElementsAre;
using testing::HasSubstr;

class HostTest : public WorldTest {};

Task<> beyond_bounds(World& world) {
    co_await world.log_in();
    world.allows.allowed_bind_roots = {"/srv"};
    world.allows.allowed_devices = {"/dev/kvm"};
    world.allows.allowed_parents = {"eth1"};
    co_await world.add_host();
    const auto refused = co_await world.apply(R"([
        {"kind": "Workspace", "name": "w1", "spec": {"image": "x", "privileged": true,
         "host_network": true, "cap_add": ["NET_ADMIN"],
         "devices": [{"host": "/dev/kvm"}, {"host": "/dev/sda"}],
         "mounts": [{"bind": "/srv/a", "target": "/a"}, {"bind": "/etc", "target": "/b"}]}},
        {"kind": "Volume", "name": "v1", "spec":
         {"driver_options": {"type": "none", "o": "bind", "device": "/etc"}}},
        {"kind": "Network", "name": "n1", "spec":
         {"driver": "macvlan", "subnet": "10.5.0.0/24", "parent": "eth0"}}])");
    EXPECT_EQ(refused.status, 422);
    EXPECT_THAT(refused.pointers(),
                ElementsAre("/0/spec/privileged", "/0/spec/host_network", "/0/spec/cap_add/0",
                            "/0/spec/devices/1/host", "/0/spec/mounts/1/bind",
                            "/1/spec/driver_options", "/2/spec/parent"));
    EXPECT_THAT(refused.text, HasSubstr("allowed_bind_roots has only /srv"));
    const auto good = co_await world.apply(R"([
        {"kind": "Workspace", "name": "w1", "spec": {"image": "x", "devices": [{"host": "/dev/kvm"}],
         "mounts": [{"bind": "/srv/a", "target": "/a"}]}},
        {"kind": "Volume", "name": "v1", "spec":
         {"driver_options": {"type": "none", "o": "bind", "device": "/srv/b"}}}])");
    EXPECT_EQ(good.status, 200) << good.text;
}

TEST_F(HostTest, WhatAHostDoesNotAllowIsRefusedWithItsMemberBeforeItGetsThere) {
    play(beyond_bounds);
}

Task<> more_gpus_than_there_are(World& world) {
    constexpr const char* kTwo = R"([{"kind": "Workspace", "name": "w1", "spec":
        {"image": "x", "resources": {"gpus": 2}}}])";
    co_await world.log_in();
    world.gpus = {{.uuid = "GPU-1"}};
    co_await world.add_host();
    const auto many = co_await world.apply(kTwo);
    EXPECT_THAT(many.pointers(), ElementsAre("/0/spec/resources/gpus"));
    EXPECT_THAT(many.text, HasSubstr("host host-1 has 1 GPU, 2 are asked for"));
    const auto other = co_await world.apply(R"([{"kind": "Workspace", "name": "w1", "spec":
        {"image": "x", "resources": {"gpus": ["GPU-1", "GPU-7"]}}}])");
    EXPECT_THAT(other.pointers(), ElementsAre("/0/spec/resources/gpus/1"));
    const auto good = co_await world.apply(R"([{"kind": "Workspace", "name": "w1", "spec":
        {"image": "x", "resources": {"gpus": "all"}}}])");
    EXPECT_EQ(good.status, 200) << good.text;
}

TEST_F(HostTest, GpusThatItDoesNotHaveAreRefused) {
    play(more_gpus_than_there_are);
}

Task<> gpus_that_nobody_sees(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    const auto good = co_await world.apply(R"([{"kind": "Workspace", "name": "w1", "spec":
        {"image": "x", "resources": {"gpus": 2}}}])");
    EXPECT_EQ(good.status, 200) << good.text;
}

TEST_F(HostTest, OfAHostThatTellsOfNoGpusNobodyKnowsHowManyThereAre) {
    play(gpus_that_nobody_sees);
}

Task<> gpus_that_are_measured(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    auto body = wire::parse(R"({"metrics": {"gpus": [{"at": "2026-11-26T09:30:00Z",
        "uuid": "GPU-1", "name": "A", "utilization_percent": 37, "temperature_c": 41}]}})");
    co_await world.call("POST", "/api/agent/heartbeat", std::move(body), world.as_agent());
    auto host = co_await world.call("GET", "/api/hosts/host-1");
    const auto seen = wire::from_json_text<protocol::HostView>(host.text).metrics.gpus;
    EXPECT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen.at(0).uuid, "GPU-1");
    EXPECT_EQ(seen.at(0).utilization_percent, 37);
    EXPECT_FALSE(seen.at(0).power_w.has_value());
    co_await world.call("POST", "/api/agent/heartbeat", json::object(), world.as_agent());
    host = co_await world.call("GET", "/api/hosts/host-1");
    EXPECT_THAT(wire::from_json_text<protocol::HostView>(host.text).metrics.gpus,
                testing::IsEmpty());
}

TEST_F(HostTest, WhatTheLastHeartbeatToldOfItsGpusIsShown) {
    play(gpus_that_are_measured);
}

Task<> tell(World& world, std::string kind, std::string path, json::object observed) {
    const auto known = co_await world.call("GET", std::move(path));
    json::array reports;
    reports.push_back(json::object{{"kind", std::move(kind)},
                                   {"id", known.text_at("id")},
                                   {"revision", 1},
                                   {"status", "running"},
                                   {"observed", std::move(observed)}});
    json::object body{{"reports", std::move(reports)}};
    co_await world.call("POST", "/api/agent/status", std::move(body), world.as_agent());
}

Task<> keeps_what_was_told(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    co_await world.apply(R"([{"kind": "Workspace", "name": "dev", "spec": {"image": "x"}},
                             {"kind": "Image", "name": "base", "spec":
                              {"reference": "debian:12", "pull": true}}])");
    json::array plan{json::object{{"action", "create_container"}, {"reason", "is not there"}}};
    co_await tell(world, "Workspace", "/api/workspaces/dev", {{"last_plan", plan}});
    co_await tell(world, "Image", "/api/images/base", {{"forced_pull", "abc"}, {"size", 5}});
    // An agent that has just started knows neither.
    co_await tell(world, "Workspace", "/api/workspaces/dev", {{"container_id", "1"}});
    co_await tell(world, "Image", "/api/images/base", {{"size", 6}});
    co_await world.restart();
    const auto dev = (co_await world.call("GET", "/api/workspaces/dev")).at("observed").as_object();
    EXPECT_EQ(dev.at("last_plan"), plan);
    EXPECT_EQ(dev.at("container_id"), "1");
    const auto state = wire::from_json<protocol::DesiredState>((co_await world.desired(-1)).value);
    EXPECT_EQ(state.images.at(0).forced_pull, "abc");
    // The next plan takes the place of the last one.
    json::array newer{json::object{{"action", "update_container"}, {"reason", "resources/pids"}}};
    co_await tell(world, "Workspace", "/api/workspaces/dev", {{"last_plan", newer}});
    const auto after = co_await world.call("GET", "/api/workspaces/dev");
    EXPECT_EQ(after.at("observed").as_object().at("last_plan"), newer);
}

TEST_F(HostTest, TheLastPlanAndWhatWasPulledByForceOutliveTheAgentThatToldThem) {
    play(keeps_what_was_told);
}

Task<bool> pulled_after(World& world, std::string spec) {
    co_await world.apply(fmt::format(R"([{{"kind": "Image", "name": "base", "spec": {}}}])", spec));
    const auto answer = co_await world.desired(-1);
    co_return wire::from_json<protocol::DesiredState>(answer.value).images.at(0).pulled;
}

Task<> forgets_what_was_pulled(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    EXPECT_FALSE(co_await pulled_after(world, R"({"reference": "debian:12"})"));
    co_await tell(world, "Image", "/api/images/base", {{"pulled", true}});
    EXPECT_TRUE(co_await pulled_after(world, R"({"reference": "debian:12", "pull": true})"));
    EXPECT_FALSE(co_await pulled_after(world, R"({"reference": "debian:13"})"));
}

TEST_F(HostTest, ThatAnImageWasPulledIsForgottenWithItsReference) {
    play(forgets_what_was_pulled);
}

}  // namespace
