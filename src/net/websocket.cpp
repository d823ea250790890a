#include "net/websocket.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include "aio/mutex.h"
#include "net/websocket_stream.h"

namespace trailer::net {
namespace {

namespace http = beast::http;
namespace websocket = beast::websocket;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

class Connection : public WebSocket {
  public:
    Connection(Stream stream, WebSocketOptions options)
        : peer_(peer_of(stream.raw().socket())),
          socket_(std::move(stream)),
          writing_(socket_.get_executor()) {
        // Beast pings when half of idle_timeout has passed in silence, and gives up after all of
        // it.
        websocket::stream_base::timeout timeout{};
        timeout.handshake_timeout = std::chrono::seconds(10);
        timeout.idle_timeout = 2 * options.ping_interval;
        timeout.keep_alive_pings = true;
        socket_.next_layer().raw().expires_never();  // the WebSocket has timers of its own
        socket_.set_option(timeout);
        socket_.read_message_max(options.max_message);
        socket_.write_buffer_bytes(8192);
        socket_.auto_fragment(false);
    }

    websocket::stream<Stream>& socket() { return socket_; }
    void set_subprotocol(std::string name) { subprotocol_ = std::move(name); }

    Task<std::optional<WebSocketMessage>> read() override {
        beast::flat_buffer buffer;
        const auto [error, count] = co_await socket_.async_read(buffer, kTuple);
        if (error == websocket::error::closed) co_return std::nullopt;
        if (error) throw_failure(error, "WebSocket with " + peer_);
        co_return WebSocketMessage{
            socket_.got_binary(),
            std::string(static_cast<const char*>(buffer.data().data()), buffer.size())};
    }

    Task<> write(std::string data, bool binary) override {
        const auto turn = co_await writing_.lock();  // Beast allows one write at a time
        socket_.binary(binary);
        const auto [error, count] = co_await socket_.async_write(asio::buffer(data), kTuple);
        if (error) throw_failure(error, "WebSocket with " + peer_);
    }

    Task<> close(int code, std::string reason) override {
        if (!socket_.is_open()) co_return;
        asio::steady_timer limit(socket_.get_executor(), std::chrono::seconds(1));
        limit.async_wait([this](const boost::system::error_code& error) {
            if (!error) abort();
        });
        const auto turn = co_await writing_.lock();
        const websocket::close_reason why(static_cast<websocket::close_code>(code),
                                          std::string_view(reason).substr(0, 120));
        co_await socket_.async_close(why, kTuple);
        limit.cancel();
    }

    void abort() override { socket_.next_layer().close(); }
    std::string peer() const override { return peer_; }
    std::string subprotocol() const override { return subprotocol_; }

  private:
    std::string peer_;
    std::string subprotocol_;
    websocket::stream<Stream> socket_;
    aio::Mutex writing_;
};

ErrorKind kind_of_status(unsigned status) {
    switch (status) {
        case 401:
            return ErrorKind::unauthenticated;
        case 403:
            return ErrorKind::forbidden;
        case 404:
            return ErrorKind::not_found;
        default:
            return ErrorKind::unavailable;
    }
}

}  // namespace

Task<std::unique_ptr<WebSocket>> open_websocket(Stream stream, Endpoint endpoint, Request request,
                                                aio::Deadline deadline, WebSocketOptions options) {
    const auto doing =
        fmt::format("opening a WebSocket to {}{}", endpoint.to_string(), request.path());
    auto connection = std::make_unique<Connection>(std::move(stream), options);
    auto& socket = connection->socket();
    socket.set_option(websocket::stream_base::decorator([&](websocket::request_type& upgrade) {
        for (const auto& [name, value] : request.headers) upgrade.insert(name, value);
    }));
    asio::steady_timer limit(socket.get_executor(), deadline.at);
    limit.async_wait([&](const boost::system::error_code& error) {
        if (!error) connection->abort();
    });
    websocket::response_type answer;
    const auto host = fmt::format("{}:{}", endpoint.host, endpoint.port);
    const auto [error] =
        co_await socket.async_handshake(answer, host, endpoint.prefix + request.target, kTuple);
    limit.cancel();
    if (error == websocket::error::upgrade_declined) {
        throw Error(kind_of_status(answer.result_int()), "{}: {} {}", doing, answer.result_int(),
                    reason_phrase(static_cast<int>(answer.result_int())));
    }
    if (error && deadline.passed()) throw Error(ErrorKind::timeout, "{}: no answer in time", doing);
    if (error) throw_failure(error, doing);
    connection->set_subprotocol(std::string(answer[http::field::sec_websocket_protocol]));
    co_return connection;
}

Task<std::unique_ptr<WebSocket>> accept_websocket_on(Stream stream,
                                                     http::request<http::string_body> upgrade,
                                                     WebSocketOptions options,
                                                     std::string subprotocol) {
    auto connection = std::make_unique<Connection>(std::move(stream), options);
    auto& socket = connection->socket();
    const bool agreed =
        !subprotocol.empty() &&
        http::token_list(upgrade[http::field::sec_websocket_protocol]).exists(subprotocol);
    if (agreed) {
        connection->set_subprotocol(subprotocol);
        socket.set_option(websocket::stream_base::decorator([&](websocket::response_type& answer) {
            answer.set(http::field::sec_websocket_protocol, subprotocol);
        }));
    }
    const auto [error] = co_await socket.async_accept(upgrade, kTuple);
    if (error) throw_failure(error, "accepting a WebSocket from " + connection->peer());
    co_return connection;
}

}  // namespace trailer::net
