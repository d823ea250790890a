// ContainerRuntime on the Docker Engine API (1.41 and later; podman answers the same).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "runtime/runtime.h"

namespace trailer::runtime::docker {

struct Options {
    // For every call but pulls and builds, which are told theirs, and the event stream, which has
    // none. A container's stop takes its grace on top.
    std::chrono::milliseconds deadline{60'000};
};

// `docker_host`: "unix:///var/run/docker.sock" or "tcp://host:port". Throws InvalidInput for other
// forms. Does not connect yet.
std::unique_ptr<ContainerRuntime> make_docker_runtime(asio::any_io_executor executor,
                                                      std::string docker_host,
                                                      Options options = {});

}  // namespace trailer::runtime::docker
