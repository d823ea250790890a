// The host's figures, read from /proc. In a container they are what its /proc shows: the kernel
// does not hide the host's CPU, memory and disk figures there; network and processes are the
// container's own.
//
// Reading takes tens of microseconds and does not block on anything but the kernel: called on the
// event loop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/agent.h"

namespace trailer::metrics {

// Clock ticks since boot, of all CPUs together.
struct CpuTimes {
    std::uint64_t busy = 0;
    std::uint64_t total = 0;
    int cpus = 0;  // online

    bool operator==(const CpuTimes&) const = default;
};

struct Memory {
    std::int64_t total = 0;
    std::int64_t available = 0;

    bool operator==(const Memory&) const = default;
};

// Bytes since boot.
struct Traffic {
    std::int64_t in = 0;   // read, received
    std::int64_t out = 0;  // written, sent

    bool operator==(const Traffic&) const = default;
};

struct InterfaceTraffic {
    std::string name;
    Traffic bytes;

    bool operator==(const InterfaceTraffic&) const = default;
};

// The text of /proc/stat, /proc/meminfo, /proc/diskstats, /proc/net/dev. Lines and members that are
// not understood are passed over: kernels add some.
CpuTimes parse_stat(std::string_view text);
Memory parse_meminfo(std::string_view text);
// Whole disks only: a partition's or a stacked device's (dm, md, loop, …) bytes are its disk's too.
Traffic parse_diskstats(std::string_view text);
std::vector<InterfaceTraffic> parse_net_dev(std::string_view text);

// The share of the time between two samples in which CPUs were busy, 0 to 100. Nothing when no
// time has passed, or when the counters went back.
std::optional<double> cpu_percent(const CpuTimes& before, const CpuTimes& after);

// How full the file system is that holds `path`; nothing where there is no such path.
std::optional<double> disk_used_percent(const std::filesystem::path& path);

// Samples the host; holds the CPU times of the sample before.
class HostSampler {
  public:
    explicit HostSampler(std::filesystem::path proc = "/proc", std::filesystem::path sys = "/sys");

    // Throws Error where /proc can't be read. The first call's cpu_percent covers the time since
    // the sampler was made, or since boot when that was just now.
    protocol::HostMetrics sample();

  private:
    Traffic network() const;

    std::filesystem::path proc_;
    std::filesystem::path sys_;
    CpuTimes before_;
    double cpu_percent_ = 0;
};

}  // namespace trailer::metrics
