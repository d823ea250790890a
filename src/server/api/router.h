// Which handler answers which method and path.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/http_server.h"
#include "server/service/auth.h"

namespace trailer::server::api {

// Who may call a route.
enum class Access {
    anyone,  // the handler itself looks, if at all
    user,    // a person or program with a token or a session
    agent,   // an agent with its own token
};

// One request that is being answered.
struct Call {
    net::Exchange& exchange;
    std::vector<std::string> parameters;  // of the path, decoded, in their order
    net::Query query;
    Caller caller;        // where Access is user
    std::string host_id;  // where Access is agent

    // The body as JSON. Throws InvalidInput, Error(too_large).
    Task<boost::json::value> body(std::size_t most = 1 << 20);
    Task<> answer(int status, std::string json_text);
    Task<> answer_nothing();  // 204
    // Where the caller is: the peer, or whom a reverse proxy on this machine tells of.
    std::string address() const;
};

using Handler = std::function<Task<>(Call&)>;

struct Route {
    std::string method;
    std::string path;  // "/api/hosts/{host}"
    Access access = Access::user;
    Handler handler;
};

class Router {
  public:
    void add(std::string method, std::string path, Access access, Handler handler);
    const std::vector<Route>& routes() const { return routes_; }

    struct Match {
        const Route* route = nullptr;
        std::vector<std::string> parameters;
        std::vector<std::string> allowed;  // methods of that path, when none matched
    };
    Match match(std::string_view method, std::string_view path) const;

  private:
    std::vector<Route> routes_;
};

// The problem (RFC 9457) that says what `error` says.
net::Response problem_response(const std::exception& error);

// A whole number within the range, or nothing.
std::optional<std::int64_t> parse_number(std::string_view text, std::int64_t least,
                                         std::int64_t most);
// "true", "false" or nothing. Throws InvalidInput.
bool query_flag(const net::Query& query, const std::string& name);
// Throws InvalidInput for what is no whole number within the range.
std::int64_t query_number(const net::Query& query, const std::string& name, std::int64_t least,
                          std::int64_t most, std::int64_t otherwise);

}  // namespace trailer::server::api
