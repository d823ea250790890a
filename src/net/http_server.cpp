#include "net/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <charconv>

#include "aio/sweeper.h"
#include "aio/task_group.h"
#include "base/buffer.h"
#include "base/log.h"
#include "net/stream.h"
#include "net/websocket_stream.h"

namespace trailer::net {
namespace {

namespace http = beast::http;
namespace ip = asio::ip;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kUsualHead = 1 << 10;
constexpr std::size_t kPiece = 16 << 10;
constexpr auto kLinger = std::chrono::seconds{2};
constexpr std::size_t kMostLinger = 64 << 20;
constexpr auto kLookAgain = std::chrono::milliseconds{250};
constexpr auto kGrace = std::chrono::seconds(2);  // for answers under way, at the end

using Parser = http::request_parser<http::buffer_body>;

// What went wrong with a request before a handler could see it.
struct Refusal {
    int status;
    std::string detail;
};

// RFC 9110, section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT". Made once a second.
const std::string& http_date() {
    static std::string text;
    static std::time_t made = 0;
    const auto time = std::time(nullptr);
    if (time != made) {
        std::tm parts{};
        ::gmtime_r(&time, &parts);
        std::array<char, 40> buffer{};
        const auto size =
            std::strftime(buffer.data(), buffer.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        text.assign(buffer.data(), size);
        made = time;
    }
    return text;
}

std::string render_head(int status, const Headers& headers, std::string_view framing,
                        bool keep_alive) {
    auto head = fmt::format("HTTP/1.1 {} {}\r\n", status, reason_phrase(status));
    if (!headers.find("Date")) head += fmt::format("Date: {}\r\n", http_date());
    headers.append_to(head);
    head += framing;
    if (!keep_alive) head += "Connection: close\r\n";
    head += "\r\n";
    return head;
}

Response problem(int status, std::string_view detail) {
    return {status,
            {{"Content-Type", "application/problem+json"}},
            fmt::format(R"({{"type":"about:blank","title":"{}","status":{},"detail":"{}"}})",
                        reason_phrase(status), status, detail)};
}

bool has_no_body(int status) {
    return status == 204 || status == 304 || status / 100 == 1;
}

// True once the peer has said that it sends no more.
bool has_hung_up(int socket) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return true;
    return info.tcpi_state != TCP_ESTABLISHED;
}

// Raw bytes have no pings of their own: the kernel asks, and gives up what it can't deliver.
void find_dead_peers(int socket) {
    const auto set = [socket](int level, int option, int value) {
        ::setsockopt(socket, level, option, &value, sizeof value);
    };
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, 10);
    set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
    set(IPPROTO_TCP, TCP_KEEPCNT, 3);
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, 25'000);
}

// One client's connection and the request on it that is being answered.
class Session : public Exchange {
  public:
    Session(Stream stream, const ServerOptions& options)
        : options_(options), stream_(std::move(stream)), peer_(peer_of(stream_.raw().socket())) {}

    const Request& request() const override { return request_; }
    std::string peer() const override { return peer_; }
    bool secure() const override { return stream_.secure(); }
    bool answered() const override { return answered_; }
    bool wants_websocket() const override { return parser_ && parser_->upgrade() && is_websocket_; }

    // Reads the next request's head. False when the client has gone or stayed idle too long.
    Task<bool> next() {
        answered_ = false;
        upgraded_ = false;
        broken_ = false;
        parser_ = std::make_unique<Parser>();
        parser_->header_limit(static_cast<std::uint32_t>(options_.max_head));
        parser_->body_limit(boost::none);
        if (buffer_.size() == 0) {
            if (buffer_.capacity() > kUsualHead) buffer_.shrink_to_fit();
            // Many wait here: with room for a usual head, no more, and without a timer each.
            stream_.raw().expires_never();
            idle_since_ = std::chrono::steady_clock::now();
            idle_ = true;
            std::array<char, kUsualHead> first{};
            const auto [error, count] =
                co_await stream_.async_read_some(asio::buffer(first), kTuple);
            idle_ = false;
            if (error || count == 0) co_return false;
            buffer_.commit(asio::buffer_copy(buffer_.prepare(count), asio::buffer(first), count));
        }
        if (const auto error = co_await read_head()) {
            if (error == http::error::end_of_stream) co_return false;
            refusal_ = refusal_for(error);
            if (refusal_) co_await refuse(*refusal_);
            co_return false;
        }
        const auto& head = parser_->get();
        request_ = Request{.method = std::string(head.method_string()),
                           .target = std::string(head.target())};
        for (const auto& field : head) {
            request_.headers.add(std::string(field.name_string()), std::string(field.value()));
        }
        is_websocket_ = beast::iequals(head[http::field::upgrade], "websocket");
        keep_alive_ = parser_->keep_alive();
        if (!request_.target.starts_with('/') && request_.target != "*") {
            co_await refuse({400, "expected a target that begins with /"});
            co_return false;
        }
        co_return true;
    }

    bool keep_alive() const { return keep_alive_ && !broken_ && !upgraded_; }
    bool idle() const { return idle_; }
    bool idle_too_long(std::chrono::steady_clock::time_point now) const {
        return idle_ && now - idle_since_ >= options_.idle_timeout;
    }
    void abort() {
        if (websocket_ != nullptr) {
            websocket_->abort();
        } else if (raw_ != nullptr) {
            raw_->abort();
        } else if (!upgraded_) {  // else the stream has moved into the WebSocket
            stream_.close();
        }
    }

    // Reads what the handler left of the body, so that the next request can follow.
    Task<> drain() {
        try {
            if (!upgraded_ && !parser_->is_done()) {
                if (expects_continue() && !continued_) {
                    broken_ = true;
                } else {
                    co_await read_body(256 << 10);
                }
            }
        } catch (const Error&) {
            broken_ = true;
        }
        continued_ = false;
    }

    // A client that is still sending its body learns nothing from a connection that is reset: it is
    // heard out for a moment, so that it comes to read the answer ("lingering close").
    Task<> linger() {
        if (upgraded_ || !parser_ || parser_->is_done()) co_return;
        boost::system::error_code error;
        stream_.raw().socket().shutdown(asio::socket_base::shutdown_send, error);
        stream_.raw().expires_after(kLinger);
        std::string piece(kPiece, '\0');
        for (std::size_t heard = 0; !error && heard < kMostLinger;) {
            const auto [failure, count] =
                co_await stream_.async_read_some(asio::buffer(piece), kTuple);
            error = failure;
            heard += count;
        }
    }

    Task<std::string> read_body(std::size_t max_body) override {
        const auto too_large = [&] {
            broken_ = true;
            return Error(ErrorKind::too_large, "the request's body has more than {} bytes",
                         max_body);
        };
        if (const auto length = parser_->content_length(); length && *length > max_body)
            throw too_large();
        if (!parser_->is_done() && expects_continue() && !std::exchange(continued_, true)) {
            co_await write_all("HTTP/1.1 100 Continue\r\n\r\n");
        }
        std::string body;
        const auto deadline = std::chrono::steady_clock::now() + options_.body_timeout;
        while (!parser_->is_done()) {
            body += co_await read_some(deadline);
            if (body.size() > max_body) throw too_large();
        }
        co_return body;
    }

    bool expects_continue() const override {
        return beast::iequals(parser_->get()[http::field::expect], "100-continue");
    }

    std::optional<std::uint64_t> body_length() const override {
        if (parser_->chunked()) return std::nullopt;
        const auto length = parser_->content_length();
        return length ? *length : 0;
    }

    Task<std::string> read_piece() override {
        if (!parser_->is_done() && expects_continue() && !answered_ &&
            !std::exchange(continued_, true)) {
            co_await write_all("HTTP/1.1 100 Continue\r\n\r\n");
        }
        while (!parser_->is_done()) {
            auto piece =
                co_await read_some(std::chrono::steady_clock::now() + options_.body_timeout);
            if (!piece.empty()) co_return piece;
        }
        co_return std::string();
    }

    Task<> until_gone() override {
        auto& socket = stream_.raw().socket();
        for (;;) {
            const auto [error] = co_await socket.async_wait(asio::socket_base::wait_read, kTuple);
            if (error == asio::error::operation_aborted) throw boost::system::system_error(error);
            char byte = 0;
            const auto count = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
            if (error || count == 0) co_return;
            if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK) co_return;
            if (count < 0) continue;
            // The next request waits already, and hides the end that may come behind it.
            if (has_hung_up(socket.native_handle())) co_return;
            co_await aio::sleep(kLookAgain);
        }
    }

    Task<> respond(Response response) override {
        begin_answer();
        const bool bodiless = has_no_body(response.status);
        const auto framing =
            bodiless ? std::string() : fmt::format("Content-Length: {}\r\n", response.body.size());
        const auto head = render_head(response.status, response.headers, framing, keep_alive());
        std::vector<asio::const_buffer> buffers{asio::buffer(head)};
        if (!bodiless && request_.method != "HEAD") buffers.push_back(asio::buffer(response.body));
        co_await write_buffers(buffers);
    }

    Task<std::unique_ptr<ResponseWriter>> stream(Response head) override;

    Task<std::unique_ptr<WebSocket>> accept_websocket(WebSocketOptions options,
                                                      std::string subprotocol) override {
        begin_answer();
        upgraded_ = true;
        http::request<http::string_body> upgrade;
        upgrade.base() = parser_->get().base();
        auto socket =
            co_await accept_websocket_on(std::move(stream_), std::move(upgrade), std::move(buffer_),
                                         options, std::move(subprotocol));
        websocket_ = socket.get();
        co_return std::make_unique<Borrowed>(std::move(socket), websocket_);
    }

    Task<std::unique_ptr<ByteStream>> take_over(Response head) override {
        begin_answer();
        co_await write_all(render_head(head.status, head.headers, "", true));
        upgraded_ = true;
        stream_.raw().expires_never();
        find_dead_peers(stream_.raw().socket().native_handle());
        auto raw = std::make_unique<RawBytes>(std::move(stream_), std::move(buffer_),
                                              "connection with " + peer_);
        raw_ = raw.get();
        co_return std::make_unique<BorrowedBytes>(std::move(raw), raw_);
    }

    Task<> write_all(std::string text) { co_await write_buffers({asio::buffer(text)}); }

    Task<> write_buffers(std::vector<asio::const_buffer> buffers) {
        if (stream_.write_now(buffers)) co_return;
        // Piece by piece, so that the time limit is for progress and not for the whole of a big
        // answer.
        stream_.raw().expires_after(options_.write_timeout);
        const auto [error, count] =
            co_await asio::async_write(stream_, buffers, aio::AtOnce{}, kTuple);
        if (!error) co_return;
        broken_ = true;
        throw_failure(error == beast::error::timeout ? asio::error::timed_out : error,
                      "answering " + peer_);
    }

    void break_connection() { broken_ = true; }

  private:
    // A handler's socket, which tells the session when it has gone.
    class Borrowed : public WebSocket {
      public:
        Borrowed(std::unique_ptr<WebSocket> socket, WebSocket*& slot)
            : socket_(std::move(socket)), slot_(slot) {}
        ~Borrowed() override { slot_ = nullptr; }
        Borrowed(const Borrowed&) = delete;
        Borrowed& operator=(const Borrowed&) = delete;
        Task<std::optional<WebSocketMessage>> read() override { return socket_->read(); }
        Task<> write(std::string data, bool binary) override {
            return socket_->write(std::move(data), binary);
        }
        Task<> write(SharedBytes data, bool binary) override {
            return socket_->write(std::move(data), binary);
        }
        Task<> close(int code, std::string reason) override {
            return socket_->close(code, std::move(reason));
        }
        void abort() override { socket_->abort(); }
        std::string peer() const override { return socket_->peer(); }
        std::string subprotocol() const override { return socket_->subprotocol(); }

      private:
        std::unique_ptr<WebSocket> socket_;
        WebSocket*& slot_;
    };

    // The same for what is left after an upgrade.
    class BorrowedBytes : public ByteStream {
      public:
        BorrowedBytes(std::unique_ptr<ByteStream> stream, ByteStream*& slot)
            : stream_(std::move(stream)), slot_(slot) {}
        ~BorrowedBytes() override { slot_ = nullptr; }
        BorrowedBytes(const BorrowedBytes&) = delete;
        BorrowedBytes& operator=(const BorrowedBytes&) = delete;
        Task<std::string> read() override { return stream_->read(); }
        Task<> write(std::string data) override { return stream_->write(std::move(data)); }
        void shutdown_write() override { stream_->shutdown_write(); }
        void abort() override { stream_->abort(); }

      private:
        std::unique_ptr<ByteStream> stream_;
        ByteStream*& slot_;
    };

    // Most heads are here already, in one piece.
    Task<boost::system::error_code> read_head() {
        boost::system::error_code error;
        buffer_.consume(parser_->put(buffer_.data(), error));
        if (!error || error != http::error::need_more) co_return error;
        stream_.raw().expires_after(options_.head_timeout);
        std::tie(error, std::ignore) =
            co_await http::async_read_header(stream_, buffer_, *parser_, kTuple);
        co_return error;
    }

    // Some of the body, maybe nothing yet.
    Task<std::string> read_some(std::chrono::steady_clock::time_point deadline) {
        const auto left = parser_->content_length_remaining();
        const auto most = left && *left > 0 ? std::min<std::uint64_t>(*left, 4 * kPiece) : kPiece;
        // What is asked of the kernel at once.
        if (buffer_.size() < most) buffer_.reserve(std::min<std::size_t>(most, kPiece));
        auto piece = raw_string(most);
        parser_->get().body().data = piece.data();
        parser_->get().body().size = piece.size();
        stream_.raw().expires_at(deadline);
        auto [error, count] = co_await http::async_read_some(stream_, buffer_, *parser_, kTuple);
        if (!error) take_what_is_here(*parser_, buffer_, error);
        if (error == http::error::need_buffer) error = {};
        piece.resize(piece.size() - parser_->get().body().size);
        if (!error) co_return piece;
        broken_ = true;
        if (error == beast::error::timeout) {
            throw Error(ErrorKind::timeout, "the request's body did not arrive in time");
        }
        if (refusal_for(error)) {
            throw InvalidInput("", "the request's body is malformed: " + error.message());
        }
        throw_failure(error, "reading a request's body from " + peer_);
    }

    void begin_answer() {
        if (std::exchange(answered_, true)) throw std::logic_error("a request is answered once");
    }

    static std::optional<Refusal> refusal_for(const boost::system::error_code& error) {
        if (error == http::error::header_limit)
            return Refusal{431, "the request's head is too large"};
        if (error == beast::error::timeout)
            return Refusal{408, "the request's head did not arrive in time"};
        if (error == http::error::partial_message) return std::nullopt;
        if (error.category() == http::make_error_code(http::error::bad_version).category()) {
            return Refusal{400, "not HTTP/1.1: " + error.message()};
        }
        return std::nullopt;
    }

    Task<> refuse(Refusal refusal) {
        broken_ = true;
        keep_alive_ = false;
        const auto response = problem(refusal.status, refusal.detail);
        // After a timeout Beast has closed the socket; then there is nobody to tell.
        if (!stream_.raw().socket().is_open()) co_return;
        const auto head =
            render_head(response.status, response.headers,
                        fmt::format("Content-Length: {}\r\n", response.body.size()), false);
        stream_.raw().expires_after(options_.write_timeout);
        const std::array<asio::const_buffer, 2> buffers{asio::buffer(head),
                                                        asio::buffer(response.body)};
        co_await asio::async_write(stream_, buffers, kTuple);
    }

    const ServerOptions& options_;
    Stream stream_;
    std::string peer_;
    beast::flat_buffer buffer_;
    std::unique_ptr<Parser> parser_;
    Request request_;
    std::optional<Refusal> refusal_;
    WebSocket* websocket_ = nullptr;
    ByteStream* raw_ = nullptr;
    bool is_websocket_ = false;
    bool keep_alive_ = true;
    bool answered_ = false;
    bool upgraded_ = false;
    bool broken_ = false;
    bool continued_ = false;
    bool idle_ = false;
    std::chrono::steady_clock::time_point idle_since_;
};

class BodyWriter : public ResponseWriter {
  public:
    enum class Framing { none, sized, chunked, until_close };

    BodyWriter(Session& session, Framing framing, std::uint64_t length)
        : session_(session), framing_(framing), left_(length) {}
    ~BodyWriter() override {
        if (!finished_ || left_ > 0) session_.break_connection();
    }
    BodyWriter(const BodyWriter&) = delete;
    BodyWriter& operator=(const BodyWriter&) = delete;

    Task<> write(std::string data) override {
        if (data.empty() || framing_ == Framing::none) co_return;
        co_await write_with("", std::move(data));
    }
    // With what goes before it, in one.
    Task<> write_with(std::string before, std::string data) {
        std::vector<asio::const_buffer> buffers{asio::buffer(before)};
        const auto size = fmt::format("{:x}\r\n", data.size());
        if (framing_ == Framing::chunked) {
            buffers.insert(buffers.end(),
                           {asio::buffer(size), asio::buffer(data), asio::buffer("\r\n", 2)});
        } else if (framing_ != Framing::none) {
            buffers.push_back(asio::buffer(data));
        }
        if (framing_ == Framing::sized) {
            if (data.size() > left_) throw std::logic_error("more body than Content-Length says");
            left_ -= data.size();
        }
        co_await session_.write_buffers(std::move(buffers));
    }
    Task<> finish() override {
        finished_ = true;
        if (framing_ == Framing::chunked) co_await session_.write_all("0\r\n\r\n");
    }

  private:
    Session& session_;
    Framing framing_;
    std::uint64_t left_;  // of a sized body
    bool finished_ = false;
};

Task<std::unique_ptr<ResponseWriter>> Session::stream(Response head) {
    using Framing = BodyWriter::Framing;
    begin_answer();
    auto framing = parser_->get().version() >= 11 ? Framing::chunked : Framing::until_close;
    std::uint64_t length = 0;
    if (const auto told = head.headers.find("Content-Length")) {
        const auto [end, error] = std::from_chars(told->begin(), told->end(), length);
        if (error != std::errc{} || end != told->end()) {
            throw Error(ErrorKind::internal, "Content-Length is no number: {}", *told);
        }
        framing = Framing::sized;
    }
    if (has_no_body(head.status) || request_.method == "HEAD") framing = Framing::none;
    if (framing == Framing::none) length = 0;
    if (framing == Framing::until_close) keep_alive_ = false;
    const auto text = render_head(
        head.status, head.headers,
        framing == Framing::chunked ? "Transfer-Encoding: chunked\r\n" : "", keep_alive());
    auto writer = std::make_unique<BodyWriter>(*this, framing, length);
    if (head.body.empty()) {
        co_await write_all(text);
    } else {
        co_await writer->write_with(text, std::move(head.body));
    }
    co_return writer;
}

}  // namespace

class HttpServer::Impl {
  public:
    Impl(asio::any_io_executor executor, ServerOptions options, Handler handler)
        : options_(std::move(options)),
          handler_(std::move(handler)),
          acceptor_(executor),
          sessions_(executor),
          sweeper_(executor, options_.idle_timeout / 16, [this] { return sweep(); }) {
        boost::system::error_code error;
        auto address = ip::make_address(
            options_.address == "localhost" ? "127.0.0.1" : options_.address, error);
        if (error) {
            throw Error(ErrorKind::invalid, "{}: expected an IP address to listen on",
                        options_.address);
        }
        const ip::tcp::endpoint endpoint(address, options_.port);
        acceptor_.open(endpoint.protocol());
        acceptor_.set_option(ip::tcp::acceptor::reuse_address(true));
        acceptor_.bind(endpoint, error);
        if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
        if (error) {
            throw Error(ErrorKind::unavailable,
                        "listening on {}:{}: {}; stop what uses it, or choose another address with "
                        "--server-url",
                        options_.address, options_.port, error.message());
        }
    }

    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

    Task<> serve() {
        std::exception_ptr failure;
        try {
            co_await accept_all();
        } catch (...) {
            failure = std::current_exception();
        }
        // Cancelled: end in good order, for which this coroutine must be able to wait.
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        co_await asio::this_coro::throw_if_cancelled(false);
        boost::system::error_code ignored;
        acceptor_.close(ignored);
        for (auto* session : live_) {
            if (session->idle()) session->abort();
        }
        ending_ = true;
        asio::steady_timer grace(acceptor_.get_executor(), kGrace);
        grace.async_wait([this](const boost::system::error_code& error) {
            if (error) return;
            for (auto* session : live_) session->abort();
            sessions_.cancel();
        });
        // Long answers (events, WebSockets) end by cancellation at once: nobody waits for their
        // end.
        for (auto* session : live_) {
            if (session->answered()) session->abort();
        }
        try {
            co_await sessions_.join();
        } catch (const std::exception& e) {
            log::warning("ending connections: {}", describe(e));
        }
        grace.cancel();
        sweeper_.end();
        if (failure) std::rethrow_exception(failure);
    }

  private:
    Task<> accept_all() {
        for (;;) {
            ip::tcp::socket socket(acceptor_.get_executor());
            const auto [error] = co_await acceptor_.async_accept(socket, kTuple);
            if (error == asio::error::operation_aborted) throw boost::system::system_error(error);
            if (error) {
                // EMFILE and its like pass when connections end; a pause keeps this loop from
                // spinning.
                log::warning("accepting a connection: {}", error.message());
                co_await aio::sleep(std::chrono::milliseconds(100));
                continue;
            }
            boost::system::error_code ignored;
            socket.set_option(ip::tcp::no_delay(true), ignored);
            sessions_.spawn(run(Stream(asio::generic::stream_protocol::socket(std::move(socket)))));
        }
    }

    // Keeps serve() able to reach a session while it lives.
    class Listed {
      public:
        Listed(std::set<Session*>& all, Session& session) : all_(all), session_(session) {
            all_.insert(&session_);
        }
        ~Listed() { all_.erase(&session_); }
        Listed(const Listed&) = delete;
        Listed& operator=(const Listed&) = delete;

      private:
        std::set<Session*>& all_;
        Session& session_;
    };

    bool sweep() {
        const auto now = std::chrono::steady_clock::now();
        for (auto* session : live_) {
            if (session->idle_too_long(now)) session->abort();
        }
        return !live_.empty();
    }

    Task<> run(Stream stream) {
        Session session(std::move(stream), options_);
        const Listed listed(live_, session);
        sweeper_.begin();
        try {
            const bool crowded = live_.size() > options_.max_connections;
            while (!ending_ && co_await session.next()) {
                if (crowded) {
                    session.break_connection();
                    co_await session.respond(problem(503, "too many connections; try again later"));
                    break;
                }
                co_await handle(session);
                co_await session.drain();
                if (session.keep_alive()) continue;
                co_await session.linger();
                break;
            }
        } catch (const std::exception& e) {
            // The client went, or the server ends: either way there is nobody left to tell.
            log::debug("connection of {}: {}", session.peer(), describe(e));
        }
    }

    Task<> handle(Session& session) {
        std::string failure;
        try {
            co_await handler_(session);
            if (!session.answered()) failure = "the handler gave no answer";
        } catch (const std::exception& e) {
            if (aio::is_cancellation(e)) throw;
            failure = describe(e);
        }
        if (failure.empty()) co_return;
        if (session.answered()) {
            session.break_connection();
            log::debug("{} {}: {}", session.request().method, session.request().path(), failure);
            co_return;
        }
        log::error("{} {}: {}", session.request().method, session.request().path(), failure);
        co_await session.respond(problem(500, "an internal error; the server's log tells more"));
    }

    ServerOptions options_;
    Handler handler_;
    ip::tcp::acceptor acceptor_;
    aio::TaskGroup sessions_;
    std::set<Session*> live_;
    aio::Sweeper sweeper_;
    bool ending_ = false;
};

HttpServer::HttpServer(asio::any_io_executor executor, ServerOptions options, Handler handler)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(options), std::move(handler))) {}
HttpServer::~HttpServer() = default;
std::uint16_t HttpServer::port() const {
    return impl_->port();
}
Task<> HttpServer::serve() {
    return impl_->serve();
}

}  // namespace trailer::net
