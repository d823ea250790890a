// The agent: registers this host with its server, heartbeats, fetches what the host is to have, and
// has the reconciler bring it about. Lives until it is cancelled; workspaces outlive it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "aio/task.h"
#include "config/config.h"
#include "metrics/nvidia.h"
#include "runtime/runtime.h"

namespace trailer::agent {

using RuntimeFactory = std::function<std::unique_ptr<runtime::ContainerRuntime>(
    const asio::any_io_executor&, const config::Config&)>;

// The runtime that the configuration names. Throws InvalidInput for a malformed address.
std::unique_ptr<runtime::ContainerRuntime> make_runtime(const asio::any_io_executor& executor,
                                                        const config::Config& config);

struct AgentOptions {
    config::Config config;
    std::string version;
    std::filesystem::path log_file;  // this process', for who follows it; empty: none
    // Below are what tests replace.
    RuntimeFactory make_runtime = &agent::make_runtime;
    std::filesystem::path root = "/";  // where /etc, /proc, /sys and /run are looked for
    std::filesystem::path nvidia_library = metrics::kNvidiaLibrary;
};

// Runs on the calling coroutine's executor. Returns by exception only: by cancellation, or with
// Error where it can't begin (state directory in use or not writable, key or machine ID unusable).
// Whatever can pass is tried again for as long as it takes.
Task<> run_agent(AgentOptions options);

}  // namespace trailer::agent
