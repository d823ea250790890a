// Reaches a port that a workspace listens on, published or not.
//
// From within the container's own network where that can be entered (root, and the engine's
// processes are seen): also what listens on 127.0.0.1 alone, and on networks that the host has no
// way into (macvlan, internal). Else over the host's route to the container's addresses, and last
// by a published port.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <filesystem>

#include "aio/blocking_pool.h"
#include "aio/deadline.h"
#include "runtime/runtime.h"

namespace trailer::sessions {

// Throws Error(unavailable) that says why nothing answers there.
Task<asio::ip::tcp::socket> dial(aio::BlockingPool& pool, std::filesystem::path proc,
                                 runtime::Container container, std::uint16_t port,
                                 aio::Deadline deadline);

}  // namespace trailer::sessions
