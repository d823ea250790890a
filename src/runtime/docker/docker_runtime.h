// ContainerRuntime on the Docker Engine API (1.41 and later; podman answers the same).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "runtime/runtime.h"

namespace trailer::runtime::docker {

struct Options {
    // For every call that changes something but pulls and builds, which are told theirs. A
    // container's stop takes its grace on top. The event stream has none.
    std::chrono::milliseconds deadline{60'000};
    // For what only looks: an engine that hangs is to be known before its steps have failed.
    std::chrono::milliseconds look_deadline{20'000};
};

// `docker_host`: "unix:///var/run/docker.sock" or "tcp://host:port". Throws InvalidInput for other
// forms. Does not connect yet.
std::unique_ptr<ContainerRuntime> make_docker_runtime(asio::any_io_executor executor,
                                                      std::string docker_host,
                                                      Options options = {});

}  // namespace trailer::runtime::docker
