#include "net/http.h"

#include <charconv>

#include "base/error.h"

namespace trailer::net {
namespace {

bool same_name(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) {
        const auto lower = [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        };
        return lower(x) == lower(y);
    });
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

void Headers::set(std::string name, std::string value) {
    std::erase_if(fields_, [&](const auto& field) { return same_name(field.first, name); });
    add(std::move(name), std::move(value));
}

void Headers::add(std::string name, std::string value) {
    constexpr std::size_t kUsual = 12;
    if (fields_.empty()) fields_.reserve(kUsual);
    fields_.emplace_back(std::move(name), std::move(value));
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
    for (const auto& [key, value] : fields_) {
        if (same_name(key, name)) return value;
    }
    return std::nullopt;
}

void Headers::append_to(std::string& text) const {
    for (const auto& [name, value] : fields_) {
        for (const std::string_view part : {name, value}) {
            if (part.find_first_of("\r\n") != part.npos) {
                throw InvalidInput("",
                                   fmt::format("header field {}: expected no line break", name));
            }
        }
        text.append(name).append(": ").append(value).append("\r\n");
    }
}

std::string percent_encode(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
                                c == '~';
        if (unreserved) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

std::string percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const int high = i + 2 < text.size() + 0 ? hex_digit(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0) {
            throw InvalidInput("", "expected two hexadecimal digits after '%' in the URL");
        }
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

bool is_same_origin(const Headers& headers) {
    const auto origin = headers.find("Origin");
    if (!origin) return true;
    const auto scheme = origin->find("://");
    const auto host = scheme == origin->npos ? *origin : origin->substr(scheme + 3);
    return host == headers.get("Host");
}

Query Query::parse(std::string_view text) {
    const auto decode = [](std::string_view part) {
        std::string spaced(part);
        std::ranges::replace(spaced, '+', ' ');
        return percent_decode(spaced);
    };
    Query query;
    while (!text.empty()) {
        const auto end = std::min(text.find('&'), text.size());
        const auto pair = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (pair.empty()) continue;
        const auto equals = std::min(pair.find('='), pair.size());
        query.parameters_.emplace_back(
            decode(pair.substr(0, equals)),
            equals < pair.size() ? decode(pair.substr(equals + 1)) : std::string());
    }
    return query;
}

std::optional<std::string> Query::find(std::string_view name) const {
    for (const auto& [key, value] : parameters_) {
        if (key == name) return value;
    }
    return std::nullopt;
}

std::vector<std::string> Query::all(std::string_view name) const {
    std::vector<std::string> values;
    for (const auto& [key, value] : parameters_) {
        if (key == name) values.push_back(value);
    }
    return values;
}

std::string_view Request::path() const {
    return std::string_view(target).substr(0, target.find('?'));
}

Query Request::query() const {
    const auto mark = target.find('?');
    return mark == std::string::npos ? Query()
                                     : Query::parse(std::string_view(target).substr(mark + 1));
}

std::string_view reason_phrase(int status) {
    switch (status) {
        case 100:
            return "Continue";
        case 101:
            return "Switching Protocols";
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 204:
            return "No Content";
        case 206:
            return "Partial Content";
        case 301:
            return "Moved Permanently";
        case 302:
            return "Found";
        case 303:
            return "See Other";
        case 304:
            return "Not Modified";
        case 307:
            return "Temporary Redirect";
        case 308:
            return "Permanent Redirect";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 406:
            return "Not Acceptable";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 412:
            return "Precondition Failed";
        case 413:
            return "Content Too Large";
        case 415:
            return "Unsupported Media Type";
        case 422:
            return "Unprocessable Content";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        default:
            return "Unknown";
    }
}

ErrorKind kind_of_status(int status) {
    switch (status) {
        case 401:
            return ErrorKind::unauthenticated;
        case 403:
            return ErrorKind::forbidden;
        case 404:
            return ErrorKind::not_found;
        case 409:
            return ErrorKind::conflict;
        case 413:
            return ErrorKind::too_large;
        case 429:
            return ErrorKind::rate_limited;
        default:
            break;
    }
    // 408 and 5xx may pass: a proxy without its server, a server that is starting.
    if (status == 408 || status >= 500) return ErrorKind::unavailable;
    return ErrorKind::invalid;
}

Endpoint Endpoint::parse(std::string_view text) {
    const auto fail = [&]() -> InvalidInput {
        return {"", fmt::format("expected http://HOST:PORT, https://HOST:PORT, tcp://HOST:PORT or "
                                "unix:///PATH, got \"{}\"",
                                text)};
    };
    Endpoint endpoint;
    auto rest = text;
    if (rest.starts_with("unix://")) {
        endpoint.transport = Transport::unix_socket;
        endpoint.path = rest.substr(7);
        endpoint.host = "localhost";
        if (!endpoint.path.starts_with('/') || endpoint.path.size() > 107) throw fail();
        return endpoint;
    }
    if (rest.starts_with("https://")) {
        endpoint.transport = Transport::tls;
        endpoint.port = 443;
        rest.remove_prefix(8);
    } else if (rest.starts_with("http://")) {
        rest.remove_prefix(7);
    } else if (rest.starts_with("tcp://")) {
        endpoint.port = 2375;
        rest.remove_prefix(6);
    } else {
        throw fail();
    }
    const auto slash = std::min(rest.find('/'), rest.size());
    endpoint.prefix = rest.substr(slash);
    while (endpoint.prefix.ends_with('/')) endpoint.prefix.pop_back();
    auto authority = rest.substr(0, slash);
    if (authority.empty() || authority.find_first_of("@?# ") != authority.npos) throw fail();
    std::string_view port;
    if (authority.starts_with('[')) {  // an IPv6 address, RFC 3986 section 3.2.2
        const auto close = authority.find(']');
        if (close == authority.npos) throw fail();
        endpoint.host = authority.substr(1, close - 1);
        const auto after = authority.substr(close + 1);
        if (!after.empty() && after[0] != ':') throw fail();
        if (!after.empty()) port = after.substr(1);
        if (!after.empty() && port.empty()) throw fail();
    } else {
        const auto colon = authority.find(':');
        endpoint.host = authority.substr(0, colon);
        if (colon != authority.npos) {
            port = authority.substr(colon + 1);
            if (port.empty()) throw fail();
        }
    }
    if (endpoint.host.empty()) throw fail();
    if (!port.empty()) {
        const auto [end, error] =
            std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
        if (error != std::errc{} || end != port.data() + port.size()) throw fail();
    }
    return endpoint;
}

std::string Endpoint::to_string() const {
    if (transport == Transport::unix_socket) return "unix://" + path;
    const bool v6 = host.find(':') != std::string::npos;
    return fmt::format("{}://{}{}{}:{}{}", transport == Transport::tls ? "https" : "http",
                       v6 ? "[" : "", host, v6 ? "]" : "", port, prefix);
}

}  // namespace trailer::net
