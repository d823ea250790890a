#include "metrics/host_metrics.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "base/error.h"
#include "base/file.h"
#include "base/time.h"

namespace trailer::metrics {
namespace {

// Fewer ticks than this (0.2 s on one CPU at 100 Hz) give a percentage of mere noise.
constexpr std::uint64_t kLeastTicks = 20;

constexpr std::int64_t kSector = 512;  // whatever the device's own block size: Documentation/block

class Words {
  public:
    explicit Words(std::string_view line) : rest_(line) {}

    // "" at the end.
    std::string_view next() {
        const auto begin = rest_.find_first_not_of(" \t");
        if (begin == rest_.npos) return rest_ = {};
        rest_.remove_prefix(begin);
        const auto word = rest_.substr(0, rest_.find_first_of(" \t"));
        rest_.remove_prefix(word.size());
        return word;
    }

    void skip(int count) {
        while (count-- > 0) next();
    }

    std::uint64_t number() {
        const auto word = next();
        std::uint64_t value = 0;
        std::from_chars(word.data(), word.data() + word.size(), value);
        return value;
    }

  private:
    std::string_view rest_;
};

template <typename Visit>
void for_each_line(std::string_view text, Visit visit) {
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        visit(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

bool all_digits(std::string_view text) {
    return !text.empty() &&
           std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
}

// Devices that lie upon others, whose bytes are counted there, or upon memory.
bool is_stacked(std::string_view name) {
    constexpr std::array<std::string_view, 7> kPrefixes{"dm-",  "md",     "loop", "ram",
                                                        "zram", "bcache", "drbd"};
    return std::ranges::any_of(kPrefixes, [&](auto prefix) { return name.starts_with(prefix); });
}

// The kernel names a partition by its disk and a number, with a 'p' between where the disk's name
// itself ends in a digit: sda1, nvme0n1p1.
bool is_partition_of(std::string_view name, std::string_view disk) {
    if (disk.empty() || !name.starts_with(disk)) return false;
    auto rest = name.substr(disk.size());
    if (std::isdigit(static_cast<unsigned char>(disk.back())) != 0) {
        if (!rest.starts_with('p')) return false;
        rest.remove_prefix(1);
    }
    return all_digits(rest);
}

}  // namespace

CpuTimes parse_stat(std::string_view text) {
    CpuTimes times;
    for_each_line(text, [&](std::string_view line) {
        Words words(line);
        const auto name = words.next();
        if (name == "cpu") {
            // user nice system idle iowait irq softirq steal; guest times are part of user and
            // nice.
            std::array<std::uint64_t, 8> ticks{};
            for (auto& each : ticks) each = words.number();
            for (const auto each : ticks) times.total += each;
            times.busy = times.total - ticks[3] - ticks[4];
        } else if (name.starts_with("cpu") && all_digits(name.substr(3))) {
            ++times.cpus;
        }
    });
    return times;
}

Memory parse_meminfo(std::string_view text) {
    Memory memory;
    std::int64_t reclaimable = 0;  // for kernels without MemAvailable
    bool has_available = false;
    for_each_line(text, [&](std::string_view line) {
        Words words(line);
        const auto name = words.next();
        const auto bytes = [&] { return static_cast<std::int64_t>(words.number()) * 1024; };
        if (name == "MemTotal:") {
            memory.total = bytes();
        } else if (name == "MemAvailable:") {
            memory.available = bytes();
            has_available = true;
        } else if (name == "MemFree:" || name == "Buffers:" || name == "Cached:") {
            reclaimable += bytes();
        }
    });
    if (!has_available) memory.available = std::min(reclaimable, memory.total);
    return memory;
}

Traffic parse_diskstats(std::string_view text) {
    Traffic traffic;
    std::vector<std::string_view> disks;
    for_each_line(text, [&](std::string_view line) {
        Words words(line);
        words.skip(2);  // major, minor
        const auto name = words.next();
        if (name.empty() || is_stacked(name)) return;
        if (std::ranges::any_of(disks, [&](auto disk) { return is_partition_of(name, disk); })) {
            return;
        }
        disks.push_back(name);
        words.skip(2);  // reads completed, merged
        traffic.in += static_cast<std::int64_t>(words.number()) * kSector;
        words.skip(3);  // ms reading, writes completed, merged
        traffic.out += static_cast<std::int64_t>(words.number()) * kSector;
    });
    return traffic;
}

std::vector<InterfaceTraffic> parse_net_dev(std::string_view text) {
    std::vector<InterfaceTraffic> interfaces;
    for_each_line(text, [&](std::string_view line) {
        // "  eth0: 123 …": the name may touch the first number.
        const auto colon = line.find(':');
        if (colon == line.npos) return;
        const auto name = Words(line.substr(0, colon)).next();
        Words words(line.substr(colon + 1));
        InterfaceTraffic interface{std::string(name), {}};
        interface.bytes.in = static_cast<std::int64_t>(words.number());
        words.skip(7);  // packets, errors, drops, fifo, frame, compressed, multicast
        interface.bytes.out = static_cast<std::int64_t>(words.number());
        interfaces.push_back(std::move(interface));
    });
    return interfaces;
}

std::optional<double> cpu_percent(const CpuTimes& before, const CpuTimes& after) {
    if (after.total <= before.total || after.busy < before.busy) return std::nullopt;
    const auto busy = static_cast<double>(after.busy - before.busy);
    return std::clamp(100.0 * busy / static_cast<double>(after.total - before.total), 0.0, 100.0);
}

HostSampler::HostSampler(std::filesystem::path proc, std::filesystem::path sys)
    : proc_(std::move(proc)), sys_(std::move(sys)) {
    std::error_code missing;
    if (std::filesystem::exists(proc_ / "stat", missing)) {
        before_ = parse_stat(read_file(proc_ / "stat"));
        cpu_percent_ = cpu_percent({}, before_).value_or(0);
    }
}

protocol::HostMetrics HostSampler::sample() {
    protocol::HostMetrics metrics;
    metrics.at = now();

    const auto times = parse_stat(read_file(proc_ / "stat"));
    if (times.total < before_.total || times.total - before_.total >= kLeastTicks) {
        cpu_percent_ = cpu_percent(before_, times).value_or(cpu_percent_);
        before_ = times;
    }
    metrics.cpus = times.cpus;
    metrics.cpu_percent = cpu_percent_;

    const auto memory = parse_meminfo(read_file(proc_ / "meminfo"));
    metrics.memory_total = memory.total;
    metrics.memory_free = memory.available;
    metrics.memory_used = memory.total - memory.available;

    std::error_code missing;
    if (std::filesystem::exists(proc_ / "diskstats", missing)) {
        const auto disks = parse_diskstats(read_file(proc_ / "diskstats"));
        metrics.disk_read_bytes = disks.in;
        metrics.disk_written_bytes = disks.out;
    }
    const auto sent = network();
    metrics.network_received_bytes = sent.in;
    metrics.network_sent_bytes = sent.out;

    for (const auto& entry : std::filesystem::directory_iterator(proc_)) {
        if (all_digits(entry.path().filename().native())) ++metrics.processes;
    }
    return metrics;
}

// The physical interfaces: what passes a bridge or a container's veth passes them too, and is not
// counted twice. Where there are none (a container, a network namespace), all but lo.
Traffic HostSampler::network() const {
    std::error_code missing;
    if (!std::filesystem::exists(proc_ / "net/dev", missing)) return {};
    Traffic physical;
    Traffic others;
    bool any_physical = false;
    for (const auto& [name, bytes] : parse_net_dev(read_file(proc_ / "net/dev"))) {
        if (name == "lo") continue;
        const bool is_physical =
            std::filesystem::exists(sys_ / "class/net" / name / "device", missing);
        any_physical = any_physical || is_physical;
        auto& sum = is_physical ? physical : others;
        sum.in += bytes.in;
        sum.out += bytes.out;
    }
    return any_physical ? physical : others;
}

std::optional<double> disk_used_percent(const std::filesystem::path& path) {
    std::error_code error;
    const auto space = std::filesystem::space(path, error);
    if (error || space.capacity == 0) return std::nullopt;
    // As df has it: what is reserved for root counts neither as used nor as free.
    const auto used = static_cast<double>(space.capacity - space.free);
    return used * 100 / (used + static_cast<double>(space.available));
}

}  // namespace trailer::metrics
