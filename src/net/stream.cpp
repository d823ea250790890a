#include "net/stream.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>

#include "base/buffer.h"

namespace trailer::net {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kRawPiece = 64 << 10;

Task<std::vector<asio::generic::stream_protocol::endpoint>> addresses_of(const Endpoint& endpoint,
                                                                         aio::Deadline deadline) {
    std::vector<asio::generic::stream_protocol::endpoint> addresses;
    if (endpoint.transport == Endpoint::Transport::unix_socket) {
        addresses.emplace_back(asio::local::stream_protocol::endpoint(endpoint.path));
        co_return addresses;
    }
    boost::system::error_code literal_error;
    const auto literal = asio::ip::make_address(endpoint.host, literal_error);
    if (!literal_error) {
        addresses.emplace_back(asio::ip::tcp::endpoint(literal, endpoint.port));
        co_return addresses;
    }
    asio::ip::tcp::resolver resolver(co_await asio::this_coro::executor);
    asio::steady_timer limit(co_await asio::this_coro::executor, deadline.at);
    limit.async_wait([&](const boost::system::error_code& error) {
        if (!error) resolver.cancel();
    });
    const auto [error, results] =
        co_await resolver.async_resolve(endpoint.host, std::to_string(endpoint.port), kTuple);
    limit.cancel();
    if (error) {
        if ((co_await asio::this_coro::cancellation_state).cancelled() !=
            asio::cancellation_type::none) {
            throw boost::system::system_error(asio::error::operation_aborted);
        }
        throw Error(ErrorKind::unavailable, "looking up {}: {}", endpoint.host, error.message());
    }
    for (const auto& result : results) addresses.emplace_back(result.endpoint());
    co_return addresses;
}

}  // namespace

bool Stream::write_now(std::span<asio::const_buffer> buffers) {
    constexpr std::size_t kMostBuffers = 8;
    if (tls_ || buffers.size() > kMostBuffers) return false;
    std::array<iovec, kMostBuffers> parts{};
    std::size_t left = 0;
    for (std::size_t i = 0; i < buffers.size(); ++i) {
        // The kernel reads what iovec calls void*.
        parts[i] = {const_cast<void*>(buffers[i].data()), buffers[i].size()};  // NOLINT
        left += buffers[i].size();
    }
    const msghdr message{.msg_iov = parts.data(), .msg_iovlen = buffers.size()};
    const auto count =
        ::sendmsg(raw_->socket().native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count <= 0) return false;
    auto taken = static_cast<std::size_t>(count);
    const bool all = taken == left;
    for (auto& buffer : buffers) {
        const auto of_this = std::min(taken, buffer.size());
        buffer += of_this;
        taken -= of_this;
    }
    return all;
}

Task<Stream> connect(const Endpoint& endpoint, asio::ssl::context* tls, aio::Deadline deadline) {
    const auto addresses = co_await addresses_of(endpoint, deadline);
    boost::system::error_code last = asio::error::host_not_found;
    for (const auto& address : addresses) {
        Stream stream(co_await asio::this_coro::executor);
        stream.raw().expires_at(deadline.at);
        const auto [error] = co_await stream.raw().async_connect(address, kTuple);
        last = error;
        if (error == asio::error::operation_aborted || error == beast::error::timeout) break;
        if (error) continue;
        if (endpoint.transport != Endpoint::Transport::unix_socket) {
            boost::system::error_code ignored;
            stream.raw().socket().set_option(asio::ip::tcp::no_delay(true), ignored);
        }
        if (endpoint.transport == Endpoint::Transport::tls) {
            auto& secure = stream.start_tls(*tls);
            secure.set_verify_mode(asio::ssl::verify_peer);
            secure.set_verify_callback(asio::ssl::host_name_verification(endpoint.host));
            SSL_set_tlsext_host_name(secure.native_handle(), endpoint.host.c_str());
            const auto [tls_error] =
                co_await secure.async_handshake(asio::ssl::stream_base::client, kTuple);
            if (tls_error) throw_failure(tls_error, "TLS handshake with " + endpoint.to_string());
        }
        stream.raw().expires_never();
        co_return stream;
    }
    throw_failure(last, "connecting to " + endpoint.to_string());
}

Task<std::string> RawBytes::read() {
    if (early_.size() > 0) {
        std::string piece(static_cast<const char*>(early_.data().data()), early_.size());
        early_.clear();
        co_return piece;
    }
    auto piece = raw_string(kRawPiece);
    const auto [error, count] = co_await stream_.async_read_some(asio::buffer(piece), kTuple);
    if (error && error != asio::error::eof) throw_failure(error, doing_);
    cut(piece, count);
    co_return piece;
}

Task<> RawBytes::write(std::string data) {
    asio::const_buffer left = asio::buffer(data);
    if (stream_.write_now({&left, 1})) co_return;
    const auto [error, count] = co_await asio::async_write(stream_, left, aio::AtOnce{}, kTuple);
    if (error) throw_failure(error, doing_);
}

void RawBytes::shutdown_write() {
    boost::system::error_code ignored;
    stream_.raw().socket().shutdown(asio::socket_base::shutdown_send, ignored);
}

std::string peer_of(const asio::generic::stream_protocol::socket& socket) {
    boost::system::error_code error;
    const auto remote = socket.remote_endpoint(error);
    if (error ||
        (remote.protocol().family() != AF_INET && remote.protocol().family() != AF_INET6)) {
        return "unix";
    }
    asio::ip::tcp::endpoint address;
    address.resize(remote.size());
    std::memcpy(address.data(), remote.data(), remote.size());
    const auto text = address.address().to_string();
    return address.address().is_v6() ? fmt::format("[{}]:{}", text, address.port())
                                     : fmt::format("{}:{}", text, address.port());
}

void throw_failure(const boost::system::error_code& error, std::string_view doing) {
    if (error == beast::error::timeout)
        throw Error(ErrorKind::timeout, "{}: no answer in time", doing);
    if (error == asio::error::operation_aborted) throw boost::system::system_error(error);
    throw Error(ErrorKind::unavailable, "{}: {}", doing, error.message());
}

}  // namespace trailer::net
