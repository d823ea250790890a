// The agent's calls to the server, typed.
//
// While the server is away (it can't be reached, or a proxy answers in its place) one call tries
// and the others wait for what it finds, without a bound: when it is back they all go on at once.
//
// One thread. Errors: unauthenticated (401: register again), RegistrationRefused, and Error with
// the kind that the server's status or the connection's failure means. Messages name the call and
// what the server said.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <optional>
#include <string>

#include "aio/circuit_breaker.h"
#include "base/error.h"
#include "net/http_client.h"
#include "protocol/agent.h"

namespace trailer::agent {

// The server knows why, and waiting for an admin may help.
class RegistrationRefused : public Error {
  public:
    enum class Reason { pending_approval, identity_conflict };

    RegistrationRefused(Reason reason, const std::string& detail)
        : Error(ErrorKind::forbidden, detail), reason_(reason) {}
    Reason reason() const { return reason_; }

  private:
    Reason reason_;
};

class ServerLink {
  public:
    // Throws InvalidInput for a malformed URL. Connects at the first call.
    ServerLink(const asio::any_io_executor& executor, const std::string& server_url);

    std::string url() const { return client_.endpoint().to_string(); }
    // Whoever calls now waits until it is back.
    bool away() const { return breaker_.away(); }

    Task<protocol::ChallengeAnswer> challenge(protocol::ChallengeRequest request);
    // Uses the answer's token from then on.
    Task<protocol::RegisterAnswer> register_host(protocol::RegisterRequest request);

    Task<protocol::HeartbeatAnswer> heartbeat(protocol::HeartbeatRequest request);

    // Nothing when `revision` is the newest. A negative revision: none is known.
    Task<std::optional<protocol::DesiredAnswer>> desired_state(std::int64_t revision,
                                                               std::string history);
    Task<> report(protocol::StatusRequest request);
    // What the server asks a plan for; and the plan.
    Task<protocol::DesiredState> plan_question(std::int64_t id);
    Task<> answer_plan(std::int64_t id, protocol::HostPlan plan);
    Task<std::unique_ptr<net::WebSocket>> realtime();
    // A connection that waits for a session to be opened over it.
    Task<std::unique_ptr<net::WebSocket>> session();
    // One that carries many sessions at once (net/trunk.h).
    Task<std::unique_ptr<net::WebSocket>> trunk();

  private:
    Task<net::Response> call(std::string method, std::string target, std::string body,
                             std::chrono::milliseconds limit);
    Task<std::unique_ptr<net::WebSocket>> websocket(std::string target,
                                                    net::WebSocketOptions options);
    net::Headers headers() const;

    net::HttpClient client_;
    aio::CircuitBreaker breaker_;
    std::string token_;
};

}  // namespace trailer::agent
