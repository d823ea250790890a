// Runs one role until it is asked to end.
#pragma once

#include <string>

#include "config/config.h"
#include "net/http_server.h"

namespace trailer {

// A configuration whose addresses are known to be right.
struct Setup {
    config::Config config;
    net::ServerOptions listen;  // of the roles that serve
};

// Throws Error for what the configuration says and the role can't take.
Setup prepare(config::Role role, config::Config config);

// Returns the exit code; failures are logged.
int run_role(config::Role role, const Setup& setup, const std::string& name);

}  // namespace trailer
