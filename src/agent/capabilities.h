// What the host tells the server about itself when it registers.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "config/config.h"
#include "protocol/agent.h"
#include "runtime/runtime.h"

namespace trailer::agent {

struct HostFacts {
    std::string os;            // "Debian GNU/Linux 12 (bookworm)"
    std::string architecture;  // "x86_64"
    protocol::Capabilities capabilities;

    bool operator==(const HostFacts&) const = default;
};

protocol::HostBounds bounds_of(const config::Config& config);

// `engine`: what the runtime told, or nothing while it does not answer: then the kernel's own
// figures stand in for CPUs and memory.
HostFacts host_facts(const config::Config& config, const std::optional<runtime::Info>& engine,
                     std::vector<protocol::Gpu> gpus, const std::filesystem::path& root = "/");

}  // namespace trailer::agent
