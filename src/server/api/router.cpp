#include "server/api/router.h"

#include <charconv>

#include "base/log.h"
#include "server/proxy/headers.h"
#include "server/service/agents.h"
#include "wire/json.h"

namespace trailer::server::api {
namespace {

std::vector<std::string_view> segments_of(std::string_view path) {
    std::vector<std::string_view> segments;
    path.remove_prefix(std::min<std::size_t>(1, path.size()));
    for (;;) {
        const auto end = path.find('/');
        segments.push_back(path.substr(0, end));
        if (end == path.npos) return segments;
        path.remove_prefix(end + 1);
    }
}

bool is_parameter(std::string_view segment) {
    return segment.starts_with('{');
}

bool fits(const std::vector<std::string_view>& pattern,
          const std::vector<std::string_view>& segments) {
    if (pattern.size() != segments.size()) return false;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (is_parameter(pattern[i]) ? segments[i].empty() : pattern[i] != segments[i]) {
            return false;
        }
    }
    return true;
}

}  // namespace

Task<boost::json::value> Call::body(std::size_t most) {
    const auto text = co_await exchange.read_body(most);
    co_return wire::parse(text);
}

Task<> Call::answer(int status, std::string json_text) {
    net::Response response{.status = status, .body = std::move(json_text)};
    response.headers.set("Content-Type", "application/json");
    response.headers.set("Cache-Control", "no-store");
    co_await exchange.respond(std::move(response));
}

Task<> Call::answer_nothing() {
    net::Response response{.status = 204};
    co_await exchange.respond(std::move(response));
}

std::string Call::address() const {
    return proxy::client_of(exchange.request().headers, proxy::arrival_of(exchange));
}

void Router::add(std::string method, std::string path, Access access, Handler handler) {
    routes_.push_back({std::move(method), std::move(path), access, std::move(handler)});
}

Router::Match Router::match(std::string_view method, std::string_view path) const {
    Match match;
    const auto segments = segments_of(path);
    for (const auto& route : routes_) {
        const auto pattern = segments_of(route.path);
        if (!fits(pattern, segments)) continue;
        if (route.method != method) {
            match.allowed.push_back(route.method);
            continue;
        }
        for (std::size_t i = 0; i < pattern.size(); ++i) {
            if (is_parameter(pattern[i])) {
                match.parameters.push_back(net::percent_decode(segments[i]));
            }
        }
        match.route = &route;
        return match;
    }
    return match;
}

net::Response problem_response(const std::exception& error) {
    auto problem = protocol::to_problem(error);
    if (const auto* held = dynamic_cast<const RegistrationHeld*>(&error)) {
        problem.type = held->type();
    }
    if (problem.status == 500) problem.detail = "an internal error; the server's log tells more";
    net::Response response{.status = problem.status, .body = wire::to_json_text(problem)};
    response.headers.set("Content-Type", "application/problem+json");
    response.headers.set("Cache-Control", "no-store");
    if (problem.status == 401) response.headers.set("WWW-Authenticate", "Bearer");
    if (problem.status == 429 || problem.status == 503) response.headers.set("Retry-After", "5");
    return response;
}

bool query_flag(const net::Query& query, const std::string& name) {
    const auto text = query.find(name).value_or("false");
    if (text == "true") return true;
    if (text == "false") return false;
    throw InvalidInput("?" + name, "expected true or false, got " + text);
}

std::optional<std::int64_t> parse_number(std::string_view text, std::int64_t least,
                                         std::int64_t most) {
    std::int64_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || rest != end || number < least || number > most) return {};
    return number;
}

std::int64_t query_number(const net::Query& query, const std::string& name, std::int64_t least,
                          std::int64_t most, std::int64_t otherwise) {
    const auto text = query.find(name);
    if (!text) return otherwise;
    const auto number = parse_number(*text, least, most);
    if (!number) {
        throw InvalidInput("?" + name,
                           fmt::format("expected {} to {}, got {}", least, most, *text));
    }
    return *number;
}

}  // namespace trailer::server::api
