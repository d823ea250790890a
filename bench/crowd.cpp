// Many agents in one process, each with an engine in memory: what a server sees of a fleet. It is
// the agent's own code from the first challenge to the last heartbeat; only what lies behind the
// runtime is made up.
//
//   crowd SERVER_URL DIRECTORY FIRST COUNT
//
// Agents FIRST to FIRST + COUNT - 1, each with a machine ID and a state directory of its own under
// DIRECTORY. Lives until SIGTERM. bench/storm.py drives it.
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "agent/agent.h"
#include "aio/task_group.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/fake_runtime.h"

namespace {

using namespace trailer;
namespace fs = std::filesystem;

// What an agent looks up of its host; the rest of it is not there, which an agent puts up with.
void make_host(const fs::path& root, int number) {
    fs::create_directories(root / "etc");
    fs::create_directories(root / "proc/self");
    std::ofstream(root / "etc/machine-id") << fmt::format("{:032x}\n", number);
    std::ofstream(root / "proc/stat") << "cpu 1 0 1 8 0 0 0 0\ncpu0 1 0 1 8 0 0 0 0\n";
    std::ofstream(root / "proc/meminfo") << "MemTotal: 1000 kB\nMemAvailable: 400 kB\n";
    std::ofstream(root / "proc/self/oom_score_adj") << "";
}

agent::AgentOptions options_of(const std::string& url, const fs::path& directory, int number) {
    const auto root = directory / fmt::format("host-{:05}", number);
    make_host(root, number);
    agent::AgentOptions options;
    options.config.server_url = url;
    options.config.deployment_name = fmt::format("host-{:05}", number);
    options.config.state_directory = root / "state";
    options.version = "crowd";
    options.root = root;
    options.make_runtime = [](const asio::any_io_executor& executor, const config::Config&) {
        return std::make_unique<runtime::FakeRuntime>(executor);
    };
    return options;
}

int live(const std::string& url, const fs::path& directory, int first, int count) {
    asio::io_context context(1);
    aio::TaskGroup agents(context.get_executor());
    for (int number = first; number < first + count; ++number) {
        agents.spawn(agent::run_agent(options_of(url, directory, number)));
    }
    context.run();
    return 1;  // agents never end by themselves
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 5) {
        std::cerr << "crowd SERVER_URL DIRECTORY FIRST COUNT\n";
        return 2;
    }
    std::signal(SIGPIPE, SIG_IGN);
    log::set_level(log::Level::error);
    try {
        return live(arguments[1], arguments[2], std::atoi(arguments[3]), std::atoi(arguments[4]));
    } catch (const std::exception& e) {
        std::cerr << "crowd: " << describe(e) << "\n";
        return 1;
    }
}
