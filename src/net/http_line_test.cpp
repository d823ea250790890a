// An HTTP/1.1 client on a byte stream that is played by hand.
#include "net/http_line.h"

#include <gmock/gmock.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <deque>

#include "base/error.h"

namespace {

using namespace trailer;
using net::HttpLine;
using Kind = HttpLine::Framing::Kind;

// Gives its pieces one after another, then the end; keeps what is written.
class Scripted : public net::ByteStream {
  public:
    Scripted(std::deque<std::string> pieces, std::string* written)
        : pieces_(std::move(pieces)), written_(written) {}
    Task<std::string> read() override {
        if (pieces_.empty()) co_return std::string();
        auto piece = std::move(pieces_.front());
        pieces_.pop_front();
        co_return piece;
    }
    Task<> write(std::string data) override {
        *written_ += data;
        co_return;
    }
    void shutdown_write() override {}
    void abort() override { pieces_.clear(); }

  private:
    std::deque<std::string> pieces_;
    std::string* written_;
};

struct Heard {
    net::Response head;
    std::string body;
    std::string written;
    std::string failure;
    bool reusable = false;
    std::string raw;
};

Task<> ask(HttpLine* line, std::string method, Heard* heard) {
    net::Request request{.method = std::move(method), .target = "/x", .headers = {{"Host", "h"}}};
    co_await line->begin(std::move(request), {});
    heard->head = co_await line->read_head();
    if (heard->head.status == 101) {
        const auto raw = line->take_over();
        for (std::string piece = co_await raw->read(); !piece.empty();
             piece = co_await raw->read()) {
            heard->raw += piece;
        }
        co_return;
    }
    for (auto piece = co_await line->read(); !piece.empty(); piece = co_await line->read()) {
        heard->body += piece;
    }
    heard->reusable = line->reusable();
}

template <typename Script>
void play(Heard& heard, Script script) {
    asio::io_context context;
    asio::co_spawn(context, std::move(script), [&](const std::exception_ptr& failure) {
        if (failure) heard.failure = describe(failure);
    });
    context.run();
}

Heard hear(std::deque<std::string> pieces, std::string method = "GET") {
    Heard heard;
    HttpLine line(std::make_unique<Scripted>(std::move(pieces), &heard.written));
    play(heard, ask(&line, std::move(method), &heard));
    return heard;
}

TEST(HttpLine, ReadsABodyOfAKnownLength) {
    const auto heard = hear({"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhel", "lo"});
    EXPECT_EQ(heard.head.status, 200);
    EXPECT_EQ(heard.head.headers.get("X-A"), "b");
    EXPECT_EQ(heard.body, "hello");
    EXPECT_TRUE(heard.reusable);
    EXPECT_EQ(heard.written, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
}

TEST(HttpLine, ReadsChunksHoweverTheyAreCut) {
    const std::string text =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
        "chunked\r\n\r\n3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n";
    for (std::size_t size = 1; size <= text.size(); ++size) {
        std::deque<std::string> pieces;
        for (std::size_t at = 0; at < text.size(); at += size)
            pieces.push_back(text.substr(at, size));
        const auto heard = hear(std::move(pieces));
        EXPECT_EQ(heard.body, "abc0123456789abcdef") << size << heard.failure;
        EXPECT_TRUE(heard.reusable) << size;
    }
}

TEST(HttpLine, ReadsToTheEndOfTheConnectionWhereNothingTellsTheLength) {
    const auto heard = hear({"HTTP/1.0 200 OK\r\n\r\nab", "cd"});
    EXPECT_EQ(heard.body, "abcd");
    EXPECT_FALSE(heard.reusable);
}

TEST(HttpLine, PassesOverInterimAnswers) {
    const auto heard =
        hear({"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"});
    EXPECT_EQ(heard.head.status, 204);
    EXPECT_TRUE(heard.reusable);
}

TEST(HttpLine, AnAnswerToHeadHasNoBody) {
    const auto heard = hear({"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"}, "HEAD");
    EXPECT_EQ(heard.head.headers.get("Content-Length"), "500");
    EXPECT_EQ(heard.body, "");
    EXPECT_TRUE(heard.reusable);
}

TEST(HttpLine, TellsThatAnAnswerBroke) {
    EXPECT_THAT(hear({"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"}).failure,
                testing::HasSubstr("broke"));
    EXPECT_THAT(hear({}).failure, testing::HasSubstr("closed"));
    EXPECT_THAT(hear({"SSH-2.0-dropbear\r\n\r\n"}).failure, testing::HasSubstr("no HTTP"));
    EXPECT_THAT(hear({"HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'a')}).failure,
                testing::HasSubstr("no HTTP"));
}

TEST(HttpLine, GivesTheRawBytesAfterAnUpgrade) {
    const auto heard =
        hear({"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
              "Upgrade\r\n\r\n\x81\x01",
              "a"});
    EXPECT_EQ(heard.raw,
              "\x81\x01"
              "a");
}

Task<> send(HttpLine* line, HttpLine::Framing framing) {
    net::Request request{.method = "POST", .target = "/"};
    co_await line->begin(std::move(request), framing);
    std::string one = "abc";
    co_await line->write(std::move(one));
    std::string two = "de";
    co_await line->write(std::move(two));
    co_await line->finish();
}

TEST(HttpLine, WritesABodyInPieces) {
    Heard sized;
    HttpLine one(std::make_unique<Scripted>(std::deque<std::string>{}, &sized.written));
    play(sized, send(&one, {.kind = Kind::sized, .length = 5}));
    EXPECT_EQ(sized.written, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde");
    Heard chunked;
    HttpLine two(std::make_unique<Scripted>(std::deque<std::string>{}, &chunked.written));
    play(chunked, send(&two, {.kind = Kind::chunked}));
    EXPECT_EQ(
        chunked.written,
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
}

}  // namespace
