#include "agent/agent.h"
#include "base/error.h"
#include "runtime/docker/docker_runtime.h"

namespace trailer::agent {

std::unique_ptr<runtime::ContainerRuntime> make_runtime(const asio::any_io_executor& executor,
                                                        const config::Config& config) {
    if (config.runtime == "docker") {
        return runtime::docker::make_docker_runtime(executor, config.docker_host);
    }
    throw Error(ErrorKind::invalid, "there is no runtime `{}`; expected docker", config.runtime);
}

}  // namespace trailer::agent
