#include "net/websocket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/beast/websocket.hpp>

#include "aio/mutex.h"
#include "net/websocket_stream.h"

namespace trailer::net {
namespace {

namespace http = beast::http;
namespace websocket = beast::websocket;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

// What the kernel knows of a TCP connection; nothing for a unix socket.
std::optional<tcp_info> tcp_state(const asio::generic::stream_protocol::socket& socket) {
    tcp_info info{};
    socklen_t size = sizeof info;
    // native_handle() is not const, and does not change anything.
    const int handle =
        const_cast<asio::generic::stream_protocol::socket&>(socket).native_handle();  // NOLINT
    if (::getsockopt(handle, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
    return info;
}

class Connection : public WebSocket {
  public:
    Connection(Stream stream, WebSocketOptions options)
        : peer_(peer_of(stream.raw().socket())),
          beat_(options.ping_interval / 2),
          socket_(std::move(stream)),
          writing_(socket_.get_executor()),
          pulse_(socket_.get_executor()) {
        // Beast's own idle timeout would end a connection whose reader takes its time.
        websocket::stream_base::timeout timeout{};
        timeout.handshake_timeout = std::chrono::seconds(10);
        timeout.idle_timeout = websocket::stream_base::none();
        timeout.keep_alive_pings = false;
        socket_.next_layer().raw().expires_never();  // the WebSocket has timers of its own
        socket_.set_option(timeout);
        socket_.read_message_max(options.max_message);
        socket_.write_buffer_bytes(options.write_buffer);
        socket_.auto_fragment(false);
    }
    ~Connection() override { *alive_ = false; }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    websocket::stream<Stream>& socket() { return socket_; }
    void set_subprotocol(std::string name) { subprotocol_ = std::move(name); }

    // After the handshake.
    void begin_pulse() {
        pulse_.expires_after(beat_);
        pulse_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
            if (error || !*alive || !socket_.is_open()) return;
            beat();
        });
    }

    Task<std::optional<WebSocketMessage>> read() override {
        WebSocketMessage message;
        auto buffer = asio::dynamic_buffer(message.data);
        reading_ = true;
        const auto [error, count] = co_await socket_.async_read(buffer, kTuple);
        reading_ = false;
        if (error == websocket::error::closed) co_return std::nullopt;
        if (error) fail(error);
        message.binary = socket_.got_binary();
        co_return message;
    }

    Task<> write(std::string data, bool binary) override {
        const auto turn = co_await writing_.lock();  // Beast allows one write at a time
        socket_.binary(binary);
        write_under_way_ = true;
        const auto [error, count] = co_await socket_.async_write(asio::buffer(data), kTuple);
        write_under_way_ = false;
        if (error) fail(error);
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

    void abort() override { drop("the connection was dropped"); }
    std::string peer() const override { return peer_; }
    std::string subprotocol() const override { return subprotocol_; }

  private:
    void drop(std::string why) {
        if (dropped_.empty()) dropped_ = std::move(why);
        socket_.next_layer().close();
    }

    [[noreturn]] void fail(const boost::system::error_code& error) {
        if (!dropped_.empty()) {
            throw Error(ErrorKind::unavailable, "WebSocket with {}: {}", peer_, dropped_);
        }
        throw_failure(error, "WebSocket with " + peer_);
    }

    void beat() {
        if (is_dead()) {
            drop(fmt::format("nothing came for {} s",
                             std::chrono::ceil<std::chrono::seconds>(patience()).count()));
            return;
        }
        if (!pinging_ && !write_under_way_) {
            pinging_ = true;
            socket_.async_ping({}, [this, alive = alive_](const boost::system::error_code&) {
                if (*alive) pinging_ = false;  // a failure shows in read() and write()
            });
        }
        begin_pulse();
    }

    // A beat less than 2 * ping_interval: it passes between the last sign of life and the first
    // look.
    std::chrono::milliseconds patience() const { return 3 * beat_; }

    bool is_dead() {
        const auto state = tcp_state(socket_.next_layer().raw().socket());
        if (!state) return false;
        const auto now = std::chrono::steady_clock::now();
        // Probes of a closed window that nobody answers are lost just so.
        const bool losing = state->tcpi_retransmits > 0 || state->tcpi_probes > 0;
        if (!losing) well_ = now;
        if (now - well_ >= patience()) return true;
        const std::chrono::milliseconds silent{state->tcpi_last_data_recv};
        return reading_ && !write_under_way_ && silent >= patience();
    }

    std::string peer_;
    std::string subprotocol_;
    std::chrono::milliseconds beat_;  // between two looks, each with a ping
    websocket::stream<Stream> socket_;
    aio::Mutex writing_;
    asio::steady_timer pulse_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for handlers that come late
    std::chrono::steady_clock::time_point well_ = std::chrono::steady_clock::now();
    std::string dropped_;  // why, if it was
    bool reading_ = false;
    bool write_under_way_ = false;
    bool pinging_ = false;
};

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
        const auto status = static_cast<int>(answer.result_int());
        Response refusal{.status = status,
                         .headers = {{"Content-Type", answer[http::field::content_type]}},
                         .body = answer.body()};
        throw UpgradeRefused(kind_of_status(status),
                             fmt::format("{}: {} {}", doing, status, reason_phrase(status)),
                             std::move(refusal));
    }
    if (error && deadline.passed()) throw Error(ErrorKind::timeout, "{}: no answer in time", doing);
    if (error) throw_failure(error, doing);
    connection->set_subprotocol(std::string(answer[http::field::sec_websocket_protocol]));
    connection->begin_pulse();
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
    connection->begin_pulse();
    co_return connection;
}

}  // namespace trailer::net
