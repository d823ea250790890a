// The one byte stream under HTTP and WebSocket: TCP, a unix socket, or TLS over TCP. One type, so
// that Beast's algorithms are compiled once. Included by net/*.cpp only.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <memory>
#include <optional>
#include <span>

#include "aio/at_once.h"
#include "aio/deadline.h"
#include "net/byte_stream.h"
#include "net/http.h"

namespace trailer::net {

namespace beast = boost::beast;

using RawStream = beast::basic_stream<asio::generic::stream_protocol, asio::any_io_executor>;

// Meets Beast's AsyncStream. Deadlines: set raw().expires_at/after before an operation; it ends
// with beast::error::timeout and the socket is closed.
class Stream {
  public:
    using executor_type = asio::any_io_executor;
    using Tls = asio::ssl::stream<RawStream&>;

    explicit Stream(asio::any_io_executor executor) : raw_(std::make_unique<RawStream>(executor)) {}
    explicit Stream(asio::generic::stream_protocol::socket socket)
        : raw_(std::make_unique<RawStream>(std::move(socket))) {}
    Stream(Stream&&) = default;
    Stream& operator=(Stream&&) = default;

    executor_type get_executor() { return raw_->get_executor(); }
    RawStream& raw() { return *raw_; }
    Tls& start_tls(asio::ssl::context& context) {
        tls_ = std::make_unique<Tls>(*raw_, context);
        return *tls_;
    }
    bool secure() const { return tls_ != nullptr; }

    template <typename Buffers, typename Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
            [](auto handler, Stream* self, Buffers data) {
                if (self->tls_) {
                    self->tls_->async_read_some(data, std::move(handler));
                } else {
                    self->raw_->async_read_some(data, std::move(handler));
                }
            },
            token, this, buffers);
    }

    template <typename Buffers, typename Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
            [](auto handler, Stream* self, Buffers data) {
                if (self->tls_) {
                    self->tls_->async_write_some(data, std::move(handler));
                } else {
                    self->raw_->async_write_some(data, std::move(handler));
                }
            },
            token, this, buffers);
    }

    // What the kernel takes at once is written without waiting, and taken from `buffers`; true when
    // that is all. The rest, and what went wrong, is async_write_some()'s. For who has the turn to
    // write. No effect with TLS.
    bool write_now(std::span<asio::const_buffer> buffers);

    void close() {
        boost::system::error_code ignored;
        raw_->socket().close(ignored);
    }

  private:
    std::unique_ptr<RawStream> raw_;
    std::unique_ptr<Tls> tls_;
};

// Connects, with TLS where the endpoint says so. Throws Error(unavailable) that names the endpoint,
// or Error(timeout).
Task<Stream> connect(const Endpoint& endpoint, asio::ssl::context* tls, aio::Deadline deadline);

// What is left of a connection after an upgrade: raw bytes, beginning with those that came together
// with the head.
class RawBytes : public ByteStream {
  public:
    RawBytes(Stream stream, beast::flat_buffer early, std::string doing)
        : stream_(std::move(stream)), early_(std::move(early)), doing_(std::move(doing)) {}

    Task<std::string> read() override;
    Task<> write(std::string data) override;
    void shutdown_write() override;
    void abort() override { stream_.close(); }

  private:
    Stream stream_;
    beast::flat_buffer early_;
    std::string doing_;
};

// Gives a parser of Beast's what has been read already: it takes one chunk at a time, and a log's
// lines are a chunk each. (If it is told to be eager it waits for the head of the next chunk before
// it gives the last one.)
template <typename Parser>
void take_what_is_here(Parser& parser, beast::flat_buffer& buffer,
                       boost::system::error_code& error) {
    while (!error && !parser.is_done() && buffer.size() > 0 && parser.get().body().size > 0) {
        buffer.consume(parser.put(buffer.data(), error));
    }
    if (error == beast::http::error::need_more) error = {};
}

// "127.0.0.1:5123", or "unix" for a unix socket.
std::string peer_of(const asio::generic::stream_protocol::socket& socket);

// Error(timeout) or Error(unavailable) for what Beast and Asio report; a cancellation stays itself.
[[noreturn]] void throw_failure(const boost::system::error_code& error, std::string_view doing);

}  // namespace trailer::net
