// Lines over a carrier that is a real WebSocket on loopback.
#include "net/trunk.h"

#include <gmock/gmock.h>

#include "aio/deadline.h"
#include "aio/task_group.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/trunk_frame.h"

namespace {

using namespace trailer;
using namespace trailer::net;
using namespace std::chrono_literals;
using Line = std::unique_ptr<WebSocket>;
using testing::HasSubstr;

aio::Deadline soon() {
    return aio::Deadline::in(10s);
}

// Counts what goes over it.
class Counted : public WebSocket {
  public:
    explicit Counted(std::unique_ptr<WebSocket> socket) : socket_(std::move(socket)) {}
    Task<std::optional<WebSocketMessage>> read() override { return socket_->read(); }
    Task<> write(std::string data, bool binary) override {
        ++written;
        return socket_->write(std::move(data), binary);
    }
    Task<> write(SharedBytes data, bool binary) override {
        ++written;
        return socket_->write(std::move(data), binary);
    }
    Task<> close(int code, std::string reason) override {
        return socket_->close(code, std::move(reason));
    }
    void abort() override { socket_->abort(); }
    std::string peer() const override { return socket_->peer(); }
    std::string subprotocol() const override { return socket_->subprotocol(); }

    int written = 0;

  private:
    std::unique_ptr<WebSocket> socket_;
};

struct Ends {
    Trunk& trunk;      // that opens
    Counted& carrier;  // under it
};
using Script = std::function<Task<>(Ends)>;

Task<> run_script(Script script, Ends ends, aio::TaskGroup* all) {
    std::exception_ptr failure;
    try {
        co_await script(ends);
    } catch (...) {
        failure = std::current_exception();
    }
    all->cancel();
    if (failure) std::rethrow_exception(failure);
}

Task<> run_trunk(Trunk* trunk, std::string* ended) {
    try {
        co_await trunk->run();
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e)) throw;
        *ended = e.what();
    }
}

Task<std::unique_ptr<WebSocket>> connect(asio::any_io_executor executor, std::uint16_t port) {
    HttpClient client(executor, Endpoint::parse(fmt::format("http://127.0.0.1:{}", port)));
    Request request;
    WebSocketOptions options{.max_message = Trunk::kMostCarried};
    co_return co_await client.websocket(std::move(request), soon(), options);
}

Task<> serve_trunk(Exchange* exchange, Trunk::Accept accept, std::string* ended) {
    WebSocketOptions options{.max_message = Trunk::kMostCarried};
    auto socket = co_await exchange->accept_websocket(options);
    Trunk trunk(co_await asio::this_coro::executor, std::move(socket), std::move(accept));
    co_await run_trunk(&trunk, ended);
}

Task<> run_both(Trunk::Accept accept, Script script, std::string* ended) {
    const auto executor = co_await asio::this_coro::executor;
    const auto answer = [&](Exchange& exchange) { return serve_trunk(&exchange, accept, ended); };
    HttpServer server(executor, {.port = 0}, answer);
    aio::TaskGroup all(executor);
    all.spawn(server.serve());
    auto socket = co_await connect(executor, server.port());
    const auto carrier = std::make_shared<Counted>(std::move(socket));
    Trunk trunk(executor, carrier, nullptr);
    std::string ignored;
    all.spawn(run_trunk(&trunk, &ignored));
    aio::TaskGroup scripts(executor);
    const Ends ends{.trunk = trunk, .carrier = *carrier};
    scripts.spawn(run_script(std::move(script), ends, &all));
    std::exception_ptr failure;
    try {
        co_await scripts.join();
    } catch (...) {
        failure = std::current_exception();
    }
    try {
        co_await all.join();
    } catch (const boost::system::system_error& e) {
        if (!aio::is_cancellation(e)) throw;
    }
    if (failure) std::rethrow_exception(failure);
}

// Runs `script` at the end that opens, `accept` at the other; returns why the latter's trunk ended,
// where it did by itself.
std::string play(Trunk::Accept accept, Script script) {
    asio::io_context context(1);
    std::exception_ptr failure;
    std::string ended;
    asio::co_spawn(context, run_both(std::move(accept), std::move(script), &ended),
                   [&](std::exception_ptr error) { failure = std::move(error); });
    context.run_for(30s);
    if (failure) std::rethrow_exception(failure);
    return ended;
}

Task<> echo(Line line) {
    while (auto message = co_await line->read()) {
        co_await line->write(std::move(message->data), message->binary);
    }
}

Task<> never_read(Line line) {
    co_await aio::sleep(1h);
    line.reset();
}

Task<std::string> ask(WebSocket* line, std::string text) {
    co_await line->write(std::move(text));
    const auto answer = co_await aio::with_deadline(line->read(), soon(), "the echo");
    co_return answer ? answer->data : "(closed)";
}

Task<std::string> failure_of(Task<> doing) {
    try {
        co_await std::move(doing);
    } catch (const Error& e) {
        co_return e.what();
    }
    co_return "";
}

Task<> read_all(WebSocket* line) {
    while (co_await line->read()) {
    }
}

TEST(Trunk, LinesCarryMessagesAndEndInGoodOrder) {
    const auto accept = [](Line line) -> Task<> {
        const auto first = co_await line->read();
        co_await line->write(first->data + "!", true);
        co_await line->close(1000, "done");
    };
    play(accept, [](Ends ends) -> Task<> {
        const auto line = ends.trunk.open();
        co_await line->write("hello");
        const auto answer = co_await line->read();
        EXPECT_EQ(answer->data, "hello!");
        EXPECT_TRUE(answer->binary);
        EXPECT_FALSE(co_await line->read());
        EXPECT_EQ(ends.trunk.lines(), 0U);
        EXPECT_THAT(co_await failure_of(line->write("late")), HasSubstr("it was closed"));
    });
}

TEST(Trunk, ManyLinesAtOnceKeepTheirOwn) {
    play(echo, [](Ends ends) -> Task<> {
        std::vector<Line> lines;
        for (int i = 0; i < 200; ++i) lines.push_back(ends.trunk.open());
        for (int round = 0; round < 3; ++round) {
            for (std::size_t i = 0; i < lines.size(); ++i) {
                co_await lines[i]->write(fmt::format("{} of {}", round, i));
            }
            for (std::size_t i = 0; i < lines.size(); ++i) {
                const auto answer = co_await lines[i]->read();
                EXPECT_EQ(answer->data, fmt::format("{} of {}", round, i));
            }
        }
        // Of 600 messages, those that are said at the same time go out together.
        EXPECT_LE(ends.carrier.written, 200);
    });
}

constexpr std::size_t kFlood = 50'000;  // bytes at a time

Task<> flood(WebSocket* line, std::size_t* taken) {
    for (;;) {
        co_await line->write(std::string(kFlood, 'x'));
        *taken += kFlood;
    }
}

Task<> flood_one_and_use_another(Ends ends) {
    const auto slow = ends.trunk.open();
    co_await slow->write("slow");
    aio::TaskGroup flooding(co_await asio::this_coro::executor);
    std::size_t taken = 0;
    flooding.spawn(flood(slow.get(), &taken));
    const auto quick = ends.trunk.open();
    co_await quick->write("quick");
    const std::string big(200'000, 'y');
    for (int i = 0; i < 50; ++i) EXPECT_EQ(co_await ask(quick.get(), big), big);
    EXPECT_GE(taken, Trunk::kWindow / 2);
    EXPECT_LE(taken, Trunk::kWindow + kFlood);
    slow->abort();
    EXPECT_THAT(co_await failure_of(flooding.join()), HasSubstr("dropped"));
}

TEST(Trunk, ASlowReaderHoldsUpItsOwnWriterAlone) {
    const auto accept = [](Line line) -> Task<> {
        const auto first = co_await line->read();
        if (first->data == "slow") co_await never_read(std::move(line));
        if (first->data == "quick") co_await echo(std::move(line));
    };
    play(accept, flood_one_and_use_another);
}

TEST(Trunk, AReaderThatComesBackGetsAllOfIt) {
    static constexpr int kMessages = 400;
    const auto accept = [](Line line) -> Task<> {
        for (int i = 0; i < kMessages; ++i) co_await line->write(std::string(10'000, 'a'), true);
        co_await line->close();
    };
    play(accept, [](Ends ends) -> Task<> {
        const auto line = ends.trunk.open();
        co_await aio::sleep(50ms);
        int heard = 0;
        while (auto message = co_await line->read()) {
            EXPECT_EQ(message->data.size(), 10'000U);
            ++heard;
        }
        EXPECT_EQ(heard, kMessages);
    });
}

using Order = std::vector<std::string>;

Task<> note_order(Line line, Order* order) {
    while (auto message = co_await line->read()) order->push_back(message->data.substr(0, 5));
}

Task<> say_much_and_little(Ends ends, const Order* heard) {
    const auto much = ends.trunk.open();
    const auto little = ends.trunk.open();
    for (int i = 0; i < 8; ++i) co_await much->write(std::string(100'000, 'm'));
    co_await little->write("quick");
    while (heard->size() < 9) co_await aio::sleep(1ms);
}

TEST(Trunk, WhoSaysMuchDoesNotHoldUpTheOthers) {
    Order order;
    play([&](Line line) { return note_order(std::move(line), &order); },
         [&](Ends ends) { return say_much_and_little(ends, &order); });
    EXPECT_LT(std::ranges::find(order, "quick") - order.begin(), 4);
}

Task<> echo_or_note_the_drop(Line line, std::string* seen) {
    const auto first = co_await line->read();
    if (first->data != "drop") co_return co_await echo(std::move(line));
    *seen = co_await failure_of(read_all(line.get()));
}

TEST(Trunk, ADroppedLineEndsAloneAndAtOnce) {
    std::string seen;
    const auto accept = [&](Line line) { return echo_or_note_the_drop(std::move(line), &seen); };
    play(accept, [](Ends ends) -> Task<> {
        auto dropped = ends.trunk.open();
        co_await dropped->write("drop");
        const auto other = ends.trunk.open();
        co_await other->write("stay");
        EXPECT_EQ(co_await ask(other.get(), "one"), "one");
        dropped.reset();
        EXPECT_EQ(co_await ask(other.get(), "two"), "two");
        EXPECT_EQ(ends.trunk.lines(), 1U);
    });
    EXPECT_THAT(seen, HasSubstr("the peer dropped it"));
}

TEST(Trunk, WithItsCarrierAllLinesBreak) {
    play(echo, [](Ends ends) -> Task<> {
        const auto line = ends.trunk.open();
        EXPECT_EQ(co_await ask(line.get(), "one"), "one");
        ends.carrier.abort();
        EXPECT_THAT(co_await failure_of(read_all(line.get())), HasSubstr("dropped"));
        EXPECT_THAT(co_await failure_of(line->write("two")), HasSubstr("dropped"));
        const auto late = ends.trunk.open();
        EXPECT_THAT(co_await failure_of(late->write("three")), HasSubstr("its trunk has ended"));
    });
}

TEST(Trunk, AMessageThatIsTooLongIsRefusedAndNothingElse) {
    play(echo, [](Ends ends) -> Task<> {
        const auto line = ends.trunk.open();
        std::string much(Trunk::kMostMessage + 1, 'x');
        EXPECT_THAT(co_await failure_of(line->write(std::move(much))), HasSubstr("262145 bytes"));
        EXPECT_EQ(co_await ask(line.get(), "short"), "short");
    });
}

// --- a peer that does not keep to it

// What ends the trunk of who is sent `frames`.
Task<> send_frames(Ends ends, std::string frames, int times) {
    for (int i = 0; i < times; ++i) co_await ends.carrier.write(std::string(frames), true);
    co_await aio::sleep(50ms);
}

std::string told(const std::string& frames) {
    return play(never_read, [&](Ends ends) { return send_frames(ends, frames, 1); });
}

std::string frame(TrunkKind kind, std::uint32_t line, std::string_view payload = {}) {
    std::string text;
    append_frame(text, kind, line, payload);
    return text;
}

TEST(Trunk, WhatNoPeerMaySayEndsIt) {
    const auto open = frame(TrunkKind::open, 7);
    std::string credit;
    append_credit(credit, 7, 1);
    EXPECT_THAT(told(open + open), HasSubstr("line 7 was opened twice"));
    EXPECT_THAT(told(open + credit), HasSubstr("a credit for more than was sent"));
    EXPECT_THAT(told("\x06" + open.substr(1)), HasSubstr("unknown kind 6"));
    EXPECT_THAT(told(open + "\x01"), HasSubstr("cut off in its head"));
    EXPECT_THAT(told(frame(TrunkKind::text, 7, "text").substr(0, 11)), HasSubstr("of 4 bytes"));
    // Of a line that has ended here the peer may not have heard yet.
    EXPECT_THAT(told(frame(TrunkKind::text, 9, "text") + frame(TrunkKind::reset, 9)),
                HasSubstr("the connection was dropped"));  // by the test's end
}

TEST(Trunk, MoreThanTheWindowHasEndsIt) {
    const auto ended = play(never_read, [](Ends ends) -> Task<> {
        co_await send_frames(ends, frame(TrunkKind::open, 7), 1);
        // It may end before all of them are sent.
        auto much = frame(TrunkKind::binary, 7, std::string(200'000, 'x'));
        co_await failure_of(send_frames(ends, std::move(much), 8));
        co_await aio::sleep(50ms);
    });
    EXPECT_THAT(ended, HasSubstr("than its window has"));
}

TEST(TrunkFrame, IsReadAsItIsWritten) {
    std::string text;
    append_frame(text, TrunkKind::open, 1, {});
    append_frame(text, TrunkKind::binary, 0xFFFFFFFE, "data");
    append_credit(text, 2, 0x01020304);
    std::string_view rest = text;
    EXPECT_EQ(next_frame(rest)->kind, TrunkKind::open);
    const auto data = next_frame(rest);
    EXPECT_EQ(data->line, 0xFFFFFFFEU);
    EXPECT_EQ(data->payload, "data");
    EXPECT_EQ(next_frame(rest)->credit, 0x01020304U);
    EXPECT_FALSE(next_frame(rest));
}

}  // namespace
