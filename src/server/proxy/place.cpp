#include "server/proxy/place.h"

#include <charconv>

#include "base/error.h"
#include "base/text.h"

namespace trailer::server::proxy {
namespace {

constexpr std::string_view kPath = "/proxy/";
constexpr std::string_view kJoint = "--";
constexpr std::size_t kMostLabel = 63;

std::optional<std::uint16_t> read_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
    return port;
}

std::uint16_t port_of(std::string_view text) {
    const auto port = read_port(text);
    if (!port) {
        throw InvalidInput("", fmt::format("expected a port, 1 to 65535, got {}", text));
    }
    return *port;
}

// What stands before ".DOMAIN" in the Host.
std::optional<std::string> label_in(std::string_view host, std::string_view domain) {
    if (domain.empty()) return std::nullopt;
    const auto name = lower(host.substr(0, host.find(':')));
    if (name.size() <= domain.size() + 1 || !name.ends_with(domain)) return std::nullopt;
    const auto label = name.substr(0, name.size() - domain.size());
    if (!label.ends_with('.')) return std::nullopt;
    return label.substr(0, label.size() - 1);
}

Place at_label(const std::string& label, const net::Request& request) {
    const auto joint = label.find(kJoint);
    if (joint == label.npos) {
        throw Error(ErrorKind::not_found, "expected PORT--WORKSPACE before the domain, got {}",
                    label);
    }
    return {.workspace = label.substr(joint + kJoint.size()),
            .port = port_of(std::string_view(label).substr(0, joint)),
            .prefix = "",
            .target = request.target,
            .own_origin = true};
}

}  // namespace

std::optional<Place> place_of(const net::Request& request, std::string_view domain) {
    if (const auto label = label_in(request.headers.get("Host"), domain)) {
        return at_label(*label, request);
    }
    std::string_view rest = request.target;
    if (!rest.starts_with(kPath)) return std::nullopt;
    rest.remove_prefix(kPath.size());
    const auto name = rest.substr(0, rest.find_first_of("/?"));
    rest.remove_prefix(name.size());
    if (name.empty() || !rest.starts_with('/')) {
        throw Error(ErrorKind::not_found, "expected /proxy/WORKSPACE/PORT/");
    }
    rest.remove_prefix(1);
    const auto port = rest.substr(0, rest.find_first_of("/?"));
    rest.remove_prefix(port.size());
    return Place{.workspace = net::percent_decode(name),
                 .port = port_of(port),
                 .prefix = fmt::format("{}{}/{}", kPath, name, port),
                 .target = rest.starts_with('/') ? std::string(rest) : std::string(),
                 .own_origin = false};
}

std::optional<std::string> label_of(std::uint16_t port, std::string_view workspace) {
    auto label = fmt::format("{}{}{}", port, kJoint, workspace);
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    };
    if (label.size() > kMostLabel || label.ends_with('-') ||
        !std::ranges::all_of(workspace, fits)) {
        return std::nullopt;
    }
    return label;
}

}  // namespace trailer::server::proxy
