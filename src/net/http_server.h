// An HTTP/1.1 server with bounds: sizes of head and body, times for each, connections.
//
// One thread: the handler runs on the executor that runs serve(). Connections are kept alive and
// requests answered one after another (pipelined ones wait).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "aio/task.h"
#include "net/byte_stream.h"
#include "net/http.h"
#include "net/websocket.h"

namespace trailer::net {

struct ServerOptions {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8090;             // 0: any free one, see HttpServer::port()
    std::size_t max_head = 16 << 10;       // 431 beyond
    std::size_t max_body = 1 << 20;        // of read_body(); 413 beyond
    std::size_t max_connections = 50'000;  // beyond: accepted and closed with 503
    std::chrono::milliseconds head_timeout{
        15'000};  // from the first byte of a head to its end; 408
    std::chrono::milliseconds body_timeout{60'000};   // 408
    std::chrono::milliseconds write_timeout{60'000};  // a client that does not read is dropped
    std::chrono::milliseconds idle_timeout{75'000};   // between requests
};

// Writes a body piece by piece: in chunks, or as many bytes as the head's Content-Length says. What
// is written where there is no body (HEAD, 304) goes nowhere. Dropping it without finish() breaks
// the connection, so that the client sees that the body is not whole.
class ResponseWriter {
  public:
    virtual ~ResponseWriter() = default;
    // Returns when the piece is handed to the kernel. Throws Error(unavailable) when the client is
    // gone.
    virtual Task<> write(std::string data) = 0;
    virtual Task<> finish() = 0;
};

// One request that is being answered. The handler answers exactly once: respond(), stream(),
// accept_websocket() or take_over(). Dead after the handler returns.
class Exchange {
  public:
    virtual ~Exchange() = default;
    virtual const Request& request() const = 0;  // the head; its body is empty until read_body()
    virtual std::string peer() const = 0;        // "127.0.0.1:5123"
    virtual bool secure() const = 0;
    // Throws Error(too_large), Error(timeout).
    virtual Task<std::string> read_body(std::size_t max_body) = 0;
    // The body as the head tells it: its length (0: there is none), or nothing when it is chunked.
    virtual std::optional<std::uint64_t> body_length() const = 0;
    // The client sends its body when the first piece is asked for (Expect: 100-continue).
    virtual bool expects_continue() const = 0;
    // The next piece of the body; "" at its end. Each has ServerOptions::body_timeout. Throws
    // Error(timeout), Error(unavailable), InvalidInput.
    virtual Task<std::string> read_piece() = 0;
    // After the body: returns when the client has closed its connection.
    virtual Task<> until_gone() = 0;
    virtual Task<> respond(Response response) = 0;
    // `head`'s body, if any, is the first piece, and goes with it.
    virtual Task<std::unique_ptr<ResponseWriter>> stream(Response head) = 0;
    virtual bool wants_websocket() const = 0;
    // `subprotocol`: the one to agree on, if the client offered it. The socket lives as long as the
    // handler does.
    virtual Task<std::unique_ptr<WebSocket>> accept_websocket(WebSocketOptions options = {},
                                                              std::string subprotocol = {}) = 0;
    // Answers with `head` (101), and gives what is left: raw bytes. Lives as long as the handler
    // does.
    virtual Task<std::unique_ptr<ByteStream>> take_over(Response head) = 0;
    virtual bool answered() const = 0;
};

class HttpServer {
  public:
    // A handler that throws before it answered gets a bare 500 sent and the failure logged: catch
    // inside.
    using Handler = std::function<Task<>(Exchange&)>;

    // Binds at once. Throws Error(unavailable) that says what to do when the port is taken.
    HttpServer(asio::any_io_executor executor, ServerOptions options, Handler handler);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    std::uint16_t port() const;

    // Accepts until cancelled; then closes what is idle, gives answers under way two seconds, and
    // returns when the last handler has ended.
    Task<> serve();

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace trailer::net
