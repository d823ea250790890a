#include "net/http_line.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "base/buffer.h"
#include "base/error.h"

namespace trailer::net {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using Parser = http::response_parser<http::buffer_body>;

constexpr std::size_t kPiece = 64 << 10;
constexpr std::uint32_t kMostHead = 64 << 10;

// A stream whose first bytes have been read already.
class Begun : public ByteStream {
  public:
    Begun(std::unique_ptr<ByteStream> stream, std::string early)
        : stream_(std::move(stream)), early_(std::move(early)) {}

    Task<std::string> read() override {
        if (!early_.empty()) co_return std::exchange(early_, {});
        co_return co_await stream_->read();
    }
    Task<> write(std::string data) override { co_await stream_->write(std::move(data)); }
    void shutdown_write() override { stream_->shutdown_write(); }
    void abort() override { stream_->abort(); }

  private:
    std::unique_ptr<ByteStream> stream_;
    std::string early_;
};

Response to_head(const Parser& parser) {
    const auto& header = parser.get().base();
    Response response{.status = static_cast<int>(header.result_int())};
    for (const auto& field : header) {
        response.headers.add(std::string(field.name_string()), std::string(field.value()));
    }
    return response;
}

}  // namespace

class HttpLine::Impl {
  public:
    explicit Impl(std::unique_ptr<ByteStream> its_stream) : stream(std::move(its_stream)) {}

    Task<> send_head(std::string text) {
        co_await stream->write(std::move(text));
        sent = framing.kind == Framing::Kind::none;
    }

    Task<> fill() {
        const auto piece = co_await stream->read();
        if (piece.empty()) throw Error(ErrorKind::unavailable, "the connection was closed");
        append(piece);
    }
    void append(const std::string& piece) {
        heard = true;
        buffer.commit(asio::buffer_copy(buffer.prepare(piece.size()), asio::buffer(piece)));
    }

    void new_parser() {
        parser = std::make_unique<Parser>();
        parser->header_limit(kMostHead);
        parser->body_limit(boost::none);
        if (head_only) parser->skip(true);
    }

    // Gives what is in the buffer to the parser; false when that needs more to go on.
    bool parse() {
        if (buffer.size() == 0) return false;
        boost::system::error_code error;
        const auto used = parser->put(buffer.data(), error);
        buffer.consume(used);
        if (error == http::error::need_more) return false;
        if (error && error != http::error::need_buffer) {
            throw Error(ErrorKind::unavailable, "the answer is no HTTP/1.1: {}", error.message());
        }
        return true;
    }

    std::unique_ptr<ByteStream> stream;
    beast::flat_buffer buffer;
    std::unique_ptr<Parser> parser;
    Framing framing;
    std::uint64_t unsent = 0;  // of a sized body
    bool head_only = false;    // the request was a HEAD
    bool sent = false;         // the whole request
    bool heard = false;
};

HttpLine::HttpLine(std::unique_ptr<ByteStream> stream)
    : impl_(std::make_unique<Impl>(std::move(stream))) {}
HttpLine::~HttpLine() = default;

Task<> HttpLine::begin(const Request& head, Framing framing) {
    impl_->framing = framing;
    impl_->unsent = framing.length;
    impl_->sent = false;
    impl_->heard = false;
    impl_->head_only = head.method == "HEAD";
    impl_->parser.reset();
    auto text = fmt::format("{} {} HTTP/1.1\r\n", head.method, head.target);
    head.headers.append_to(text);
    if (framing.kind == Framing::Kind::sized) {
        text += fmt::format("Content-Length: {}\r\n", framing.length);
    }
    if (framing.kind == Framing::Kind::chunked) text += "Transfer-Encoding: chunked\r\n";
    text += "\r\n";
    return impl_->send_head(std::move(text));
}

Task<> HttpLine::write(std::string piece) {
    if (piece.empty()) co_return;
    if (impl_->framing.kind == Framing::Kind::chunked) {
        piece.insert(0, fmt::format("{:x}\r\n", piece.size()));
        piece += "\r\n";
    } else {
        if (piece.size() > impl_->unsent) throw std::logic_error("more body than was told");
        impl_->unsent -= piece.size();
    }
    co_await impl_->stream->write(std::move(piece));
}

Task<> HttpLine::finish() {
    if (impl_->framing.kind == Framing::Kind::chunked) {
        std::string last = "0\r\n\r\n";
        co_await impl_->stream->write(std::move(last));
    }
    impl_->sent = impl_->unsent == 0;
}

Task<Response> HttpLine::read_head() {
    for (;;) {
        impl_->new_parser();
        while (!impl_->parser->is_header_done()) {
            if (!impl_->parse()) co_await impl_->fill();
        }
        const auto status = impl_->parser->get().result_int();
        if (status / 100 != 1 || status == 101) co_return to_head(*impl_->parser);
    }
}

Task<std::string> HttpLine::read() {
    auto& parser = *impl_->parser;
    parser.eager(true);  // else one chunk at a time
    while (!parser.is_done()) {
        const auto left = parser.content_length_remaining();
        auto out = raw_string(left ? std::min<std::uint64_t>(*left + 1, kPiece) : kPiece);
        parser.get().body().data = out.data();
        parser.get().body().size = out.size();
        const bool starved = !impl_->parse();
        out.resize(out.size() - parser.get().body().size);
        if (!out.empty()) co_return out;
        if (!starved) continue;
        const auto piece = co_await impl_->stream->read();
        if (!piece.empty()) {
            impl_->append(piece);
            continue;
        }
        boost::system::error_code error;
        parser.put_eof(error);
        if (error) {
            throw Error(ErrorKind::unavailable, "the connection broke within the answer");
        }
    }
    co_return std::string();
}

bool HttpLine::has_waiting() const {
    return impl_->parser && !impl_->parser->is_done() && impl_->buffer.size() > 0 &&
           !impl_->parser->chunked();
}

bool HttpLine::heard() const {
    return impl_->heard;
}

bool HttpLine::reusable() const {
    return impl_->sent && impl_->parser && impl_->parser->is_done() &&
           impl_->parser->keep_alive() && impl_->buffer.size() == 0;
}

void HttpLine::abort() {
    if (impl_->stream) impl_->stream->abort();
}

std::unique_ptr<ByteStream> HttpLine::take_over() {
    std::string early(static_cast<const char*>(impl_->buffer.data().data()), impl_->buffer.size());
    impl_->buffer.clear();
    return std::make_unique<Begun>(std::move(impl_->stream), std::move(early));
}

}  // namespace trailer::net
