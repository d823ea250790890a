#include "agent/server_link.h"

#include "net/trunk.h"
#include "protocol/api.h"
#include "protocol/session.h"

namespace trailer::agent {
namespace {

using namespace std::chrono_literals;

// A desired state of a thousand workspaces has a few megabytes; the rest answers in milliseconds.
constexpr auto kCallLimit = 10s;
constexpr auto kDesiredStateLimit = 60s;
constexpr std::size_t kMostBody = 64 << 20;

// A session waits a minute for its connection: a server that is back must be found well before.
// With full jitter ten thousand agents come at two thousand a second.
constexpr auto kFirstWait = 250ms;
constexpr auto kLongestWait = 10s;

net::ClientOptions client_options() {
    net::ClientOptions options;
    options.max_connections = 4;  // heartbeat, poll, status, and one to spare
    options.max_body = kMostBody;
    return options;
}

// What the server said in a problem (RFC 9457); empty for anything else, such as a proxy's page.
protocol::Problem problem_of(const net::Response& response) {
    if (!response.headers.get("Content-Type").starts_with("application/problem+json")) return {};
    try {
        return wire::from_json_text<protocol::Problem>(response.body);
    } catch (const InvalidInput&) {
        return {};  // not a problem after all: the status alone has to do
    }
}

std::string said(const net::Response& response, const protocol::Problem& problem) {
    std::string text = problem.detail.empty() ? problem.title : problem.detail;
    if (text.empty()) text = net::reason_phrase(response.status);
    for (const auto& fault : problem.errors) {
        text += fmt::format("; {}: {}", fault.pointer, fault.detail);
    }
    return text;
}

// What a reverse proxy says of a server that it does not reach.
bool is_of_a_proxy(int status) {
    return status >= 502 && status <= 504;
}

bool means_away(const Error& error) {
    return error.kind() == ErrorKind::unavailable || error.kind() == ErrorKind::timeout;
}

template <typename T>
T decode(const net::Response& response, const std::string& doing) {
    try {
        return wire::from_json_text<T>(response.body);
    } catch (const InvalidInput& e) {
        throw Error(ErrorKind::unavailable,
                    "{}: the answer is not understood ({}); is this "
                    "address a Trailer server's?",
                    doing, e.what());
    }
}

}  // namespace

ServerLink::ServerLink(const asio::any_io_executor& executor, const std::string& server_url)
    : client_(executor, net::Endpoint::parse(server_url), client_options()),
      breaker_(executor, aio::Backoff(kFirstWait, kLongestWait)) {}

net::Headers ServerLink::headers() const {
    net::Headers headers{{"Accept", "application/json"}};
    if (!token_.empty()) headers.set("Authorization", "Bearer " + token_);
    return headers;
}

Task<net::Response> ServerLink::call(std::string method, std::string target, std::string body,
                                     std::chrono::milliseconds limit) {
    const auto doing = fmt::format("{} {}{}", method, url(), target.substr(0, target.find('?')));
    auto turn = co_await breaker_.turn();
    net::Request request{std::move(method), std::move(target), headers(), std::move(body)};
    if (!request.body.empty()) request.headers.set("Content-Type", "application/json");
    net::Response response;
    try {
        response = co_await client_.request(std::move(request), aio::Deadline::in(limit));
    } catch (const Error& e) {
        if (means_away(e)) turn.failed();
        throw;
    }
    is_of_a_proxy(response.status) ? turn.failed() : turn.reached();
    if (response.status < 400) co_return response;

    const auto problem = problem_of(response);
    using Reason = RegistrationRefused::Reason;
    if (problem.type == protocol::kProblemPendingApproval) {
        throw RegistrationRefused(Reason::pending_approval, said(response, problem));
    }
    if (problem.type == protocol::kProblemIdentityConflict) {
        throw RegistrationRefused(Reason::identity_conflict, said(response, problem));
    }
    throw Error(net::kind_of_status(response.status), "{}: {} {}", doing, response.status,
                said(response, problem));
}

Task<protocol::ChallengeAnswer> ServerLink::challenge(protocol::ChallengeRequest request) {
    auto body = wire::to_json_text(request);
    const auto response =
        co_await call("POST", "/api/agent/challenge", std::move(body), kCallLimit);
    co_return decode<protocol::ChallengeAnswer>(response, "POST /api/agent/challenge");
}

Task<protocol::RegisterAnswer> ServerLink::register_host(protocol::RegisterRequest request) {
    token_.clear();
    auto body = wire::to_json_text(request);
    const auto response = co_await call("POST", "/api/agent/register", std::move(body), kCallLimit);
    auto answer = decode<protocol::RegisterAnswer>(response, "POST /api/agent/register");
    token_ = answer.token;
    co_return answer;
}

Task<protocol::HeartbeatAnswer> ServerLink::heartbeat(protocol::HeartbeatRequest request) {
    auto body = wire::to_json_text(request);
    const auto response =
        co_await call("POST", "/api/agent/heartbeat", std::move(body), kCallLimit);
    co_return decode<protocol::HeartbeatAnswer>(response, "POST /api/agent/heartbeat");
}

Task<std::optional<protocol::DesiredAnswer>> ServerLink::desired_state(std::int64_t revision,
                                                                       std::string history) {
    auto target = fmt::format("/api/agent/desired-state?revision={}", revision);
    if (!history.empty()) target += "&history=" + net::percent_encode(history);
    const auto response = co_await call("GET", std::move(target), "", kDesiredStateLimit);
    if (response.status == 304) co_return std::nullopt;
    co_return decode<protocol::DesiredAnswer>(response, "GET /api/agent/desired-state");
}

Task<> ServerLink::report(protocol::StatusRequest request) {
    auto body = wire::to_json_text(request);
    co_await call("POST", "/api/agent/status", std::move(body), kCallLimit);
}

Task<protocol::DesiredState> ServerLink::plan_question(std::int64_t id) {
    auto target = fmt::format("/api/agent/plans/{}", id);
    const auto response = co_await call("GET", std::move(target), "", kDesiredStateLimit);
    co_return decode<protocol::DesiredState>(response, "GET /api/agent/plans");
}

Task<> ServerLink::answer_plan(std::int64_t id, protocol::HostPlan plan) {
    auto target = fmt::format("/api/agent/plans/{}", id);
    auto body = wire::to_json_text(plan);
    co_await call("POST", std::move(target), std::move(body), kCallLimit);
}

Task<std::unique_ptr<net::WebSocket>> ServerLink::websocket(std::string target,
                                                            net::WebSocketOptions options) {
    auto turn = co_await breaker_.turn();
    net::Request request{"GET", std::move(target), headers(), ""};
    try {
        auto socket =
            co_await client_.websocket(std::move(request), aio::Deadline::in(kCallLimit), options);
        turn.reached();
        co_return socket;
    } catch (const Error& e) {
        if (means_away(e)) turn.failed();
        throw;
    }
}

Task<std::unique_ptr<net::WebSocket>> ServerLink::realtime() {
    net::WebSocketOptions options;
    options.max_message = 64 << 10;  // control messages have tens of bytes
    return websocket("/api/agent/realtime", options);
}

Task<std::unique_ptr<net::WebSocket>> ServerLink::session() {
    net::WebSocketOptions options;
    options.max_message = 2 * protocol::kMostSessionData;
    return websocket("/api/agent/session", options);
}

Task<std::unique_ptr<net::WebSocket>> ServerLink::trunk() {
    net::WebSocketOptions options;
    options.max_message = net::Trunk::kMostCarried;
    return websocket("/api/agent/trunk", options);
}

}  // namespace trailer::agent
