// A real small server that plays Trailer's for tests: what it answers is set, what it was asked is
// counted.
#pragma once

#include <algorithm>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "aio/task_group.h"
#include "base/crypto.h"
#include "base/log.h"
#include "net/http_server.h"
#include "protocol/api.h"

namespace trailer::agent {

class ScriptedServer {
  public:
    explicit ScriptedServer(const asio::any_io_executor& executor) : executor_(executor) { up(); }

    // What it says.
    bool approved = true;
    bool conflict = false;
    bool enabled = true;
    int fail_with = 0;          // a status for every call but register, or 0
    int refuse_reports_of = 0;  // batches of more than this many are refused with 422, or 0
    std::string host_id = "host-a";
    protocol::HostSettings settings;
    protocol::DesiredState desired;

    // What it was told.
    int challenges = 0;
    int registrations = 0;
    int heartbeats = 0;
    int polls = 0;
    int polls_unchanged = 0;
    int status_batches = 0;
    std::vector<std::int64_t> polled_revisions;
    std::vector<protocol::StatusReport> reports;
    std::vector<std::int64_t> echo_replies;
    protocol::RegisterRequest registered;
    protocol::HeartbeatRequest heartbeat;
    bool signature_is_good = false;

    std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }
    std::size_t sockets() const { return sockets_.size(); }

    // As if its database were another: no token that it gave is good any more.
    void forget_tokens() { tokens_.clear(); }

    void say(protocol::ControlMessage message) {
        for (auto* socket : sockets_) {
            says_->spawn(write(socket, wire::to_json_text(message)));
        }
    }

    // As if its process had been killed and started again in no time.
    void drop_sockets() {
        for (auto* socket : sockets_) socket->abort();
    }

    void up() {
        net::ServerOptions options;
        options.port = port_;
        server_ = std::make_unique<net::HttpServer>(
            executor_, options, [this](net::Exchange& exchange) { return handle(&exchange); });
        port_ = server_->port();
        says_ = std::make_unique<aio::TaskGroup>(executor_);
        says_->spawn(server_->serve());
    }

    // Returns when nothing listens any more.
    Task<> down() {
        says_->cancel();
        for (auto* socket : sockets_) socket->abort();
        co_await says_->join();
        server_.reset();
    }

  private:
    static Task<> write(net::WebSocket* socket, std::string text) {
        co_await socket->write(std::move(text));
    }

    static Task<> answer(net::Exchange* exchange, int status, std::string body,
                         std::string type = "application/json") {
        net::Response response{status, {{"Content-Type", std::move(type)}}, std::move(body)};
        co_await exchange->respond(std::move(response));
    }

    static Task<> problem(net::Exchange* exchange, int status, std::string_view type,
                          std::string detail) {
        protocol::Problem said;
        said.type = type;
        said.status = status;
        said.detail = std::move(detail);
        co_await answer(exchange, status, wire::to_json_text(said), "application/problem+json");
    }

    Task<> handle(net::Exchange* exchange) {
        const std::string path(exchange->request().path());
        auto body = co_await exchange->read_body(1 << 20);
        if (path == "/api/agent/challenge") co_return co_await challenge(exchange);
        if (path == "/api/agent/register") co_return co_await take(exchange, std::move(body));
        const auto token = exchange->request().headers.get("Authorization");
        if (!tokens_.contains(std::string(token))) {
            co_return co_await problem(exchange, 401, "about:blank", "unknown token");
        }
        if (fail_with != 0) {
            co_return co_await problem(exchange, fail_with, "about:blank", "scripted failure");
        }
        if (path == "/api/agent/heartbeat") co_return co_await beat(exchange, std::move(body));
        if (path == "/api/agent/desired-state") co_return co_await state(exchange);
        if (path == "/api/agent/status") co_return co_await status(exchange, std::move(body));
        if (path == "/api/agent/realtime") co_return co_await realtime(exchange);
        co_await problem(exchange, 404, "about:blank", "no such call: " + path);
    }

    Task<> challenge(net::Exchange* exchange) {
        ++challenges;
        challenge_ = random_token();
        protocol::ChallengeAnswer said{challenge_};
        co_await answer(exchange, 200, wire::to_json_text(said));
    }

    Task<> take(net::Exchange* exchange, std::string body) {
        registered = wire::from_json_text<protocol::RegisterRequest>(body);
        signature_is_good = registered.challenge == challenge_ &&
                            verify_signature(registered.public_key,
                                             protocol::signed_text(registered.challenge,
                                                                   registered.registration_token),
                                             registered.signature);
        challenge_.clear();
        if (conflict) {
            co_return co_await problem(exchange, 409, protocol::kProblemIdentityConflict,
                                       "bound to another key");
        }
        if (!approved) {
            co_return co_await problem(exchange, 403, protocol::kProblemPendingApproval,
                                       "pending approval");
        }
        ++registrations;
        protocol::RegisterAnswer said;
        said.host_id = host_id;
        said.name = registered.deployment_name;
        said.token = fmt::format("token-{}", registrations);
        said.enabled = enabled;
        said.settings = settings;
        said.revision = desired.revision;
        tokens_.insert("Bearer " + said.token);
        co_await answer(exchange, 200, wire::to_json_text(said));
    }

    Task<> beat(net::Exchange* exchange, std::string body) {
        ++heartbeats;
        heartbeat = wire::from_json_text<protocol::HeartbeatRequest>(body);
        protocol::HeartbeatAnswer said{enabled, settings, desired.revision};
        co_await answer(exchange, 200, wire::to_json_text(said));
    }

    Task<> state(net::Exchange* exchange) {
        ++polls;
        const auto text = exchange->request().query().find("revision").value_or("-1");
        polled_revisions.push_back(std::stoll(text));
        if (polled_revisions.back() == desired.revision) {
            ++polls_unchanged;
            co_return co_await answer(exchange, 304, "");
        }
        co_await answer(exchange, 200, wire::to_json_text(desired));
    }

    Task<> status(net::Exchange* exchange, std::string body) {
        auto request = wire::from_json_text<protocol::StatusRequest>(body);
        if (refuse_reports_of != 0 && std::ssize(request.reports) > refuse_reports_of) {
            co_return co_await problem(exchange, 422, "about:blank", "scripted refusal");
        }
        ++status_batches;
        std::ranges::move(request.reports, std::back_inserter(reports));
        co_await answer(exchange, 204, "");
    }

    Task<> realtime(net::Exchange* exchange) {
        const auto socket = co_await exchange->accept_websocket();
        const auto here = sockets_.insert(sockets_.end(), socket.get());
        try {
            while (auto message = co_await socket->read()) {
                const auto said = wire::from_json_text<protocol::ControlMessage>(message->data);
                if (said.type == protocol::ControlType::echo_reply) {
                    echo_replies.push_back(said.id.value_or(-1));
                }
            }
        } catch (const Error& e) {
            log::debug("the agent is gone, as sockets() shows: {}", e.what());
        } catch (...) {
            sockets_.erase(here);
            throw;
        }
        sockets_.erase(here);
    }

    asio::any_io_executor executor_;
    std::uint16_t port_ = 0;
    std::unique_ptr<net::HttpServer> server_;
    std::unique_ptr<aio::TaskGroup> says_;
    std::list<net::WebSocket*> sockets_;
    std::set<std::string> tokens_;
    std::string challenge_;
};

}  // namespace trailer::agent
