// A service's `ports`: "[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]", each a port or a range, and the
// long form.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "compose/findings.h"
#include "protocol/resources.h"

namespace trailer::compose {

struct PlacedPort {
    protocol::Port port;
    const Node* node = nullptr;
};

std::vector<PlacedPort> read_ports(const Node& node, Findings& findings);

// "8000" or "8000-8005": first and last.
struct PortRange {
    std::uint16_t first = 0;
    std::uint16_t last = 0;

    int size() const { return last - first + 1; }
};
std::optional<PortRange> parse_port_range(std::string_view text);

}  // namespace trailer::compose
