// The server's REST API, called from a program that has nothing else to do: each call blocks until
// its answer is there. Coroutines (the event feed, waiting) run on the same loop by run().
//
// Errors: what the server's problem says, as protocol::throw_problem makes it; Error(unavailable)
// where it can't be reached. Every call has a deadline.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/value.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aio/task.h"
#include "client/connection.h"
#include "client/subject.h"
#include "net/http_client.h"

namespace trailer::client {

class Api {
  public:
    explicit Api(Target target);

    const std::string& server() const { return target_.server; }
    bool has_token() const { return !target_.token.empty(); }

    boost::json::value get(const std::string& path) { return run(call("GET", path)); }
    boost::json::value post(const std::string& path, boost::json::value body) {
        return run(call("POST", path, std::move(body)));
    }
    void remove(const std::string& path) { run(call("DELETE", path)); }
    // All of them, or those of a group, page by page.
    std::vector<boost::json::value> list(Subject subject, std::string group = {}) {
        return run(list_all(subject, std::move(group)));
    }
    // The answer as it came, whatever its status.
    net::Response fetch(const std::string& path);

    // Null where the answer has no body.
    Task<boost::json::value> call(std::string method, std::string path,
                                  std::optional<boost::json::value> body = {});
    Task<std::vector<boost::json::value>> list_all(Subject subject, std::string group = {});
    // An answer of 200, whose body is then read piece by piece.
    Task<std::unique_ptr<net::ResponseStream>> open(std::string path, net::Headers headers);

    // A WebSocket that has agreed on `subprotocol`.
    Task<std::unique_ptr<net::WebSocket>> websocket(std::string path, std::string subprotocol,
                                                    aio::Deadline deadline);

    asio::any_io_executor executor() { return context_.get_executor(); }

    // Runs the loop until `task` has ended; gives what it returns or throws what it throws.
    template <typename T>
    T run(Task<T> task) {
        bool done = false;
        std::exception_ptr failure;
        std::optional<T> result;
        asio::co_spawn(context_, optional_of(std::move(task)),
                       [&](std::exception_ptr error, std::optional<T> value) {
                           done = true;
                           failure = std::move(error);
                           result = std::move(value);
                       });
        run_until(done);
        if (failure) std::rethrow_exception(failure);
        return std::move(*result);
    }

  private:
    // Optional, because co_spawn needs a result with a default constructor.
    template <typename T>
    static Task<std::optional<T>> optional_of(Task<T> task) {
        co_return co_await std::move(task);
    }
    void run_until(const bool& done);
    net::Request request(std::string method, std::string path) const;

    Target target_;
    asio::io_context context_{1};
    net::HttpClient client_;
};

}  // namespace trailer::client
