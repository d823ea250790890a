// Who this host is: a registration token that stays the same across restarts and new installations,
// and from which the machine's ID can't be found.
//
// The token alone proves nothing, for every local user can read a machine ID: the agent's key does
// (base/crypto.h, protocol/agent.h).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/crypto.h"

namespace trailer::agent {

// The machine's own ID, 16 bytes, from /etc/machine-id or else /var/lib/dbus/machine-id below
// `root`. Nothing where there is none, and nothing in a container unless the file is bind-mounted
// from the host: an image's own machine ID says nothing about the host. Throws Error for a file
// that is empty, "uninitialized" or malformed.
std::optional<Bytes> machine_id(const std::filesystem::path& root = "/");

// 32 hex letters. As sd_id128_get_machine_app_specific(3) makes them: HMAC-SHA256 with `secret`
// (the machine ID's bytes, or the engine's ID) as its key over our fixed application ID.
std::string registration_token(std::string_view secret);

}  // namespace trailer::agent
