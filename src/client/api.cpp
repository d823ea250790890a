#include "client/api.h"

#include <boost/json.hpp>

#include "protocol/api.h"
#include "wire/json.h"

namespace trailer::client {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

constexpr auto kCallTimeout = 30s;
constexpr int kPageSize = 1000;             // what the server gives at most
constexpr std::size_t kMostPages = 10'000;  // a server that never ends its list must not hang us
constexpr std::size_t kLargestProblem = 1 << 20;
constexpr std::size_t kLargestFrame = 4 << 20;  // a log's entry may have a megabyte

std::string_view media_type(const net::Response& response) {
    const auto type = response.headers.get("Content-Type");
    return type.substr(0, type.find(';'));
}

[[noreturn]] void throw_failure(const net::Response& response, const std::string& server) {
    if (media_type(response) == "application/problem+json") {
        auto problem = wire::from_json_text<protocol::Problem>(response.body);
        problem.status = response.status;
        protocol::throw_problem(problem);
    }
    protocol::Problem problem{.status = response.status};
    problem.detail = fmt::format("{} answered {} {}, not as a Trailer server does", server,
                                 response.status, net::reason_phrase(response.status));
    protocol::throw_problem(problem);
}

json::value read_answer(const net::Response& response, const std::string& server) {
    if (response.status < 200 || response.status >= 300) throw_failure(response, server);
    if (response.body.empty()) return nullptr;
    if (media_type(response) != "application/json") {
        throw Error(
            ErrorKind::invalid, "{} answered, and it is no Trailer server: expected JSON, got {}",
            server,
            media_type(response).empty() ? "something without a type" : media_type(response));
    }
    return wire::parse(response.body);
}

}  // namespace

Api::Api(Target target)
    : target_(std::move(target)),
      client_(context_.get_executor(), net::Endpoint::parse(target_.server)) {}

void Api::run_until(const bool& done) {
    context_.restart();
    while (!done) {
        if (context_.run_one() == 0) {
            throw Error(ErrorKind::internal, "the command waits for something that can't come");
        }
    }
}

net::Request Api::request(std::string method, std::string path) const {
    net::Request request{.method = std::move(method), .target = std::move(path)};
    request.headers.set("Accept", "application/json, application/problem+json");
    if (!target_.token.empty()) request.headers.set("Authorization", "Bearer " + target_.token);
    return request;
}

net::Response Api::fetch(const std::string& path) {
    auto wanted = request("GET", path);
    return run(client_.request(std::move(wanted), aio::Deadline::in(kCallTimeout)));
}

Task<json::value> Api::call(std::string method, std::string path, std::optional<json::value> body) {
    auto wanted = request(std::move(method), std::move(path));
    if (body) {
        wanted.headers.set("Content-Type", "application/json");
        wanted.body = json::serialize(*body);
    }
    const auto response =
        co_await client_.request(std::move(wanted), aio::Deadline::in(kCallTimeout));
    co_return read_answer(response, target_.server);
}

Task<std::vector<json::value>> Api::list_all(Subject subject, std::string group) {
    std::vector<json::value> items;
    std::string cursor;
    for (std::size_t page = 0; page < kMostPages; ++page) {
        auto path = fmt::format("{}?limit={}", path_of(subject), kPageSize);
        if (!group.empty()) path += "&group=" + net::percent_encode(group);
        if (!cursor.empty()) path += "&cursor=" + net::percent_encode(cursor);
        auto answer = co_await call("GET", std::move(path));
        auto* object = answer.if_object();
        auto* some = object != nullptr ? object->if_contains("items") : nullptr;
        if (some == nullptr || !some->is_array()) {
            throw Error(ErrorKind::internal, "{}: its list of {} has no items", target_.server,
                        plural(subject));
        }
        for (auto& each : some->get_array()) items.push_back(std::move(each));
        const auto* next = object->if_contains("next_cursor");
        if (next == nullptr || !next->is_string() || next->get_string().empty()) co_return items;
        cursor = next->get_string();
    }
    throw Error(ErrorKind::internal, "{}: its list of {} does not end", target_.server,
                plural(subject));
}

Task<std::unique_ptr<net::ResponseStream>> Api::open(std::string path, net::Headers headers) {
    auto wanted = request("GET", std::move(path));
    for (const auto& [name, value] : headers) wanted.headers.set(name, value);
    auto stream = co_await client_.open(std::move(wanted), aio::Deadline::in(kCallTimeout));
    auto head = stream->head();
    if (head.status == 200) co_return stream;
    while (head.body.size() < kLargestProblem) {
        auto reading = stream->read();
        auto piece = co_await aio::with_deadline(
            std::move(reading), aio::Deadline::in(kCallTimeout), "reading the server's refusal");
        if (piece.empty()) break;
        head.body += piece;
    }
    throw_failure(head, target_.server);
}

Task<std::unique_ptr<net::WebSocket>> Api::websocket(std::string path, std::string subprotocol,
                                                     aio::Deadline deadline) {
    auto wanted = request("GET", std::move(path));
    wanted.headers.set("Sec-WebSocket-Protocol", subprotocol);
    const net::WebSocketOptions options{.max_message = kLargestFrame};
    std::unique_ptr<net::WebSocket> socket;
    std::optional<net::Response> refusal;
    try {
        socket = co_await client_.websocket(std::move(wanted), deadline, options);
    } catch (const net::UpgradeRefused& e) {
        refusal = e.response();
    }
    if (refusal) throw_failure(*refusal, target_.server);
    if (socket->subprotocol() != subprotocol) {
        throw Error(ErrorKind::internal, "{} does not speak {}: is it an older server?",
                    target_.server, subprotocol);
    }
    co_return socket;
}

}  // namespace trailer::client
