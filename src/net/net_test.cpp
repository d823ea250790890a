#include <gmock/gmock.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <random>

#include "aio/deadline.h"
#include "aio/task_group.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/websocket_frame.h"

namespace {

using namespace trailer;
using namespace trailer::net;
using namespace std::chrono_literals;
namespace ip = asio::ip;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

aio::Deadline soon() {
    return aio::Deadline::in(10s);
}

// More than the kernel takes at once, no two parts of it the same.
std::string numbers() {
    std::string text;
    for (int i = 0; i < 1'000'000; ++i) text += fmt::format("{}\n", i);
    return text;
}

Task<> answer(Exchange& exchange) {
    const auto path = exchange.request().path();
    if (path == "/echo") {
        auto body = co_await exchange.read_body(1 << 20);
        co_await exchange.respond(
            {200, {{"X-Method", exchange.request().method}}, std::move(body)});
    } else if (path == "/big") {
        co_await exchange.respond({200, {}, std::string(5'000'000, 'b')});
    } else if (path == "/numbers") {
        co_await exchange.respond({200, {}, numbers()});
    } else if (path == "/chunks") {
        auto writer = co_await exchange.stream({200, {{"Content-Type", "text/plain"}}, ""});
        for (int i = 0; i < 3; ++i) co_await writer->write(fmt::format("chunk {}\n", i));
        co_await writer->finish();
    } else if (path == "/drip") {
        auto writer = co_await exchange.stream({200, {}, ""});
        co_await writer->write("one\n");
        co_await aio::sleep(1h);
    } else if (path == "/first-piece") {
        auto piece = co_await exchange.read_piece();
        co_await exchange.respond({200, {}, std::move(piece)});
    } else if (path == "/first") {
        auto writer = co_await exchange.stream({200, {}, "first "});
        co_await writer->write("second");
        co_await writer->finish();
    } else if (path == "/first-sized") {
        auto writer = co_await exchange.stream({200, {{"Content-Length", "12"}}, "first "});
        co_await writer->write("second");
        co_await writer->finish();
    } else if (path == "/broken") {
        auto writer = co_await exchange.stream({200, {}, ""});
        co_await writer->write("half");
    } else if (path == "/throws") {
        throw std::runtime_error("secret reason");
    } else if (path == "/slow") {
        co_await aio::sleep(1h);
    } else if (path == "/ws" && exchange.wants_websocket()) {
        auto socket = co_await exchange.accept_websocket(
            {.max_message = 1 << 20, .ping_interval = 100ms}, "echo");
        while (auto message = co_await socket->read()) {
            co_await socket->write(std::move(message->data), message->binary);
        }
    } else {
        co_await exchange.respond({404, {}, "nothing here"});
    }
}

// Runs `test` beside a server on a free port, and ends both.
using Test = std::function<Task<>(HttpServer&)>;

Task<> run_test(Test test, HttpServer& server, aio::TaskGroup& group) {
    std::exception_ptr failure;
    try {
        co_await test(server);
    } catch (...) {
        failure = std::current_exception();
    }
    group.cancel();
    if (failure) std::rethrow_exception(failure);
}

Task<> both(ServerOptions options, Test test) {
    const auto executor = co_await asio::this_coro::executor;
    HttpServer server(executor, options, answer);
    aio::TaskGroup group(executor);
    std::exception_ptr failure;
    group.spawn(server.serve());
    aio::TaskGroup tests(executor);
    tests.spawn(run_test(std::move(test), server, group));
    try {
        co_await tests.join();
    } catch (...) {
        failure = std::current_exception();
    }
    group.cancel();
    co_await group.join();
    if (failure) std::rethrow_exception(failure);
}

void with_server(Test test, ServerOptions options = {}) {
    options.port = 0;
    asio::io_context context;
    std::exception_ptr failure;
    bool ended = false;
    asio::co_spawn(context, both(options, std::move(test)), [&](std::exception_ptr error) {
        failure = std::move(error);
        ended = true;
    });
    context.run_for(30s);
    ASSERT_TRUE(ended) << "did not end in time";
    if (failure) std::rethrow_exception(failure);
}

Endpoint endpoint_of(HttpServer& server) {
    return Endpoint::parse(fmt::format("http://127.0.0.1:{}", server.port()));
}

// Sends raw bytes and reads all that comes back.
Task<std::string> raw(std::uint16_t port, std::string bytes, bool half_close = false) {
    ip::tcp::socket socket(co_await asio::this_coro::executor);
    co_await socket.async_connect({ip::address_v4::loopback(), port}, asio::use_awaitable);
    co_await asio::async_write(socket, asio::buffer(bytes), kTuple);
    if (half_close) socket.shutdown(ip::tcp::socket::shutdown_send);
    std::string all;
    co_await asio::async_read(socket, asio::dynamic_buffer(all), kTuple);
    co_return all;
}

Task<> round_trips(HttpServer& server) {
    HttpClient client(co_await asio::this_coro::executor, endpoint_of(server));
    for (int i = 0; i < 3; ++i) {
        Request request{
            .method = "POST", .target = "/echo?x=1", .body = fmt::format("hello {}", i)};
        auto response = co_await client.request(std::move(request), soon());
        EXPECT_EQ(response.status, 200);
        EXPECT_EQ(response.body, fmt::format("hello {}", i));
        EXPECT_EQ(response.headers.get("x-method"), "POST");
        EXPECT_TRUE(response.headers.get("Date").ends_with(" GMT"));
    }
    Request big{.target = "/big"};
    EXPECT_EQ((co_await client.request(std::move(big), soon())).body.size(), 5'000'000U);
    Request nothing{.target = "/nothing"};
    EXPECT_EQ((co_await client.request(std::move(nothing), soon())).status, 404);
    Request head{.method = "HEAD", .target = "/big"};
    auto headed = co_await client.request(std::move(head), soon());
    EXPECT_EQ(headed.headers.get("content-length"), "5000000");
    EXPECT_EQ(headed.body, "");
    Request large{.method = "PUT", .target = "/echo", .body = std::string(1'000'000, 'x')};
    EXPECT_EQ((co_await client.request(std::move(large), soon())).body.size(), 1'000'000U);
}

TEST(Http, CarriesRequestsAndAnswersOnKeptConnections) {
    with_server(round_trips);
}

std::ptrdiff_t open_files() {
    const std::filesystem::directory_iterator files("/proc/self/fd");
    return std::distance(begin(files), end(files));
}

Task<> ask(HttpClient* client) {
    Request request{.target = "/chunks"};
    auto stream = co_await client->open(std::move(request), soon());
    while (!(co_await stream->read()).empty()) continue;
}

Task<> burst(HttpServer& server) {
    const auto executor = co_await asio::this_coro::executor;
    const auto before = open_files();
    HttpClient client(executor, endpoint_of(server), {.idle_timeout = 50ms});
    aio::TaskGroup group(executor);
    for (int i = 0; i < 8; ++i) group.spawn(ask(&client));
    co_await group.join();
    EXPECT_GE(open_files(), before + 2 * 8) << "both ends of each";
    co_await aio::sleep(300ms);
    EXPECT_LE(open_files(), before);
}

TEST(Http, AClientThatAsksNoMoreKeepsNoConnections) {
    with_server(burst);
}

Task<> streams(HttpServer& server) {
    HttpClient client(co_await asio::this_coro::executor, endpoint_of(server));
    Request chunks{.target = "/chunks"};
    auto stream = co_await client.open(std::move(chunks), soon());
    EXPECT_EQ(stream->head().headers.get("content-type"), "text/plain");
    std::string all;
    for (;;) {
        const auto piece = co_await stream->read();
        if (piece.empty()) break;
        all += piece;
    }
    EXPECT_EQ(all, "chunk 0\nchunk 1\nchunk 2\n");
    Request broken{.target = "/broken"};
    bool told = false;
    try {
        co_await client.request(std::move(broken), soon());
    } catch (const Error& e) {
        told = e.kind() == ErrorKind::unavailable;
    }
    EXPECT_TRUE(told) << "an answer that was not finished must not look whole";
}

TEST(Http, StreamsAnswersAndTellsOneThatBroke) {
    with_server(streams);
}

Task<> drips(HttpServer& server) {
    const auto executor = co_await asio::this_coro::executor;
    HttpClient client(executor, endpoint_of(server));
    Request request{.target = "/drip"};
    auto stream = co_await client.open(std::move(request), soon());
    auto reading = stream->read();
    EXPECT_EQ(co_await aio::with_deadline(std::move(reading), soon(), "a chunk"), "one\n");
    // The same of a body that comes in chunks.
    ip::tcp::socket socket(executor);
    co_await socket.async_connect({ip::address_v4::loopback(), server.port()}, asio::use_awaitable);
    const std::string sent =
        "POST /first-piece HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "4\r\none\n\r\n4\r\ntwo\n\r\n";
    co_await asio::async_write(socket, asio::buffer(sent), asio::use_awaitable);
    std::string answer(1000, '\0');
    const auto [error, count] = co_await socket.async_read_some(asio::buffer(answer), kTuple);
    EXPECT_THAT(answer.substr(0, count), testing::EndsWith("one\ntwo\n"));
}

TEST(Http, AChunkIsGivenBeforeTheNextOneComesAndSeveralTogether) {
    with_server(drips);
}

Task<> limits(HttpServer& server) {
    const auto status_of = [](const std::string& answer) { return answer.substr(0, 12); };
    auto big_head = co_await raw(
        server.port(), "GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n");
    EXPECT_EQ(status_of(big_head), "HTTP/1.1 431");
    auto nonsense = co_await raw(server.port(), "\x01\x02 nonsense\r\n\r\n");
    EXPECT_EQ(status_of(nonsense), "HTTP/1.1 400");
    EXPECT_THAT(nonsense, testing::HasSubstr("application/problem+json"));
    auto throwing =
        co_await raw(server.port(), "GET /throws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_of(throwing), "HTTP/1.1 500");
    EXPECT_THAT(throwing, testing::Not(testing::HasSubstr("secret")));
    auto pipelined = co_await raw(
        server.port(),
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\n"
        "Content-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(pipelined,
                testing::ContainsRegex("404.*nothing here.*200.*abc.*404.*nothing here"));
    auto expecting = co_await raw(
        server.port(),
        "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\n"
        "Content-Length: 3\r\n\r\nabc");
    EXPECT_TRUE(expecting.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")) << expecting;
    auto old = co_await raw(server.port(), "GET /chunks HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(old.ends_with("chunk 2\n")) << old;
    auto half = co_await raw(server.port(), "GET / HTTP/1.1\r\nHost", true);
    EXPECT_EQ(half, "");
}

TEST(HttpServer, RefusesWhatIsMalformedOrTooLarge) {
    with_server(limits);
}

// Found with Python's http.client, which sends the whole of a body before it reads anything.
Task<> too_much_is_answered(HttpServer& server) {
    const auto head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n";
    std::string request = head;
    request.resize(20'000'000, 'x');
    const auto answer = co_await raw(server.port(), std::move(request));
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 500 ")) << answer.substr(0, 100);
}

TEST(HttpServer, AnswersAClientThatIsStillSendingTooMuch) {
    with_server(too_much_is_answered);
}

Task<> slow_clients(HttpServer& server) {
    const auto began = std::chrono::steady_clock::now();
    co_await raw(server.port(), "GET / HTTP/1.1\r\nHo");  // never ends its head
    co_await raw(server.port(), "");                      // never says anything
    co_await raw(server.port(), "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
}

TEST(HttpServer, EndsSlowClients) {
    with_server(
        slow_clients,
        {.head_timeout = 100ms, .body_timeout = 100ms, .write_timeout = 1s, .idle_timeout = 100ms});
}

Task<> slow_both_ways(HttpServer& server) {
    ip::tcp::socket socket(co_await asio::this_coro::executor);
    co_await socket.async_connect({ip::address_v4::loopback(), server.port()}, asio::use_awaitable);
    for (const char byte :
         std::string("GET /numbers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) {
        co_await asio::async_write(socket, asio::buffer(&byte, 1), asio::use_awaitable);
        co_await aio::sleep(1ms);
    }
    std::string all;
    std::array<char, 200'000> piece{};
    for (;;) {
        const auto [error, count] = co_await socket.async_read_some(asio::buffer(piece), kTuple);
        if (error) break;
        all.append(piece.data(), count);
        co_await aio::sleep(1ms);
    }
    EXPECT_TRUE(all.ends_with("\r\n\r\n" + numbers())) << all.size();
}

TEST(HttpServer, AHeadThatComesByteByByteIsReadAndASlowReaderGetsTheAnswerWhole) {
    with_server(slow_both_ways);
}

Task<> random_bytes_at(HttpServer& server) {
    std::minstd_rand random(7);
    for (int i = 0; i < 300; ++i) {
        std::string bytes = i % 2 == 0 ? "GET / HTTP/1.1\r\n" : "";
        const auto length = random() % 200;
        for (unsigned j = 0; j < length; ++j) bytes += static_cast<char>(random());
        co_await raw(server.port(), bytes + "\r\n\r\n", true);
    }
    HttpClient client(co_await asio::this_coro::executor, endpoint_of(server));
    EXPECT_EQ((co_await client.request(Request{.target = "/x"}, soon())).status, 404);
}

TEST(HttpServer, SurvivesRandomBytes) {
    with_server(random_bytes_at);
}

Task<> never_answered(HttpServer& server) {
    HttpClient client(co_await asio::this_coro::executor, endpoint_of(server));
    std::optional<ErrorKind> kind;
    try {
        co_await client.request(Request{.target = "/slow"}, aio::Deadline::in(50ms));
    } catch (const Error& e) {
        kind = e.kind();
    }
    EXPECT_EQ(kind, ErrorKind::timeout);
}

TEST(HttpClient, GivesUpAtTheDeadline) {
    with_server(never_answered);
}

Task<> refused(HttpServer&) {
    std::string text;
    try {
        HttpClient client(co_await asio::this_coro::executor,
                          Endpoint::parse("unix:///nowhere/docker.sock"));
        co_await client.request(Request{}, soon());
    } catch (const Error& e) {
        EXPECT_EQ(e.kind(), ErrorKind::unavailable);
        text = e.what();
    }
    EXPECT_EQ(text, "connecting to unix:///nowhere/docker.sock: No such file or directory");
}

TEST(HttpClient, SaysWhatItCouldNotConnectTo) {
    with_server(refused);
}

Task<> cancelled_call(HttpServer& server) {
    const auto executor = co_await asio::this_coro::executor;
    HttpClient client(executor, endpoint_of(server), {.max_connections = 1});
    aio::TaskGroup group(executor);
    group.spawn([](HttpClient& c) -> Task<> {
        co_await c.request(Request{.target = "/slow"}, soon());
    }(client));
    co_await aio::sleep(30ms);
    group.cancel();
    co_await group.join();
    // Its connection is free again.
    EXPECT_EQ((co_await client.request(Request{.target = "/x"}, soon())).status, 404);
}

TEST(HttpClient, ACancelledCallLetsItsConnectionGo) {
    with_server(cancelled_call);
}

Task<> many_at_once(HttpServer& server) {
    const auto executor = co_await asio::this_coro::executor;
    HttpClient client(executor, endpoint_of(server), {.max_connections = 3});
    aio::TaskGroup group(executor);
    int done = 0;
    for (int i = 0; i < 50; ++i) {
        group.spawn([](HttpClient& c, int& count) -> Task<> {
            auto response = co_await c.request(Request{.target = "/chunks"}, soon());
            if (response.body.ends_with("chunk 2\n")) ++count;
        }(client, done));
    }
    co_await group.join();
    EXPECT_EQ(done, 50);
}

TEST(HttpClient, CallsBeyondItsConnectionsWaitTheirTurn) {
    with_server(many_at_once);
}

Task<> websockets(HttpServer& server) {
    HttpClient client(co_await asio::this_coro::executor, endpoint_of(server));
    Request request{.target = "/ws", .headers = {{"Sec-WebSocket-Protocol", "echo"}}};
    auto socket = co_await client.websocket(std::move(request), soon(), {.ping_interval = 100ms});
    EXPECT_EQ(socket->subprotocol(), "echo");
    co_await socket->write("text");
    auto text = co_await socket->read();
    EXPECT_EQ(text->data, "text");
    EXPECT_FALSE(text->binary);
    co_await socket->write(std::string(200'000, '\0'), true);
    auto binary = co_await socket->read();
    EXPECT_EQ(binary->data.size(), 200'000U);
    EXPECT_TRUE(binary->binary);
    // Silence is kept alive by pings.
    aio::TaskGroup group(co_await asio::this_coro::executor);
    std::string late;
    group.spawn([](WebSocket& s, std::string& out) -> Task<> {
        auto message = co_await s.read();
        out = message ? message->data : "closed";
    }(*socket, late));
    co_await aio::sleep(500ms);
    co_await socket->write("late");
    co_await group.join();
    EXPECT_EQ(late, "late");
    co_await socket->close();
    std::optional<ErrorKind> kind;
    try {
        co_await client.websocket(Request{.target = "/nothing"}, soon());
    } catch (const Error& e) {
        kind = e.kind();
    }
    EXPECT_EQ(kind, ErrorKind::not_found);
}

TEST(WebSocket, CarriesMessagesBothWaysAndStaysAliveInSilence) {
    with_server(websockets);
}

Task<> open_socket_at_the_end(HttpServer& server) {
    HttpClient client(co_await asio::this_coro::executor, endpoint_of(server));
    auto socket = co_await client.websocket(Request{.target = "/ws"}, soon());
    co_await socket->write("x");
    co_await socket->read();
    // The test returns with the socket open: the server must end all the same (with_server checks).
}

TEST(WebSocket, AnOpenOneDoesNotHoldTheServersEnd) {
    with_server(open_socket_at_the_end);
}

constexpr MaskKey kKey{1, 2, 3, 4};

std::string of_client(Opcode opcode, std::string payload) {
    const auto head = frame_head(opcode, payload.size(), kKey);
    apply_mask(payload.data(), payload.size(), kKey);
    return head + payload;
}

const std::string kHandshake =
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const std::string kNormalClose("\x03\xe8", 2);

Task<> frames_that_come_early(HttpServer& server) {
    // With the handshake itself, of every size of a head, and in parts.
    std::string sent = kHandshake;
    std::string expected;
    for (const std::size_t size : {std::size_t{5}, std::size_t{3000}, std::size_t{70'000}}) {
        const std::string text(size, 'a');
        sent += of_client(Opcode::binary, text);
        expected += frame_head(Opcode::binary, size, {}) + text;
    }
    auto part = of_client(Opcode::text, "one ");
    part[0] = '\x01';  // not the last
    sent += part + of_client(Opcode::ping, "p") + of_client(Opcode::continuation, "two");
    expected += frame_head(Opcode::text, 7, {}) + "one two";
    sent += of_client(Opcode::close, kNormalClose);
    auto heard = co_await raw(server.port(), sent);
    // RFC 6455, section 1.3, has this key's answer.
    EXPECT_THAT(heard,
                testing::HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    heard.erase(0, heard.find("\r\n\r\n") + 4);
    const auto pong = frame_head(Opcode::pong, 1, {}) + "p";
    const auto at = heard.find(pong);
    EXPECT_NE(at, heard.npos);
    if (at != heard.npos) heard.erase(at, pong.size());
    EXPECT_TRUE(heard == expected + frame_head(Opcode::close, 2, {}) + kNormalClose)
        << heard.size() << " bytes, not " << expected.size() + 4;
}

TEST(WebSocket, HearsFramesThatComeWithTheHandshakeInPartsAndOfAnySize) {
    with_server(frames_that_come_early);
}

Task<> is_told(HttpServer& server, std::string frame, int code) {
    auto heard = co_await raw(server.port(), kHandshake + frame, true);
    heard.erase(0, heard.find("\r\n\r\n") + 4);
    const auto head = read_frame_head(heard);
    EXPECT_TRUE(head && head->opcode == Opcode::close) << testing::PrintToString(heard);
    if (head) EXPECT_EQ(read_close(heard.substr(head->size, head->length)), code);
}

Task<> faulty_frames(HttpServer& server) {
    co_await is_told(server, frame_head(Opcode::binary, 1, {}) + "x", kProtocolError);  // no mask
    co_await is_told(server, of_client(Opcode::continuation, "x"), kProtocolError);
    co_await is_told(server, of_client(Opcode::text, "\xff"), kBadPayload);
    co_await is_told(server, frame_head(Opcode::binary, (1 << 20) + 1, kKey), kTooBig);
    co_await is_told(server, of_client(Opcode::close, "\x03"), kProtocolError);
}

TEST(WebSocket, APeerThatDoesNotKeepToTheProtocolIsToldAndLeft) {
    with_server(faulty_frames);
}

Task<> no_handshake(HttpServer& server) {
    auto other = kHandshake;
    other.replace(other.find(": 13"), 4, ": 12");
    EXPECT_THAT(co_await raw(server.port(), other),
                testing::AllOf(testing::StartsWith("HTTP/1.1 400 "),
                               testing::HasSubstr("Sec-WebSocket-Version: 13\r\n")));
}

TEST(WebSocket, AnotherVersionIsRefusedWithOurs) {
    with_server(no_handshake);
}

// Writes until it can't go on, and hears what the other side says all the same.
Task<> write_on(WebSocket* socket, int* written) {
    for (;;) {
        co_await socket->write(std::string(100'000, 'x'), true);
        ++*written;
    }
}

Task<> a_peer_that_does_not_read(HttpServer& server) {
    HttpClient client(co_await asio::this_coro::executor, endpoint_of(server));
    auto socket = co_await client.websocket(Request{.target = "/ws"}, soon());
    aio::TaskGroup group(co_await asio::this_coro::executor);
    int written = 0;
    group.spawn(write_on(socket.get(), &written));  // the echo is not read, so the server stops
    int before = -1;
    while (before != written) {
        before = written;
        co_await aio::sleep(500ms);  // five beats of the server's
    }
    EXPECT_GT(written, 2);
    // Those: the writer goes on as soon as there is room.
    for (int i = 0; i < before; ++i) {
        const auto message = co_await socket->read();
        EXPECT_EQ(message->data.size(), 100'000U);
    }
    group.cancel();
    try {
        co_await group.join();
    } catch (const std::exception& e) {
        EXPECT_TRUE(aio::is_cancellation(e)) << e.what();
    }
}

TEST(WebSocket, WaitsForAPeerThatDoesNotReadAndLosesNothing) {
    with_server(a_peer_that_does_not_read);
}

Task<> first_pieces(HttpServer& server) {
    HttpClient client(co_await asio::this_coro::executor, endpoint_of(server));
    for (const auto* path : {"/first", "/first-sized"}) {
        const auto response = co_await client.request(Request{.target = path}, soon());
        EXPECT_EQ(response.body, "first second") << path;
        const auto head =
            co_await client.request(Request{.method = "HEAD", .target = path}, soon());
        EXPECT_EQ(head.body, "") << path;
    }
}

TEST(HttpServer, AHeadTakesTheFirstPieceAlong) {
    with_server(first_pieces);
}

TEST(Endpoint, ReadsTheFormsOfTheFlags) {
    EXPECT_EQ(Endpoint::parse("http://localhost:8090").port, 8090);
    EXPECT_EQ(Endpoint::parse("https://example.com/trailer/").prefix, "/trailer");
    EXPECT_EQ(Endpoint::parse("https://example.com").port, 443);
    EXPECT_EQ(Endpoint::parse("unix:///var/run/docker.sock").path, "/var/run/docker.sock");
    EXPECT_EQ(Endpoint::parse("tcp://[::1]:2375").host, "::1");
    EXPECT_EQ(Endpoint::parse("tcp://[::1]:2375").to_string(), "http://[::1]:2375");
    for (const auto* bad : {"", "localhost", "http://", "http://x:port", "http://x:70000",
                            "unix://relative", "ftp://x", "http://u@x", "http://[::1"}) {
        EXPECT_THROW(Endpoint::parse(bad), InvalidInput) << bad;
    }
}

TEST(Query, DecodesItsParametersInOrder) {
    const auto query = Query::parse("cmd=a%20b&cmd=c&flag&x=1%3D2");
    EXPECT_THAT(query.all("cmd"), testing::ElementsAre("a b", "c"));
    EXPECT_EQ(query.find("flag"), "");
    EXPECT_EQ(query.find("x"), "1=2");
    EXPECT_EQ(query.find("y"), std::nullopt);
    EXPECT_EQ(Query::parse("cmd=echo+a%2Bb").find("cmd"), "echo a+b");
    EXPECT_THROW(Query::parse("a=%2"), InvalidInput);
    EXPECT_EQ(percent_decode(percent_encode("a/b c%")), "a/b c%");
}

TEST(Headers, TellWhetherAPageAsksItsOwnHost) {
    EXPECT_TRUE(is_same_origin({{"Host", "a:8"}}));
    EXPECT_TRUE(is_same_origin({{"Host", "a:8"}, {"Origin", "http://a:8"}}));
    EXPECT_FALSE(is_same_origin({{"Host", "a:8"}, {"Origin", "http://a"}}));
    EXPECT_FALSE(is_same_origin({{"Host", "a:8"}, {"Origin", "null"}}));
}

}  // namespace
