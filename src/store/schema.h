// The numbered migrations of the database. One that has been released is never changed: add the
// next.
#pragma once

#include <span>
#include <string_view>

namespace trailer::store {

// The statements that lead from version i to i + 1, at index i.
std::span<const std::string_view> migrations();

}  // namespace trailer::store
