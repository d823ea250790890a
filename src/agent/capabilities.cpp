#include "agent/capabilities.h"

#include <sys/utsname.h>

#include "base/error.h"
#include "base/file.h"
#include "metrics/host_metrics.h"
#include "metrics/network_interfaces.h"

namespace trailer::agent {
namespace {

std::string text_of(const std::filesystem::path& file) {
    try {
        return read_file(file);
    } catch (const Error&) {
        return {};  // a host without it: that fact stays unknown
    }
}

// os-release(5): PRETTY_NAME="…".
std::string os_name(const std::filesystem::path& root) {
    constexpr std::string_view kKey = "PRETTY_NAME=";
    const auto text = "\n" + text_of(root / "etc/os-release");
    const auto found = text.find("\n" + std::string(kKey));
    if (found == text.npos) return "Linux";
    auto value = text.substr(found + 1 + kKey.size());
    value.resize(std::min(value.find('\n'), value.size()));
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'')) {
        value = value.substr(1, value.size() - 2);
    }
    return value;
}

}  // namespace

protocol::HostBounds bounds_of(const config::Config& config) {
    const auto& bounds = config.bounds;
    return {.allow_privileged = bounds.allow_privileged,
            .allow_host_network = bounds.allow_host_network,
            .allowed_bind_roots = bounds.allowed_bind_roots,
            .allowed_devices = bounds.allowed_devices,
            .allowed_capabilities = bounds.allowed_capabilities,
            .allowed_parents = bounds.allowed_parents};
}

HostFacts host_facts(const config::Config& config, const std::optional<runtime::Info>& engine,
                     std::vector<protocol::Gpu> gpus, const std::filesystem::path& root) {
    HostFacts facts;
    utsname kernel{};
    ::uname(&kernel);
    facts.architecture = kernel.machine;
    facts.os = os_name(root);

    auto& capabilities = facts.capabilities;
    capabilities.runtime = config.runtime;
    capabilities.kernel = kernel.release;
    capabilities.cpus = metrics::parse_stat(text_of(root / "proc/stat")).cpus;
    capabilities.memory_total = metrics::parse_meminfo(text_of(root / "proc/meminfo")).total;
    if (engine) {
        capabilities.runtime_version = engine->version;
        capabilities.runtime_api_version = engine->api_version;
        capabilities.storage_driver = engine->storage_driver;
        capabilities.cgroup_version = engine->cgroup_version;
        capabilities.network_drivers = engine->network_drivers;
        if (!engine->kernel.empty()) capabilities.kernel = engine->kernel;
        if (engine->cpus > 0) capabilities.cpus = engine->cpus;
        if (engine->memory_total > 0) capabilities.memory_total = engine->memory_total;
        // In a container the agent sees its image's name, and the engine the host's; some engines
        // tell only the kernel's.
        if (!engine->os.empty() && engine->os != "linux") facts.os = engine->os;
        if (!engine->architecture.empty()) facts.architecture = engine->architecture;
    }
    capabilities.gpus = std::move(gpus);
    capabilities.network_interfaces =
        metrics::network_interfaces(metrics::interface_addresses(), root / "sys");

    static_cast<protocol::HostBounds&>(capabilities) = bounds_of(config);
    return facts;
}

}  // namespace trailer::agent
