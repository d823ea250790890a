// An HTTP/1.1 client for one endpoint: keeps connections and uses them again.
//
// One thread. Several calls may be under way, each on a connection of its own, at most
// max_connections; more wait their turn. Errors: Error with kind unavailable (can't connect,
// connection broke), timeout, too_large (the body is over its bound), each naming the endpoint and
// the target. A status of 4xx or 5xx is an answer, not an error. An idempotent request (GET, HEAD,
// PUT, DELETE) that meets a connection which the peer closed while it was idle is sent once more;
// so is any request of which nothing was sent.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "aio/deadline.h"
#include "aio/task.h"
#include "net/byte_stream.h"
#include "net/http.h"
#include "net/websocket.h"

namespace trailer::net {

struct ClientOptions {
    std::size_t max_connections = 16;
    std::size_t max_body = 64 << 20;  // of an answer that is read whole
    std::chrono::milliseconds connect_timeout{10'000};
    std::chrono::milliseconds idle_timeout{30'000};  // then a kept connection is closed
    std::string ca_file;                             // TLS: trusted roots; empty: the system's
};

// An answer whose body arrives piece by piece. Dropping it closes its connection.
class ResponseStream {
  public:
    virtual ~ResponseStream() = default;
    virtual const Response& head() const = 0;  // its body is empty
    // The next piece; "" at the end.
    virtual Task<std::string> read() = 0;
};

struct Upgraded {
    std::unique_ptr<ByteStream> stream;  // null: refused
    Response refusal;
};

class HttpClient {
  public:
    HttpClient(asio::any_io_executor executor, Endpoint endpoint, ClientOptions options = {});
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    const Endpoint& endpoint() const;

    // The whole answer by the deadline.
    Task<Response> request(Request request, aio::Deadline deadline);
    // The head by the deadline; reading the body has none.
    Task<std::unique_ptr<ResponseStream>> open(Request request, aio::Deadline deadline);
    // Sends with "Connection: Upgrade"; a connection of its own. An answer that is neither 101 nor
    // 200 is a refusal.
    Task<Upgraded> upgrade(Request request, aio::Deadline deadline);
    // A connection of its own. An answer that is not 101 throws Error: unauthenticated for 401,
    // forbidden for 403, not_found for 404, unavailable otherwise.
    Task<std::unique_ptr<WebSocket>> websocket(Request request, aio::Deadline deadline,
                                               WebSocketOptions options = {});

    void close_idle();

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;  // shared with the streams that it opened
};

}  // namespace trailer::net
