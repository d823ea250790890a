#include "runtime/docker/engine_api.h"

#include "base/error.h"
#include "runtime/docker/codec.h"
#include "wire/json.h"

namespace trailer::runtime::docker {
namespace {

constexpr int kOurMinor = 41;  // of API version 1.x: what this backend is written against
constexpr std::size_t kMostRefusal = 64 << 10;
// Stops wait for their processes, and keep a connection each.
constexpr std::size_t kMostCalls = 64;
constexpr std::size_t kMostStreams = 4096;  // those who open streams have bounds of their own

// "1.41" -> 41; 0 for what is not 1.x.
int minor_of(const json::value& version, std::string_view member) {
    const auto* object = version.if_object();
    const auto* value = object != nullptr ? object->if_contains(member) : nullptr;
    const auto* text = value != nullptr ? value->if_string() : nullptr;
    if (text == nullptr || !text->starts_with("1.")) return 0;
    return std::atoi(text->c_str() + 2);
}

json::value parse_answer(std::string_view body, const std::string& doing) {
    if (body.empty()) return nullptr;
    boost::system::error_code error;
    auto value = json::parse(json::string_view(body.data(), body.size()), error);
    if (error) throw Error(ErrorKind::internal, "{}: the engine's answer is not JSON", doing);
    return value;
}

net::Request make_request(std::string method, std::string target, const json::value& body) {
    net::Request request{.method = std::move(method), .target = std::move(target)};
    if (!body.is_null()) {
        request.headers.set("Content-Type", "application/json");
        request.body = json::serialize(body);
    }
    return request;
}

}  // namespace

std::string path_escape(std::string_view name) {
    return net::percent_encode(name);
}

EngineApi::EngineApi(asio::any_io_executor executor, net::Endpoint endpoint, AnswerLimits limits)
    : client_(executor, endpoint, {.max_connections = kMostCalls}),
      streams_(executor, endpoint, {.max_connections = kMostStreams}),
      limits_(limits) {}

Task<net::Response> EngineApi::ask(net::Request request, std::chrono::milliseconds limit,
                                   const std::string& doing) {
    try {
        co_return co_await client_.request(std::move(request), aio::Deadline::in(limit));
    } catch (const Error& e) {
        if (e.kind() != ErrorKind::timeout) throw;
        throw Error(
            ErrorKind::timeout,
            "{}: the engine gave no answer within {}; where that lasts, it hangs: restart it",
            doing, format_duration(limit));
    }
}

Task<std::string> EngineApi::prefix() {
    if (!prefix_.empty()) co_return prefix_;
    net::Request request{.target = "/version"};
    const std::string doing = "asking the engine for its version";
    const auto answer = co_await ask(std::move(request), limits_.look, doing);
    if (answer.status != 200) throw_engine_error(answer.status, answer.body, doing);
    const auto version = parse_answer(answer.body, doing);
    const int newest = minor_of(version, "ApiVersion");
    const int oldest = minor_of(version, "MinAPIVersion");
    if (newest < kOurMinor) {
        throw Error(ErrorKind::invalid,
                    "the engine at {} speaks API 1.{}; 1.{} or later is needed: update the engine",
                    client_.endpoint().to_string(), newest, kOurMinor);
    }
    prefix_ = fmt::format("/v1.{}", std::max(oldest, kOurMinor));
    co_return prefix_;
}

Task<json::value> EngineApi::call(std::string method, std::string path, json::value body,
                                  std::string doing,
                                  std::optional<std::chrono::milliseconds> limit) {
    if (!limit) limit = method == "GET" ? limits_.look : limits_.change;
    auto target = co_await prefix() + path;
    auto request = make_request(std::move(method), std::move(target), body);
    const auto answer = co_await ask(std::move(request), *limit, doing);
    if (answer.status >= 400) throw_engine_error(answer.status, answer.body, doing);
    co_return parse_answer(answer.body, doing);
}

Task<json::value> EngineApi::get(std::string path, std::string doing) {
    co_return co_await call("GET", std::move(path), nullptr, std::move(doing));
}

Task<std::optional<json::value>> EngineApi::find(std::string path, std::string doing) {
    auto target = co_await prefix() + path;
    auto request = make_request("GET", std::move(target), nullptr);
    const auto answer = co_await ask(std::move(request), limits_.look, doing);
    if (answer.status == 404) co_return std::nullopt;
    if (answer.status >= 400) throw_engine_error(answer.status, answer.body, doing);
    co_return parse_answer(answer.body, doing);
}

Task<> EngineApi::lines(net::Request request, aio::Deadline head, std::string doing,
                        std::function<void(std::string_view)> each) {
    request.target = co_await prefix() + request.target;
    // As long as a registry or a build takes: not one of those that calls wait for.
    auto stream = co_await streams_.open(std::move(request), head);
    const int status = stream->head().status;
    std::string refusal;
    LineSplitter splitter;
    if (status < 400) each("");
    for (;;) {
        const auto piece = co_await stream->read();
        if (piece.empty()) break;
        if (status >= 400) {
            refusal += piece;
        } else {
            splitter.feed(piece, each);
        }
    }
    if (status >= 400) throw_engine_error(status, refusal, doing);
}

Task<int> EngineApi::status(net::Request request, std::string doing) {
    request.target = co_await prefix() + request.target;
    const auto answer = co_await ask(std::move(request), limits_.look, doing);
    if (answer.status >= 500) throw_engine_error(answer.status, answer.body, doing);
    co_return answer.status;
}

Task<std::unique_ptr<net::ByteStream>> EngineApi::upgrade(std::string path, json::value body,
                                                          std::string doing) {
    auto target = co_await prefix() + path;
    auto request = make_request("POST", std::move(target), body);
    auto opened = co_await streams_.upgrade(std::move(request), aio::Deadline::in(limits_.change));
    if (opened.stream == nullptr) {
        throw_engine_error(opened.refusal.status, opened.refusal.body, doing);
    }
    co_return std::move(opened.stream);
}

Task<std::unique_ptr<net::ResponseStream>> EngineApi::open(std::string path, std::string doing) {
    auto target = co_await prefix() + path;
    auto request = make_request("GET", std::move(target), nullptr);
    auto stream = co_await streams_.open(std::move(request), aio::Deadline::in(limits_.look));
    if (stream->head().status < 400) co_return stream;
    std::string refusal;
    for (;;) {
        const auto piece = co_await stream->read();
        if (piece.empty() || refusal.size() > kMostRefusal) break;
        refusal += piece;
    }
    throw_engine_error(stream->head().status, refusal, doing);
}

}  // namespace trailer::runtime::docker
