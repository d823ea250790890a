// What a host does not allow reaches no engine, by whatever way it is asked for.
#include <filesystem>
#include <fstream>

#include "base/crypto.h"
#include "reconcile/planner_trial.h"
#include "reconcile/world.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;
using protocol::State;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

// A directory that workspaces may mount, and one beside it that they may not.
class HostDirectories {
  public:
    HostDirectories()
        : top_(fs::canonical(testing::TempDir()) / ("bounds-" + to_hex(random_bytes(6)))) {
        fs::create_directories(top_ / "shared" / "models");
        fs::create_directories(top_ / "secret");
    }
    ~HostDirectories() { fs::remove_all(top_); }

    std::string at(const std::string& path) const { return top_ / path; }
    void link(const std::string& from, const std::string& to) const {
        fs::remove_all(at(from));
        fs::create_symlink(at(to), at(from));
    }

  private:
    fs::path top_;
};

class BoundsTest : public PlannerTest {
  protected:
    BoundsTest() { bounds.allowed_bind_roots = {host.at("shared")}; }

    std::string bind(const std::string& path) {
        desired = nothing_wanted();
        add_workspace(desired, "dev").spec.mounts = {{.bind = host.at(path), .target = "/x"}};
        return compile(desired, bounds).workspaces[0].fault;
    }
    std::string volume(std::map<std::string, std::string> options) {
        desired = nothing_wanted();
        add_volume(desired, "data").spec.driver_options = std::move(options);
        add_workspace(desired, "dev").spec.mounts = {{.volume = "data", .target = "/x"}};
        const auto wanted = compile(desired, bounds);
        EXPECT_EQ(wanted.volumes[0].fault.empty(), wanted.workspaces[0].fault.empty());
        EXPECT_EQ(wanted.volumes[0].fault.empty(), !planned().steps.empty());
        return wanted.volumes[0].fault;
    }

    HostDirectories host;
};

TEST_F(BoundsTest, NoPathLeadsOutOfTheRoots) {
    EXPECT_EQ(bind("shared"), "");
    EXPECT_EQ(bind("shared/models"), "");
    EXPECT_EQ(bind("shared/not-there-yet"), "");
    EXPECT_THAT(bind("shared/../secret"), HasSubstr("allowed_bind_roots"));
    EXPECT_THAT(bind("shared-not"), HasSubstr("allowed_bind_roots"));
    host.link("shared/models", "secret");
    EXPECT_THAT(bind("shared/models"), HasSubstr("it leads to " + host.at("secret")));
    EXPECT_THAT(bind("shared/models/deeper"), HasSubstr("it leads to"));
    host.link("shared/models", "shared");
    EXPECT_EQ(bind("shared/models"), "") << "a link may stay inside";
}

TEST_F(BoundsTest, ARootMayBeALinkItself) {
    host.link("also", "secret");
    bounds.allowed_bind_roots = {host.at("also")};
    EXPECT_EQ(bind("also/x"), "");
    EXPECT_NE(bind("secret/x"), "");
}

// An agent in a container sees its own files where its host has links.
TEST_F(BoundsTest, WhatTheAgentDoesNotSeeIsRefusedAndSaysHowItCould) {
    bounds.unseen_bind_roots = bounds.allowed_bind_roots;
    EXPECT_THAT(bind("shared/models"), HasSubstr("at the same path"));
}

TEST_F(BoundsTest, AVolumeIsNoWayAroundThem) {
    EXPECT_EQ(volume({}), "");
    EXPECT_EQ(volume({{"type", "tmpfs"}, {"device", "tmpfs"}, {"o", "size=64m"}}), "");
    EXPECT_EQ(volume({{"type", "nfs"}, {"o", "addr=10.0.0.9,rw"}, {"device", ":/export"}}), "");
    EXPECT_EQ(volume({{"type", "none"}, {"o", "bind"}, {"device", host.at("shared/models")}}), "");
    EXPECT_THAT(volume({{"type", "none"}, {"o", "bind"}, {"device", host.at("secret")}}),
                HasSubstr("allowed_bind_roots"));
    EXPECT_THAT(volume({{"type", "nfs"}, {"o", "ro,RBIND"}, {"device", "/"}}),
                HasSubstr("allowed_bind_roots"))
        << "the kernel looks at no type with bind";
    host.link("shared/models", "secret");
    EXPECT_THAT(volume({{"type", "none"}, {"o", "bind"}, {"device", host.at("shared/models")}}),
                HasSubstr("it leads to"));
    const auto overlay = "lowerdir=/,upperdir=" + host.at("a") + ",workdir=" + host.at("b");
    EXPECT_THAT(volume({{"type", "overlay"}, {"device", "overlay"}, {"o", overlay}}),
                HasSubstr("overlay"));
    EXPECT_THAT(volume({{"type", "proc"}, {"device", "proc"}}), HasSubstr("proc"));
}

TEST_F(BoundsTest, AVolumeOnADeviceNeedsTheDevice) {
    EXPECT_THAT(volume({{"type", "ext4"}, {"device", "/dev/sdz1"}}), HasSubstr("allowed_devices"));
    bounds.allowed_devices = {"/dev/sdz1"};
    EXPECT_EQ(volume({{"type", "ext4"}, {"device", "/dev/sdz1"}}), "");
    EXPECT_THAT(volume({{"type", "xfs"}, {"device", "/dev/sdz1"}, {"o", "logdev=/dev/sda"}}),
                HasSubstr("logdev"));
}

TEST_F(BoundsTest, OnlyAllowedInterfacesCarryNetworks) {
    auto& network = add_network(desired, "lan");
    network.spec = {.driver = protocol::NetworkDriver::macvlan,
                    .subnet = "10.9.0.0/24",
                    .parent = "eth0",
                    .vlan = 7};
    add_workspace(desired, "dev").spec.networks = {{.network = "lan"}};
    EXPECT_EQ(compile(desired, bounds).networks[0].fault, "") << "by default every interface may";
    for (const auto& allowed : {std::vector<std::string>{}, {"eth1"}}) {
        bounds.allowed_parents = allowed;
        EXPECT_THAT(compile(desired, bounds).networks[0].fault, HasSubstr("allowed_parents"));
        EXPECT_THAT(planned().steps, IsEmpty());
    }
    bounds.allowed_parents = {"eth0"};
    EXPECT_EQ(compile(desired, bounds).networks[0].fault, "");
    desired.networks[0].spec.driver = protocol::NetworkDriver::bridge;
    bounds.allowed_parents = {};
    EXPECT_EQ(compile(desired, bounds).networks[0].fault, "");
}

// `shared/models`, on which "dev" runs, leads out of what is allowed from now on.
Task<> lead_elsewhere(World& world, const HostDirectories& host) {
    world.apply();
    co_await world.until_status("dev", State::running);
    host.link("shared/models", "secret");
    world.engine.kill_container("dev", 137);
    co_await world.until_status("dev", State::error);
    EXPECT_THAT(world.messages("dev"), HasSubstr("it leads to " + host.at("secret")));
    EXPECT_EQ(world.engine.container("dev")->state, ContainerState::exited);
    world.engine.delete_container("dev");
    co_await aio::sleep(20ms);
    EXPECT_EQ(world.engine.container("dev"), nullptr);
}

// A workspace that may write in a root can put a link in the place of what another mounts there.
Task<> link_put_later(World& world, const HostDirectories& host) {
    add_workspace(world.desired, "dev").spec.mounts = {
        {.bind = host.at("shared/models"), .target = "/x"}};
    co_await lead_elsewhere(world, host);
}

TEST(BoundsInForceTest, WhereALinkLeadsIsLookedAtBeforeEachStart) {
    HostDirectories host;
    World world({.allowed_bind_roots = {host.at("shared")}});
    world.play(link_put_later(world, host));
}

Task<> link_put_under_a_volume(World& world, const HostDirectories& host) {
    add_volume(world.desired, "data").spec.driver_options = {
        {"type", "none"}, {"o", "bind"}, {"device", host.at("shared/models")}};
    add_workspace(world.desired, "dev").spec.mounts = {{.volume = "data", .target = "/x"}};
    co_await lead_elsewhere(world, host);
}

TEST(BoundsInForceTest, WhereAVolumeLeadsIsLookedAtBeforeEachStart) {
    HostDirectories host;
    World world({.allowed_bind_roots = {host.at("shared")}});
    world.play(link_put_under_a_volume(world, host));
}

Task<> stopped_beyond_bounds(World& world) {
    add_workspace(world.desired, "dev");
    world.apply();
    co_await world.until_status("dev", State::running);
    world.desired.workspaces[0].spec.privileged = true;
    world.desired.workspaces[0].running = false;
    world.change(world.desired.workspaces[0]);
    co_await world.until(
        [&] { return world.engine.container("dev")->state == ContainerState::exited; }, "a stop");
    co_await aio::sleep(60ms);
    EXPECT_EQ(world.status("dev"), State::error);
    EXPECT_THAT(world.messages("dev"), HasSubstr("allow_privileged"));
}

TEST(BoundsInForceTest, WhatIsBeyondThemIsStoppedAndToldOf) {
    World world;
    world.play(stopped_beyond_bounds(world));
}

}  // namespace
