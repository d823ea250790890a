// One engine's HTTP API: calls, statuses and deadlines; no meaning of its own.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "net/http_client.h"
#include "runtime/runtime.h"

namespace trailer::runtime::docker {

namespace json = boost::json;

// How long the engine may take to answer.
struct AnswerLimits {
    std::chrono::milliseconds change;
    std::chrono::milliseconds look;  // GET
};

class EngineApi {
  public:
    EngineApi(asio::any_io_executor executor, net::Endpoint endpoint, AnswerLimits limits);

    // The answer's JSON, or null for an empty one. A status of 400 and more throws what the engine
    // says, with `doing` ("starting container x"); 304 (already so) does not. Error(timeout) after
    // `limit`, or what limits() has for the method where there is none.
    Task<json::value> call(std::string method, std::string path, json::value body,
                           std::string doing, std::optional<std::chrono::milliseconds> limit = {});
    Task<json::value> get(std::string path, std::string doing);
    // Nothing for a 404.
    Task<std::optional<json::value>> find(std::string path, std::string doing);

    // Calls `each` with every line of a streamed answer.
    Task<> lines(net::Request request, aio::Deadline head, std::string doing,
                 std::function<void(std::string_view)> each);

    // The status alone.
    Task<int> status(net::Request request, std::string doing);
    // Raw bytes both ways, over a connection of its own.
    Task<std::unique_ptr<net::ByteStream>> upgrade(std::string path, json::value body,
                                                   std::string doing);
    // A streamed answer, which may go on for ever.
    Task<std::unique_ptr<net::ResponseStream>> open(std::string path, std::string doing);

    const AnswerLimits& limits() const { return limits_; }

  private:
    Task<net::Response> ask(net::Request request, std::chrono::milliseconds limit,
                            const std::string& doing);
    // "/v1.41", once the engine has told which versions it speaks.
    Task<std::string> prefix();

    net::HttpClient client_;
    net::HttpClient
        streams_;  // of lines(), open() and upgrade(): they must not take the others' places
    AnswerLimits limits_;
    std::string prefix_;
};

// `name` in a path.
std::string path_escape(std::string_view name);

}  // namespace trailer::runtime::docker
