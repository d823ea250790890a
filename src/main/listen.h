// Where the server role listens, and how its own agent finds it there.
#pragma once

#include <cstdint>
#include <string>

#include "net/http_server.h"

namespace trailer {

// From --server-url, which is the address to bind for the server role. Throws InvalidInput that
// says what was expected.
net::ServerOptions listen_options(const std::string& server_url);

// The URL by which a process on this machine reaches a server that listens there.
std::string loopback_url(const net::ServerOptions& options, std::uint16_t port);

}  // namespace trailer
