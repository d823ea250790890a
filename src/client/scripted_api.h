// A real small server that plays Trailer's REST API for tests of the verbs: what it answers is set,
// what it was asked is kept. It runs on a thread of its own, because the verbs block theirs.
#pragma once

#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "net/http_server.h"
#include "protocol/api.h"

namespace trailer::client {

class ScriptedApi {
  public:
    struct Answer {
        int status = 200;
        std::string body;
        std::string type = "application/json";
        bool stays_open = false;  // as a stream of events does
    };

    ScriptedApi() {
        asio::co_spawn(context_, server_.serve(),
                       asio::bind_cancellation_slot(stop_.slot(), [](std::exception_ptr) {}));
        thread_ = std::thread([this] { context_.run(); });
    }
    ~ScriptedApi() {
        closing_ = true;
        asio::post(context_, [this] { stop_.emit(asio::cancellation_type::all); });
        thread_.join();
    }
    ScriptedApi(const ScriptedApi&) = delete;
    ScriptedApi& operator=(const ScriptedApi&) = delete;

    std::string url() const { return fmt::format("http://127.0.0.1:{}", server_.port()); }

    // What "GET /api/hosts" gets, with or without a query. Of several, each is given once and the
    // last one ever after.
    void on(const std::string& call, Answer answer) {
        const std::lock_guard lock(mutex_);
        answers_[call].push_back(std::move(answer));
    }
    void on(const std::string& call, std::string body) {
        on(call, Answer{.body = std::move(body)});
    }
    void refuse(const std::string& call, int status, std::string detail,
                std::vector<protocol::Problem::FieldFault> errors = {}) {
        protocol::Problem problem{.status = status, .detail = std::move(detail)};
        problem.errors = std::move(errors);
        on(call, {status, wire::to_json_text(problem), "application/problem+json"});
    }
    void say(const std::vector<protocol::ResourceEvent>& events) {
        std::string text = ": hello\n\n";
        for (const auto& event : events) {
            text += fmt::format("event: resource\nid: {}\ndata: {}\n\n", ++events_,
                                wire::to_json_text(event));
        }
        on("GET /api/events", {200, text, "text/event-stream", true});
    }

    // "GET /api/hosts?limit=1000", in their order.
    std::vector<std::string> calls() const {
        const std::lock_guard lock(mutex_);
        std::vector<std::string> calls;
        for (const auto& request : requests_)
            calls.push_back(request.method + " " + request.target);
        return calls;
    }
    net::Request last() const {
        const std::lock_guard lock(mutex_);
        return requests_.empty() ? net::Request{} : requests_.back();
    }

  private:
    Answer next(const net::Request& request) {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
        auto found = answers_.find(request.method + " " + request.target);
        if (found == answers_.end()) {
            found = answers_.find(fmt::format("{} {}", request.method, request.path()));
        }
        if (found == answers_.end()) {
            return {404, R"({"status": 404, "detail": "there is no such thing"})",
                    "application/problem+json"};
        }
        auto answer = found->second.front();
        if (found->second.size() > 1) found->second.pop_front();
        return answer;
    }

    Task<> handle(net::Exchange* exchange) {
        auto request = exchange->request();
        request.body = co_await exchange->read_body(1 << 20);
        const auto answer = next(request);
        net::Response response{answer.status, {}, answer.body};
        if (!answer.body.empty()) response.headers.set("Content-Type", answer.type);
        if (!answer.stays_open) co_return co_await exchange->respond(std::move(response));
        response.body.clear();
        const auto writer = co_await exchange->stream(std::move(response));
        co_await writer->write(answer.body);
        while (!closing_) co_await aio::sleep(std::chrono::milliseconds(5));
        co_await writer->finish();
    }

    mutable std::mutex mutex_;
    std::map<std::string, std::deque<Answer>> answers_;
    std::vector<net::Request> requests_;
    int events_ = 0;
    std::atomic<bool> closing_ = false;
    asio::io_context context_{1};
    asio::cancellation_signal stop_;
    net::HttpServer server_{context_.get_executor(), {.port = 0}, [this](net::Exchange& exchange) {
                                return handle(&exchange);
                            }};
    std::thread thread_;
};

}  // namespace trailer::client
