// Which build this is.
#pragma once

#include <string_view>

namespace trailer::client {

inline constexpr int kApiVersion = 1;  // of the REST API that this build speaks

std::string_view version();   // "0.1.0"
std::string_view commit();    // "5e4752e1c0de"; "" where it was not built from a checkout
std::string_view compiler();  // "Clang 19.1.7"

}  // namespace trailer::client
