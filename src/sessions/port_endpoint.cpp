#include "sessions/port_endpoint.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/write.hpp>

#include "aio/at_once.h"
#include "base/buffer.h"
#include "base/error.h"

namespace trailer::sessions {

using protocol::Channel;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kPiece = 96 << 10;  // below what malloc asks the kernel for each time

[[noreturn]] void fail(const boost::system::error_code& error, const char* doing) {
    if (error == asio::error::operation_aborted) throw boost::system::system_error(error);
    throw Error(ErrorKind::unavailable, "{}: {}", doing, error.message());
}

}  // namespace

PortEndpoint::PortEndpoint(asio::ip::tcp::socket socket, bool half_close)
    : socket_(std::move(socket)), half_close_(half_close), input_end_(socket_.get_executor()) {
    socket_.non_blocking(true);
}

Task<std::string> PortEndpoint::read() {
    if (output_ended_) {
        while (!input_ended_) co_await input_end_.wait();
        co_return protocol::end_message({});
    }
    auto message = raw_string(kPiece + 1);
    message[0] = static_cast<char>(Channel::output);
    const auto [error, count] = co_await socket_.async_read_some(
        asio::buffer(message.data() + 1, message.size() - 1), kTuple);
    if (count > 0) {
        cut(message, count + 1);
        co_return message;
    }
    if (error != asio::error::eof) fail(error, "reading from the port");
    if (!half_close_ || input_ended_) co_return protocol::end_message({});
    output_ended_ = true;
    co_return protocol::session_message(Channel::close,
                                        std::string(1, static_cast<char>(Channel::output)));
}

Task<> PortEndpoint::take(std::string message) {
    const auto channel = protocol::channel_of(message);
    if (channel == Channel::close) {
        boost::system::error_code ignored;  // a peer that has gone has no input to end
        socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
        input_ended_ = true;
        input_end_.notify();
        co_return;
    }
    if (channel != Channel::input) throw InvalidInput("", "a port takes input or a close");
    asio::const_buffer left = asio::buffer(message.data() + 1, message.size() - 1);
    boost::system::error_code later;  // told again by who waits
    left += socket_.write_some(left, later);
    if (left.size() == 0) co_return;
    const auto [error, count] = co_await asio::async_write(socket_, left, aio::AtOnce{}, kTuple);
    if (!error) co_return;
    input_ended_ = true;
    input_end_.notify();
    fail(error, "writing to the port");
}

}  // namespace trailer::sessions
