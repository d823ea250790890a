// WebSocket messages from a client to a server over loopback TCP, both in this thread: ours, and
// Beast's, set as well as it can be (decision 19).
#include <benchmark/benchmark.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket.hpp>

#include "aio/task_group.h"
#include "net/http_client.h"
#include "net/http_server.h"

namespace trailer::net {
namespace {

namespace beast = boost::beast;
namespace websocket = beast::websocket;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr int kMessages = 2000;  // in one iteration, and one back at its end

template <typename Script>
void play(Script script) {
    asio::io_context context(1);
    std::exception_ptr failure;
    asio::co_spawn(context, std::move(script)(context.get_executor()),
                   [&](std::exception_ptr error) { failure = std::move(error); });
    context.run();
    if (failure) std::rethrow_exception(failure);
}

void count(benchmark::State& state) {
    state.SetItemsProcessed(state.iterations() * kMessages);
    state.SetBytesProcessed(state.iterations() * kMessages * state.range(0));
}

// --- ours

Task<> answer_ours(Exchange& exchange) {
    const auto socket = co_await exchange.accept_websocket();
    for (int heard = 0; auto message = co_await socket->read();) {
        if (++heard % kMessages == 0) co_await socket->write("all");
    }
}

Task<> ours(asio::any_io_executor executor, benchmark::State* state) {
    HttpServer server(executor, {.port = 0}, answer_ours);
    aio::TaskGroup serving(executor);
    serving.spawn(server.serve());
    HttpClient client(executor, Endpoint::parse(fmt::format("http://127.0.0.1:{}", server.port())));
    const auto deadline = aio::Deadline::in(std::chrono::seconds(5));
    Request request;
    const auto socket = co_await client.websocket(std::move(request), deadline);
    const auto message = std::make_shared<const std::string>(state->range(0), 'x');
    for (auto _ : *state) {
        for (int i = 0; i < kMessages; ++i) co_await socket->write(message, true);
        co_await socket->read();
    }
    socket->abort();
    serving.cancel();
    try {
        co_await serving.join();
    } catch (const boost::system::system_error&) {  // cancelled
    }
}

void websocket_ours(benchmark::State& state) {
    play([&](asio::any_io_executor executor) { return ours(std::move(executor), &state); });
    count(state);
}
BENCHMARK(websocket_ours)->Arg(16)->Arg(1 << 10)->Arg(32 << 10)->Arg(96 << 10);

// --- Beast's

Task<> answer_beasts(beast::tcp_stream stream) {
    websocket::stream<beast::tcp_stream> socket(std::move(stream));
    co_await socket.async_accept(asio::use_awaitable);
    for (int heard = 0;;) {
        std::string message;
        auto buffer = asio::dynamic_buffer(message);
        const auto [error, size] = co_await socket.async_read(buffer, kTuple);
        if (error) co_return;
        if (++heard % kMessages == 0) {
            co_await socket.async_write(asio::buffer("all", 3), asio::use_awaitable);
        }
    }
}

Task<> accept_beasts(asio::ip::tcp::acceptor* acceptor) {
    auto socket = co_await acceptor->async_accept(asio::use_awaitable);
    socket.set_option(asio::ip::tcp::no_delay(true));
    beast::tcp_stream stream(std::move(socket));
    co_await answer_beasts(std::move(stream));
}

Task<> beasts(asio::any_io_executor executor, benchmark::State* state) {
    asio::ip::tcp::acceptor acceptor(executor, {asio::ip::make_address("127.0.0.1"), 0});
    aio::TaskGroup serving(executor);
    serving.spawn(accept_beasts(&acceptor));
    beast::tcp_stream stream(executor);
    co_await stream.async_connect(acceptor.local_endpoint(), asio::use_awaitable);
    stream.socket().set_option(asio::ip::tcp::no_delay(true));
    websocket::stream<beast::tcp_stream> socket(std::move(stream));
    socket.auto_fragment(false);
    socket.write_buffer_bytes(static_cast<std::size_t>(state->range(0)) + 1024);  // masked at once
    co_await socket.async_handshake("localhost", "/", asio::use_awaitable);
    socket.binary(true);
    const std::string message(state->range(0), 'x');
    for (auto _ : *state) {
        for (int i = 0; i < kMessages; ++i) {
            co_await socket.async_write(asio::buffer(message), asio::use_awaitable);
        }
        std::string answer;
        auto buffer = asio::dynamic_buffer(answer);
        co_await socket.async_read(buffer, asio::use_awaitable);
    }
    socket.next_layer().socket().close();
    co_await serving.join();
}

void websocket_beasts(benchmark::State& state) {
    play([&](asio::any_io_executor executor) { return beasts(std::move(executor), &state); });
    count(state);
}
BENCHMARK(websocket_beasts)->Arg(16)->Arg(1 << 10)->Arg(32 << 10)->Arg(96 << 10);

}  // namespace
}  // namespace trailer::net
