#include "server/proxy/headers.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"

namespace trailer::server::proxy {
namespace {

using Names = std::vector<std::string>;

// RFC 9110, section 7.6.1, and what older software sends. Content-Length and Transfer-Encoding of a
// request are made anew from its body.
constexpr std::array<std::string_view, 9> kHopByHop{"connection",
                                                    "keep-alive",
                                                    "proxy-connection",
                                                    "proxy-authenticate",
                                                    "proxy-authorization",
                                                    "te",
                                                    "trailer",
                                                    "transfer-encoding",
                                                    "upgrade"};

// What the client says of itself that only a proxy may say.
constexpr std::array<std::string_view, 7> kForwarded{
    "x-forwarded-for",  "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix",
    "x-forwarded-port", "forwarded",         "x-real-ip"};

// They speak for a whole origin, which is the platform's own.
constexpr std::array<std::string_view, 8> kOfTheOrigin{"clear-site-data",
                                                       "strict-transport-security",
                                                       "public-key-pins",
                                                       "service-worker-allowed",
                                                       "alt-svc",
                                                       "report-to",
                                                       "nel",
                                                       "reporting-endpoints"};

constexpr std::array<std::string_view, 3> kOurCookies{"trailer_session", "trailer_csrf", kCookie};

// Without optional white space (RFC 9110, section 5.6.3).
std::string_view trim(std::string_view text) {
    return trimmed(text, " \t");
}

template <typename All>
bool contains(const All& all, std::string_view name) {
    return std::ranges::find(all, name) != std::ranges::end(all);
}

// The fields that Connection names, in lower case.
Names named_by_connection(const net::Headers& headers) {
    Names names;
    for (const auto& [name, value] : headers) {
        if (lower(name) != "connection") continue;
        for (const auto each : split(value, ',')) names.push_back(lower(trim(each)));
    }
    return names;
}

bool is_hop_by_hop(const std::string& name, const Names& named) {
    // Connection can't take away what the message can't do without.
    if (name == "host" || name == "content-length") return false;
    return contains(kHopByHop, name) || contains(named, name);
}

// The Cookie field without ours; "" when nothing is left.
std::string without_ours(std::string_view cookies) {
    std::string left;
    for (const auto untrimmed : split(cookies, ';')) {
        const auto pair = trim(untrimmed);
        if (pair.empty() || contains(kOurCookies, trim(pair.substr(0, pair.find('='))))) continue;
        if (!left.empty()) left += "; ";
        left += pair;
    }
    return left;
}

std::string node_of(std::string_view address) {
    return address.find(':') == address.npos ? std::string(address)
                                             : fmt::format("\"[{}]\"", address);
}

std::string bare(std::string_view address) {  // "[::1]" -> "::1"
    if (address.starts_with('[')) address.remove_prefix(1);
    if (address.ends_with(']')) address.remove_suffix(1);
    return std::string(address);
}

std::string quoted_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

std::string after(std::string_view before, const std::string& ours) {
    return before.empty() ? ours : fmt::format("{}, {}", before, ours);
}

void tell_where_from(net::Headers& out, const net::Request& request, const Place& place,
                     const Arrival& arrival) {
    const auto told = [&](const char* name) {
        return arrival.trusted ? request.headers.get(name) : std::string_view();
    };
    const auto address = bare(arrival.address);
    const auto proto = scheme_of(request.headers, arrival);
    const auto host = std::string(request.headers.get("Host"));
    out.set("X-Forwarded-For", after(told("X-Forwarded-For"), address));
    out.set("X-Forwarded-Proto", proto);
    const auto first_host = told("X-Forwarded-Host");
    out.set("X-Forwarded-Host", first_host.empty() ? host : std::string(first_host));
    if (!place.prefix.empty()) out.set("X-Forwarded-Prefix", place.prefix);
    out.set("Forwarded", after(told("Forwarded"), fmt::format("for={};host={};proto={}",
                                                              node_of(address), quoted_string(host),
                                                              arrival.secure ? "https" : "http")));
}

bool is_of_workspace(std::string_view authority, std::string_view host, std::uint16_t port) {
    if (lower(authority) == lower(host)) return true;
    for (const auto* name : {"localhost", "127.0.0.1", "[::1]", "0.0.0.0"}) {
        if (lower(authority) == fmt::format("{}:{}", name, port)) return true;
        if (port == 80 && lower(authority) == name) return true;
    }
    return false;
}

std::string under(const std::string& prefix, std::string_view path) {
    const bool is_under =
        path.starts_with(prefix) &&
        (path.size() == prefix.size() || path[prefix.size()] == '/' || path[prefix.size()] == '?');
    return is_under ? std::string(path) : prefix + std::string(path);
}

// A reference to the workspace's own root, as the browser reaches it.
std::string location(const std::string& value, std::string_view host, const Place& place) {
    std::string_view rest = value;
    if (rest.starts_with("http://")) {
        rest.remove_prefix(7);
    } else if (rest.starts_with("https://")) {
        rest.remove_prefix(8);
    } else if (rest.starts_with("//")) {
        rest.remove_prefix(2);
    } else {
        return rest.starts_with('/') ? under(place.prefix, rest) : value;
    }
    const auto authority = rest.substr(0, rest.find_first_of("/?#"));
    if (!is_of_workspace(authority, host, place.port)) return value;
    rest.remove_prefix(authority.size());
    return under(place.prefix, rest.starts_with('/') ? std::string(rest) : "/" + std::string(rest));
}

// "" for a cookie that takes one of our names.
std::string set_cookie(std::string_view value, const Place& place) {
    std::string out;
    for (const auto untrimmed : split(value, ';')) {
        const auto part = trim(untrimmed);
        const auto name = lower(trim(part.substr(0, part.find('='))));
        if (out.empty()) {
            if (contains(kOurCookies, name)) return "";
            out = part;
            continue;
        }
        if (part.empty() || name == "domain") continue;
        if (name == "path" && part.find('=') != part.npos) {
            const auto path = trim(part.substr(part.find('=') + 1));
            if (path.starts_with('/')) {
                out += "; Path=" + under(place.prefix, path);
                continue;
            }
        }
        out += fmt::format("; {}", part);
    }
    return out;
}

}  // namespace

bool is_trusted(std::string_view address) {
    const auto text = bare(address);
    return text.starts_with("127.") || text == "::1" || text == "::ffff:127.0.0.1";
}

Arrival arrival_of(const net::Exchange& exchange) {
    const auto peer = exchange.peer();
    Arrival arrival{.address = peer.substr(0, peer.rfind(':')), .secure = exchange.secure()};
    arrival.trusted = is_trusted(arrival.address);
    return arrival;
}

// A proxy appends whom it heard: of the list only the last is its own word.
std::string client_of(const net::Headers& headers, const Arrival& arrival) {
    std::string_view told;
    if (arrival.trusted) {
        for (const auto& [name, value] : headers) {
            if (lower(name) == "x-forwarded-for") told = trim(split(value, ',').back());
        }
    }
    constexpr std::size_t kLongest = 64;  // an address, perhaps with a zone and a port
    return told.empty() || told.size() > kLongest ? arrival.address : std::string(told);
}

std::string scheme_of(const net::Headers& headers, const Arrival& arrival) {
    if (arrival.secure) return "https";
    const auto told = arrival.trusted ? headers.get("X-Forwarded-Proto") : std::string_view();
    return told == "https" ? "https" : "http";
}

bool wants_websocket(const net::Headers& headers) {
    return contains(named_by_connection(headers), "upgrade") &&
           lower(trim(headers.get("Upgrade"))) == "websocket";
}

net::Request for_workspace(const net::Request& request, const Place& place,
                           const Arrival& arrival) {
    net::Request out{.method = request.method, .target = place.target};
    const auto named = named_by_connection(request.headers);
    for (const auto& [field, value] : request.headers) {
        const auto name = lower(field);
        if (is_hop_by_hop(name, named) || contains(kForwarded, name)) continue;
        if (name == "content-length" || name == "expect") continue;
        if (name == "authorization" && arrival.our_authorization) continue;
        if (name == "cookie") {
            const auto left = without_ours(value);
            if (!left.empty()) out.headers.add(field, left);
            continue;
        }
        out.headers.add(field, value);
    }
    tell_where_from(out.headers, request, place, arrival);
    if (wants_websocket(request.headers)) {
        out.headers.set("Connection", "Upgrade");
        out.headers.set("Upgrade", "websocket");
    }
    return out;
}

net::Response for_client(const net::Response& answer, const net::Request& request,
                         const Place& place) {
    net::Response out{.status = answer.status};
    const auto named = named_by_connection(answer.headers);
    const auto host = request.headers.get("Host");
    const bool chunked = answer.headers.find("Transfer-Encoding").has_value();
    for (const auto& [field, value] : answer.headers) {
        const auto name = lower(field);
        if (is_hop_by_hop(name, named) || (chunked && name == "content-length")) continue;
        if (!place.own_origin && contains(kOfTheOrigin, name)) continue;
        if (name == "location" || name == "content-location") {
            out.headers.add(field, location(value, host, place));
        } else if (name == "set-cookie") {
            if (auto cookie = set_cookie(value, place); !cookie.empty()) {
                out.headers.add(field, std::move(cookie));
            }
        } else {
            out.headers.add(field, value);
        }
    }
    if (answer.status == 101) {
        out.headers.set("Connection", "Upgrade");
        out.headers.set("Upgrade", "websocket");
    }
    // Beside the workspace's own policy, if it has one: both hold.
    if (!place.own_origin) out.headers.add("Content-Security-Policy", kSandbox);
    return out;
}

std::string cookie_of(const net::Headers& headers, std::string_view name) {
    for (const auto& [field, value] : headers) {
        if (lower(field) != "cookie") continue;
        for (const auto untrimmed : split(value, ';')) {
            const auto pair = trim(untrimmed);
            const auto equals = pair.find('=');
            if (equals != pair.npos && pair.substr(0, equals) == name) {
                return std::string(pair.substr(equals + 1));
            }
        }
    }
    return "";
}

}  // namespace trailer::server::proxy
