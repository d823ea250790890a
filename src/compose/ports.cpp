#include "compose/ports.h"

#include "compose/fields.h"
#include "compose/units.h"

namespace trailer::compose {
namespace {

using protocol::PortProtocol;

// Both forms come to this.
struct Publication {
    std::string address;
    std::string host;  // empty: the engine picks
    std::string container;
    std::string protocol = "tcp";
};

Publication parse_short(std::string_view text) {
    Publication made;
    if (const auto slash = text.rfind('/'); slash != text.npos) {
        made.protocol = text.substr(slash + 1);
        text = text.substr(0, slash);
    }
    const auto colon = text.rfind(':');
    made.container = colon == text.npos ? text : text.substr(colon + 1);
    if (colon == text.npos) return made;
    text = text.substr(0, colon);
    // An IPv6 address has colons itself; it may stand in brackets.
    const auto second = text.rfind(':');
    made.host = second == text.npos ? text : text.substr(second + 1);
    if (second == text.npos) return made;
    text = text.substr(0, second);
    if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
    made.address = text;
    return made;
}

Publication read_long(const Node& node, Findings& findings) {
    Publication made;
    Fields fields(node, findings);
    if (const auto* target = fields.take("target")) made.container = read_text(*target, findings);
    if (const auto* published = fields.take("published")) {
        made.host = read_text(*published, findings);
    }
    if (const auto* protocol = fields.take("protocol")) {
        made.protocol = read_text(*protocol, findings);
    }
    if (const auto* address = fields.take("host_ip")) made.address = read_text(*address, findings);
    if (const auto* mode = fields.take("mode")) {
        // There is one host: both say the same.
        const auto word = read_text(*mode, findings);
        if (word != "host" && word != "ingress") findings.fault(*mode, "expected host or ingress");
    }
    fields.accept({"name", "app_protocol"});
    fields.finish();
    return made;
}

void add(const Publication& from, const Node& node, Findings& findings,
         std::vector<PlacedPort>& ports) {
    const auto container = parse_port_range(from.container);
    if (!container) {
        return findings.fault(node,
                              "expected [[ADDRESS:]HOST:]CONTAINER[/PROTOCOL], with ports "
                              "from 1 to 65535");
    }
    const auto protocol = wire::from_text<PortProtocol>(from.protocol);
    if (!protocol) return findings.fault(node, "expected the protocol tcp, udp or sctp");
    // Port 0 of the host is the engine's pick too.
    const bool picked = from.host.empty() || from.host == "0";
    const auto host = picked ? std::optional(PortRange{}) : parse_port_range(from.host);
    if (!host) return findings.fault(node, "expected a port of the host, or a range of ports");
    if (!picked && container->size() == 1 && host->size() > 1) {
        return findings.leave_out(
            node, "a free port out of a range is not supported: name one port, or none");
    }
    if (!picked && host->size() != container->size()) {
        return findings.fault(node, fmt::format("has {} ports of the host for {} of the container",
                                                host->size(), container->size()));
    }
    for (int i = 0; i < container->size(); ++i) {
        const auto offset = static_cast<std::uint16_t>(i);
        protocol::Port port;
        port.container = static_cast<std::uint16_t>(container->first + offset);
        port.host = picked ? std::uint16_t{0} : static_cast<std::uint16_t>(host->first + offset);
        port.protocol = *protocol;
        port.address = from.address;
        ports.push_back({port, &node});
    }
}

}  // namespace

std::optional<PortRange> parse_port_range(std::string_view text) {
    const auto dash = text.find('-');
    const auto first = parse_integer(text.substr(0, dash));
    const auto last = dash == text.npos ? first : parse_integer(text.substr(dash + 1));
    if (!first || !last || *first < 1 || *last > 65535 || *first > *last) return std::nullopt;
    return PortRange{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

std::vector<PlacedPort> read_ports(const Node& node, Findings& findings) {
    std::vector<PlacedPort> ports;
    if (!node.is_list()) {
        findings.fault(node, "expected a list");
        return ports;
    }
    for (const auto& item : node.items) {
        if (item.is_map()) {
            add(read_long(item, findings), item, findings, ports);
        } else {
            add(parse_short(read_text(item, findings)), item, findings, ports);
        }
    }
    return ports;
}

}  // namespace trailer::compose
