#include "client/session/forwarding.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/write.hpp>
#include <charconv>

#include "aio/at_once.h"
#include "base/buffer.h"
#include "client/failure.h"

namespace trailer::client {

using namespace std::chrono_literals;
using asio::ip::tcp;
using protocol::Channel;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kPiece = 96 << 10;
constexpr std::size_t kMostConnections = 1000;  // more wait to be accepted
constexpr auto kPause = 100ms;                  // where no file is free for another connection

std::optional<std::uint16_t> read_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return port;
}

[[noreturn]] void fail(const boost::system::error_code& error) {
    throw boost::system::system_error(error);
}

std::string address_of(const tcp::endpoint& endpoint) {
    const auto address = endpoint.address().to_string();
    return endpoint.address().is_v6() ? fmt::format("[{}]:{}", address, endpoint.port())
                                      : fmt::format("{}:{}", address, endpoint.port());
}

}  // namespace

PortPair parse_port_pair(std::string_view text) {
    const auto colon = text.find(':');
    const auto before = text.substr(0, colon);
    const auto after = colon == text.npos ? text : text.substr(colon + 1);
    const auto local = before.empty() ? std::optional<std::uint16_t>(0) : read_port(before);
    const auto remote = read_port(after);
    if (!local || !remote || *remote == 0) {
        throw UsageError(
            fmt::format("expected LOCAL:REMOTE or PORT, of 1 to 65535, got \"{}\"", text));
    }
    return {*local, *remote};
}

// One connection and its session.
class Forwarding::Connection {
  public:
    Connection(Api& api, SessionRoute route, tcp::socket socket, std::function<void(LinkNews)> news)
        : session_(api, std::move(route), std::move(news)), socket_(std::move(socket)) {}

    // Throws what the session ends with. That the local side went away is no failure.
    Task<> run() {
        co_await session_.open();
        open_ = true;
        if (leaving_) session_.leave({});
        aio::TaskGroup tasks(socket_.get_executor());
        tasks.spawn(keep_session(&tasks));
        tasks.spawn(pump_in());
        tasks.spawn(pump_out());
        co_await tasks.join();
        if (problem_) protocol::throw_problem(*problem_);
    }

    void leave() {
        leaving_ = true;
        if (open_) session_.leave({});
    }

    // So that the local side sees a failure, not an end.
    void reset() {
        boost::system::error_code ignored;
        socket_.set_option(asio::socket_base::linger(true, 0), ignored);
        socket_.close(ignored);
    }

  private:
    Task<> keep_session(aio::TaskGroup* tasks) {
        co_await session_.run();
        tasks->cancel();
    }

    Task<> pump_in() {
        for (;;) {
            auto message = raw_string(kPiece + 1);
            message[0] = static_cast<char>(Channel::input);
            const auto [error, count] =
                co_await socket_.async_read_some(asio::buffer(message.data() + 1, kPiece), kTuple);
            if (error == asio::error::operation_aborted) fail(error);
            if (error && error != asio::error::eof) co_return leave();
            if (error) break;
            cut(message, count + 1);
            co_await session_.send(std::move(message));
        }
        session_.post(protocol::session_message(Channel::close,
                                                std::string(1, static_cast<char>(Channel::input))));
    }

    Task<> pump_out() {
        for (;;) {
            const auto messages = co_await session_.receive();
            for (const auto& message : messages) {
                const auto channel = protocol::channel_of(message);
                if (channel == Channel::output) {
                    const auto [error, count] = co_await asio::async_write(
                        socket_, asio::buffer(protocol::data_of(message)), aio::AtOnce{}, kTuple);
                    if (error == asio::error::operation_aborted) fail(error);
                    if (error) co_return leave();
                } else if (channel == Channel::close) {
                    boost::system::error_code ignored;  // a peer that has gone has no input
                    socket_.shutdown(tcp::socket::shutdown_send, ignored);
                } else if (channel == Channel::end) {
                    problem_ = protocol::read_end(protocol::data_of(message)).problem;
                }
            }
            session_.used();
        }
    }

    SessionClient session_;
    tcp::socket socket_;
    std::optional<protocol::Problem> problem_;
    bool open_ = false;
    bool leaving_ = false;
};

Forwarding::Forwarding(Api& api, std::string subject, const std::string& address, PortPair ports,
                       std::function<void(LinkNews)> news, std::function<void(std::string)> failed)
    : api_(api),
      subject_(std::move(subject)),
      ports_(ports),
      news_(std::move(news)),
      failed_(std::move(failed)),
      acceptor_(api.executor()),
      tasks_(api.executor()),
      ended_(api.executor()) {
    boost::system::error_code error;
    const auto parsed = asio::ip::make_address(address, error);
    if (error) {
        throw UsageError(
            fmt::format("--address: expected an address of this machine, got \"{}\"", address));
    }
    const tcp::endpoint endpoint(parsed, ports.local);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
        throw Error(ErrorKind::conflict, "listening on {}: {}; 0:{} takes any free port",
                    address_of(endpoint), error.message(), ports.remote);
    }
}

std::string Forwarding::local() const {
    return address_of(acceptor_.local_endpoint());
}

Task<> Forwarding::run() {
    tasks_.spawn(accept());
    co_await tasks_.join();
}

Task<> Forwarding::accept() {
    while (!leaving_) {
        if (connections_.size() >= kMostConnections) {
            co_await ended_.wait();
            continue;
        }
        tcp::socket socket(api_.executor());
        const auto [error] = co_await acceptor_.async_accept(socket, kTuple);
        if (leaving_) break;
        if (error == asio::error::operation_aborted) fail(error);
        if (error) {
            failed_(fmt::format("accepting a connection: {}", error.message()));
            co_await aio::sleep(kPause);
            continue;
        }
        socket.set_option(tcp::no_delay(true));
        tasks_.spawn(serve(std::move(socket)));
    }
}

Task<> Forwarding::serve(tcp::socket socket) {
    boost::system::error_code ignored;
    const auto from = address_of(socket.remote_endpoint(ignored));
    Connection connection(api_, {subject_, fmt::format("ports/{}", ports_.remote)},
                          std::move(socket), news_);
    connections_.insert(&connection);
    std::exception_ptr cancelled;
    try {
        co_await connection.run();
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e)) cancelled = std::current_exception();
        connection.reset();
        if (!cancelled && !leaving_) {
            failed_(fmt::format("{} -> port {}: {}", from, ports_.remote, describe(e)));
        }
    }
    connections_.erase(&connection);
    ended_.notify();
    if (cancelled) std::rethrow_exception(cancelled);
}

void Forwarding::leave() {
    leaving_ = true;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    ended_.notify();
    for (auto* connection : connections_) connection->leave();
}

}  // namespace trailer::client
