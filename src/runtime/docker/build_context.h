// The tar that POST /build takes.
#pragma once

#include <string>
#include <string_view>

namespace trailer::runtime::docker {

// A tar (POSIX.1-1988 ustar) with one file, "Dockerfile".
std::string build_context(std::string_view dockerfile);

}  // namespace trailer::runtime::docker
