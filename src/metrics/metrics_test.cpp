#include <gmock/gmock.h>

#include <fstream>

#include "base/crypto.h"
#include "base/file.h"
#include "metrics/host_metrics.h"
#include "metrics/host_routes.h"
#include "metrics/network_interfaces.h"

namespace {

using namespace trailer;
using namespace trailer::metrics;
using testing::ElementsAre;
using testing::Field;
namespace fs = std::filesystem;

// Captured on a host with two CPUs, Linux 6.1.
constexpr std::string_view kStat =
    "cpu  29968 10 7731 1851367 616 5 97 31 40 0\n"
    "cpu0 9305 0 3579 931735 53 0 27 9 0 0\n"
    "cpu1 20663 0 4151 919632 562 0 69 21 0 0\n"
    "intr 783688 0 0 0\nctxt 1\nbtime 1700000000\nprocesses 11384\n";

constexpr std::string_view kMeminfo =
    "MemTotal:       24668920 kB\nMemFree:        20000000 kB\nMemAvailable:   23000000 kB\n"
    "Buffers:          100000 kB\nCached:          2000000 kB\nSwapCached:            0 kB\n";

constexpr std::string_view kDiskstats =
    "   7       0 loop0 5 0 80 0 5 0 80 0 0 0 0 0 0 0 0 0 0\n"
    "   8       0 sda 100 0 2000 10 50 0 1000 10 0 0 0 0 0 0 0 0 0\n"
    "   8       1 sda1 90 0 1800 10 50 0 1000 10 0 0 0 0 0 0 0 0 0\n"
    "   8       2 sda2 10 0 200 10 0 0 0 10 0 0 0 0 0 0 0 0 0\n"
    " 259       0 nvme0n1 10 0 20 1 10 0 40 1 0 0 0 0 0 0 0 0 0\n"
    " 259       1 nvme0n1p1 10 0 20 1 10 0 40 1 0 0 0 0 0 0 0 0 0\n"
    " 259       2 nvme0n10 10 0 1 1 10 0 2 1 0 0 0 0 0 0 0 0 0\n"
    " 253       0 dm-0 10 0 1800 1 10 0 1000 1 0 0 0 0 0 0 0 0 0\n"
    "   9       0 md127 10 0 1800 1 10 0 1000 1 0 0 0 0 0 0 0 0 0\n"
    " 252       0 zram0 10 0 1800 1 10 0 1000 1 0 0 0 0 0 0 0 0 0\n"
    "   1       0 ram0 10 0 1800 1 10 0 1000 1 0 0 0 0 0 0 0 0 0\n";

constexpr std::string_view kNetDev =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs\n"
    "    lo: 1000 10 0 0 0 0 0 0 1000 10 0 0 0 0 0 0\n"
    "  eth0:5000 50 0 0 0 0 0 0 700 7 0 0 0 0 0 0\n"
    "docker0: 300 3 0 0 0 0 0 0 200 2 0 0 0 0 0 0\n";

// The loopback interface is the one that every machine has.
TEST(HostRoutes, TellsAddressesAndRoutesOfAllTablesButNoDefaultRoute) {
    const auto routes = host_routes();
    EXPECT_THAT(routes, testing::Contains(HostRoute{"127.0.0.0/8", "lo", true}));
    EXPECT_THAT(routes, testing::Contains(HostRoute{"127.0.0.1/32", "lo", true}));
    for (const auto& each : routes) {
        EXPECT_FALSE(each.destination.ends_with("/0")) << each.destination;
        EXPECT_FALSE(each.destination.starts_with("fe80:")) << each.destination;
        EXPECT_FALSE(each.destination.starts_with("ff")) << each.destination;
    }
}

TEST(ProcStat, CountsGuestTimeOnceAndWaitingAsIdle) {
    const auto times = parse_stat(kStat);
    EXPECT_EQ(times.cpus, 2);
    EXPECT_EQ(times.total, 29968U + 10 + 7731 + 1851367 + 616 + 5 + 97 + 31);
    EXPECT_EQ(times.busy, 29968U + 10 + 7731 + 5 + 97 + 31);
}

TEST(ProcStat, CpuPercentIsTheBusyShareBetweenTwoSamples) {
    EXPECT_DOUBLE_EQ(cpu_percent({100, 1000, 2}, {150, 1200, 2}).value(), 25.0);
    EXPECT_FALSE(cpu_percent({100, 1000, 2}, {100, 1000, 2}));
    // A CPU that went offline takes its ticks along.
    EXPECT_FALSE(cpu_percent({100, 1000, 2}, {60, 900, 1}));
}

TEST(ProcMeminfo, AvailableIsWhatTheKernelSays) {
    EXPECT_EQ(parse_meminfo(kMeminfo), (Memory{24668920LL * 1024, 23000000LL * 1024}));
}

TEST(ProcMeminfo, AvailableIsEstimatedForOldKernels) {
    EXPECT_EQ(parse_meminfo("MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 2 kB\nCached: 30 kB\n"),
              (Memory{100 * 1024, 42 * 1024}));
}

TEST(ProcDiskstats, CountsWholeDisksOnly) {
    EXPECT_EQ(parse_diskstats(kDiskstats), (Traffic{(2000 + 20 + 1) * 512, (1000 + 40 + 2) * 512}));
}

TEST(ProcNetDev, ReadsEveryInterface) {
    EXPECT_THAT(parse_net_dev(kNetDev), ElementsAre(InterfaceTraffic{"lo", {1000, 1000}},
                                                    InterfaceTraffic{"eth0", {5000, 700}},
                                                    InterfaceTraffic{"docker0", {300, 200}}));
}

TEST(ProcParsers, TakeAnythingWithoutHarm) {
    for (const auto* text : {"", "\n\n", "cpu", "cpu x y z\n", ":\n", "a b c\n", "8 0\n",
                             "MemTotal:\n", "cpu 99999999999999999999999999\n"}) {
        parse_stat(text);
        parse_meminfo(text);
        parse_diskstats(text);
        parse_net_dev(text);
    }
}

// A tree of files that stands for /proc and /sys.
class TreeTest : public testing::Test {
  protected:
    void SetUp() override {
        root_ = fs::path(testing::TempDir()) / ("metrics-" + to_hex(random_bytes(6)));
        put("proc/stat", kStat);
        put("proc/meminfo", kMeminfo);
        put("proc/diskstats", kDiskstats);
        put("proc/net/dev", kNetDev);
        fs::create_directories(root_ / "proc/1");
        fs::create_directories(root_ / "proc/4711");
        fs::create_directories(root_ / "proc/fs");
    }
    void TearDown() override { fs::remove_all(root_); }

    void put(const fs::path& file, std::string_view text) const {
        fs::create_directories((root_ / file).parent_path());
        std::ofstream(root_ / file) << text;
    }
    void interface(const std::string& name, int type, const std::vector<std::string>& inside,
                   const std::string& uevent = "") const {
        const fs::path at = "sys/class/net/" + name;
        put(at / "type", std::to_string(type) + "\n");
        put(at / "address", "02:00:00:00:00:01\n");
        put(at / "flags", name == "eth1" ? "0x1002\n" : "0x1003\n");
        put(at / "uevent", uevent);
        for (const auto& each : inside) fs::create_directories(root_ / at / each);
    }

    fs::path root_;
};

TEST_F(TreeTest, SamplesTheHost) {
    put("sys/class/net/eth0/device/vendor", "0x1af4\n");
    HostSampler sampler(root_ / "proc", root_ / "sys");
    put("proc/stat", "cpu  30068 10 7731 1851667 616 5 97 31 40 0\ncpu0 1\ncpu1 1\n");
    const auto metrics = sampler.sample();
    EXPECT_EQ(metrics.cpus, 2);
    EXPECT_DOUBLE_EQ(metrics.cpu_percent, 25.0);
    EXPECT_EQ(metrics.memory_used, (24668920LL - 23000000) * 1024);
    EXPECT_EQ(metrics.memory_free + metrics.memory_used, metrics.memory_total);
    EXPECT_EQ(metrics.disk_read_bytes, 2021 * 512);
    EXPECT_EQ(metrics.network_received_bytes, 5000) << "the bridge's traffic counted twice";
    EXPECT_EQ(metrics.network_sent_bytes, 700);
    EXPECT_EQ(metrics.processes, 2);
    EXPECT_NE(metrics.at, Timestamp{});
}

TEST_F(TreeTest, WithoutAPhysicalInterfaceAllButLoCount) {
    HostSampler sampler(root_ / "proc", root_ / "sys");
    EXPECT_EQ(sampler.sample().network_received_bytes, 5300);
}

TEST_F(TreeTest, KeepsTheLastCpuPercentWhenNoTimeHasPassed) {
    HostSampler sampler(root_ / "proc", root_ / "sys");
    const auto since_boot = sampler.sample().cpu_percent;
    EXPECT_GT(since_boot, 0);
    EXPECT_LT(since_boot, 5);
}

TEST_F(TreeTest, ListsInterfacesThatCanCarryMacvlan) {
    interface("lo", 772, {});
    interface("eth0", 1, {"device"});
    interface("eth1", 1, {});
    interface("bond0", 1, {"bonding"});
    interface("eno1", 1, {"device", "master"});
    interface("eno1.7", 1, {}, "DEVTYPE=vlan\nINTERFACE=eno1.7\n");
    interface("wlp2s0", 1, {"device", "wireless"});
    interface("docker0", 1, {"bridge"});
    interface("br-0123456789ab", 1, {"bridge"});
    interface("br0", 1, {"bridge"});
    interface("veth12ab", 1, {});
    interface("tun0", 65534, {});
    interface("ifb0", 1, {});
    const auto found =
        network_interfaces({{"eth0", {"10.0.0.2/24", "2001:db8::1/64"}}}, root_ / "sys");
    using protocol::NetworkInterface;
    EXPECT_THAT(found, ElementsAre(Field(&NetworkInterface::name, "bond0"),
                                   Field(&NetworkInterface::name, "br0"),
                                   Field(&NetworkInterface::name, "eno1.7"),
                                   Field(&NetworkInterface::name, "eth0"),
                                   Field(&NetworkInterface::name, "eth1")));
    EXPECT_EQ(found[3], (NetworkInterface{
                            "eth0", "02:00:00:00:00:01", true, {"10.0.0.2/24", "2001:db8::1/64"}}));
    EXPECT_FALSE(found[4].up);
}

TEST(ThisHost, CanBeSampled) {
    HostSampler sampler;
    const auto metrics = sampler.sample();
    EXPECT_GE(metrics.cpus, 1);
    EXPECT_GT(metrics.memory_total, 0);
    EXPECT_GT(metrics.processes, 0);
    EXPECT_GE(metrics.cpu_percent, 0);
    EXPECT_LE(metrics.cpu_percent, 100);
    network_interfaces(interface_addresses());
}

}  // namespace
