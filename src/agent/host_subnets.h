// What the host's own addresses are, so that no network is laid over them.
#pragma once

#include <filesystem>
#include <vector>

#include "reconcile/subnets.h"

namespace trailer::agent {

// The routes and addresses of the agent's network namespace, and the name servers of
// `root`/etc/resolv.conf. Empty, with a warning in the log, where the kernel does not tell: then
// the engine picks the networks' subnets.
std::vector<reconcile::TakenSubnet> host_subnets(const std::filesystem::path& root);

}  // namespace trailer::agent
