// The checks of a document that need nothing but the document: names, ranges, addresses, and
// members that exclude each other. What needs the database (a port already taken, a network that is
// not there) is the server's; what needs the host is the agent's.
#pragma once

#include <string_view>
#include <vector>

#include "base/error.h"
#include "protocol/api.h"

namespace trailer::protocol {

// 2 to 63 letters, digits, '-', '_' or '.', first and last a letter or digit, and not a UUID. It is
// the object's name in the engine too, so this is what Docker (API 1.41) takes. A group's name
// keeps to the same.
void check_name(std::string_view name, std::string_view pointer, std::vector<FieldError>& errors);

// Reads `spec` strictly (unknown members are faults) and checks it. Pointers begin with "/spec".
// Returns the spec in its canonical form: every member, defaults written out.
json::object check_spec(Kind kind, const json::object& spec, std::vector<FieldError>& errors);

// "10.40.0.0/24" and "10.40.0.128/25" do. False too where one is no subnet, or they are of two
// families.
bool subnets_overlap(const std::string& a, const std::string& b);

}  // namespace trailer::protocol
