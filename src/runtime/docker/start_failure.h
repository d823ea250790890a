// Why a container did not start, where the engine tells it by words alone.
#pragma once

#include <string_view>

namespace trailer::runtime::docker {

// No start of this container will succeed any more: Docker (20.10) or its containerd was ended in
// the middle of something, and keeps what it had begun. `id`: the container's, whole.
bool starts_never_again(std::string_view message, std::string_view id);

// A network that it is to be on has gone, or its name is two networks'.
bool lacks_a_network(std::string_view message);

}  // namespace trailer::runtime::docker
