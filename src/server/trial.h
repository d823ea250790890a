// What the tests share: a server on a free port, a client of its API, and an agent played by hand.
#pragma once

#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>

#include "aio/task_group.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/id.h"
#include "net/http_client.h"
#include "protocol/api.h"
#include "server/server.h"
#include "wire/json.h"

namespace trailer::server {

namespace json = boost::json;
using namespace std::chrono_literals;

struct Answer {
    int status = 0;
    net::Headers headers;
    std::string text;
    json::value value;

    const json::value& at(std::string_view member) const { return value.as_object().at(member); }
    std::string text_at(std::string_view member) const {
        return std::string(at(member).as_string());
    }
    std::vector<std::string> pointers() const {
        std::vector<std::string> list;
        for (const auto& each : at("errors").as_array()) {
            list.emplace_back(each.as_object().at("pointer").as_string());
        }
        return list;
    }
    std::vector<std::string> names() const {
        std::vector<std::string> list;
        for (const auto& each : at("items").as_array()) {
            list.emplace_back(each.as_object().at("name").as_string());
        }
        return list;
    }
};

// A network, a volume, and a workspace with both.
inline constexpr const char* kDocuments = R"([
  {"kind": "Network", "name": "lab", "spec": {"subnet": "10.1.0.0/24"}},
  {"kind": "Volume", "name": "data"},
  {"kind": "Workspace", "name": "dev", "spec": {"image": "busybox", "env": {"A": "1"},
   "networks": [{"network": "lab"}], "mounts": [{"volume": "data", "target": "/data"}],
   "ports": [{"host": 80, "container": 80}]}}])";

class World {
  public:
    World() { start(); }
    ~World() { std::filesystem::remove_all(directory_); }

    // Runs a script beside the server.
    void play(Task<> script) {
        std::exception_ptr failure;
        bool ended = false;
        asio::co_spawn(context_, run(std::move(script)), [&](std::exception_ptr error) {
            failure = std::move(error);
            ended = true;
        });
        context_.restart();
        context_.run_for(60s);
        ASSERT_TRUE(ended) << "the script did not end";
        if (failure) FAIL() << describe(failure);
    }

    // As after a restart of the process, on the same database.
    Task<> restart() {
        beside_->cancel();
        co_await beside_->join();
        beside_.reset();
        server_.reset();
        start();
        beside_.emplace(context_.get_executor());
        beside_->spawn(server_->serve());
    }

    Task<Answer> call(std::string method, std::string path, json::value body = nullptr,
                      net::Headers headers = {}) {
        net::Request request{method, path, std::move(headers), ""};
        if (!request.headers.find("Authorization") && !token.empty()) {
            request.headers.set("Authorization", "Bearer " + token);
        }
        if (!body.is_null()) request.body = json::serialize(body);
        const auto response = co_await client_->request(std::move(request), aio::Deadline::in(10s));
        Answer answer{response.status, response.headers, response.body, nullptr};
        if (response.headers.get("Content-Type").find("json") != std::string_view::npos) {
            answer.value = wire::parse(response.body);
        }
        co_return answer;
    }
    Task<Answer> apply(std::string documents) {
        co_return co_await call("POST", "/api/apply", wire::parse(documents));
    }

    Task<> log_in() {
        json::object request{{"username", "admin"}, {"password", password}};
        const auto answer = co_await call("POST", "/api/auth/login", std::move(request));
        EXPECT_EQ(answer.status, 200) << answer.text;
        token = answer.text_at("token");
    }

    // Registers an agent with this key; its answer.
    Task<Answer> register_agent(std::string key_owner = "one",
                                std::string registration = std::string(32, 'a')) {
        auto& key = keys_.try_emplace(key_owner, SigningKey::generate()).first->second;
        json::object ask{{"public_key", key.public_key()}};
        const auto given = co_await call("POST", "/api/agent/challenge", std::move(ask));
        protocol::RegisterRequest request;
        request.challenge = given.text_at("challenge");
        request.registration_token = registration;
        request.public_key = key.public_key();
        request.signature =
            key.sign(protocol::signed_text(request.challenge, request.registration_token));
        request.deployment_name = "host-1";
        request.version = "1";
        static_cast<protocol::HostBounds&>(request.capabilities) = allows;
        request.capabilities.cpus = 4;
        request.capabilities.memory_total = 8LL << 30;
        request.capabilities.gpus = gpus;
        request.capabilities.network_drivers = {"bridge", "macvlan"};
        request.capabilities.network_interfaces = {
            {.name = "eth0", .up = true, .addresses = {"192.168.1.5/24", "fd00:1::5/64"}}};
        last_registration = request;
        auto body = wire::to_json(request);
        co_return co_await call("POST", "/api/agent/register", std::move(body));
    }
    // One host, approved; `agent` is its token.
    Task<> add_host() {
        co_await register_agent();
        co_await call("POST", "/api/hosts/host-1/approve", json::object());
        const auto answer = co_await register_agent();
        EXPECT_EQ(answer.status, 200) << answer.text;
        agent = answer.text_at("token");
        host_id = answer.text_at("host_id");
    }
    net::Headers as_agent() const { return {{"Authorization", "Bearer " + agent}}; }
    Task<Answer> desired(std::int64_t revision, std::string history = "") {
        auto path =
            fmt::format("/api/agent/desired-state?revision={}&history={}", revision, history);
        co_return co_await call("GET", std::move(path), nullptr, as_agent());
    }
    Task<Answer> report(std::string kind, std::string id, std::int64_t revision,
                        std::string status) {
        json::array reports;
        reports.emplace_back(
            json::object{{"kind", kind}, {"id", id}, {"revision", revision}, {"status", status}});
        json::object body{{"reports", std::move(reports)}};
        co_return co_await call("POST", "/api/agent/status", std::move(body), as_agent());
    }

    net::HttpClient& client() { return *client_; }
    const std::filesystem::path& directory() const { return directory_; }

    std::string password;
    std::string token;
    std::string agent;
    std::string host_id;
    protocol::RegisterRequest last_registration;
    protocol::HostBounds allows;      // of the host that registers next
    std::vector<protocol::Gpu> gpus;  // of that host

  private:
    void start() {
        ServerConfig config;
        config.http.port = 0;
        config.data_directory = directory_;
        config.version = "test";
        server_ = std::make_unique<Server>(context_.get_executor(), config);
        if (const auto made = server_->initial_admin_password()) password = *made;
        net::Endpoint endpoint{.host = "127.0.0.1", .port = server_->port()};
        client_ = std::make_unique<net::HttpClient>(context_.get_executor(), endpoint);
    }

    Task<> run(Task<> script) {
        beside_.emplace(context_.get_executor());
        beside_->spawn(server_->serve());
        std::exception_ptr failure;
        try {
            co_await std::move(script);
        } catch (...) {
            failure = std::current_exception();
        }
        client_.reset();
        beside_->cancel();
        co_await beside_->join();
        if (failure) std::rethrow_exception(failure);
    }

    std::filesystem::path directory_ =
        std::filesystem::temp_directory_path() / ("trailer-server-" + new_id());
    asio::io_context context_;
    std::unique_ptr<Server> server_;
    std::unique_ptr<net::HttpClient> client_;
    std::optional<aio::TaskGroup> beside_;
    std::map<std::string, SigningKey> keys_;
};

// Of a world that is new in each test.
class WorldTest : public testing::Test {
  protected:
    void play(Task<> (*script)(World&)) { world.play(script(world)); }

    World world;
};

}  // namespace trailer::server
