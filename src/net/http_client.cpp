#include "net/http_client.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <deque>

#include "aio/sweeper.h"
#include "base/buffer.h"
#include "net/stream.h"
#include "net/websocket_stream.h"

namespace trailer::net {
namespace {

namespace http = beast::http;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kPiece = 32 << 10;

struct Connection {
    explicit Connection(Stream s) : stream(std::move(s)) {}
    Stream stream;
    beast::flat_buffer buffer;
    std::chrono::steady_clock::time_point idle_since;
    bool used = false;  // has served a request before
};
using ConnectionPtr = std::unique_ptr<Connection>;

bool is_idempotent(std::string_view method) {
    return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE";
}

// True when the peer has closed (or misused) a connection that should be silent.
bool is_stale(Connection& connection) {
    auto& socket = connection.stream.raw().socket();
    boost::system::error_code error;
    socket.native_non_blocking(true, error);
    char byte = 0;
    const auto count = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return !(count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

Response to_head(const http::response_header<>& header) {
    Response response{.status = static_cast<int>(header.result_int())};
    for (const auto& field : header) {
        response.headers.add(std::string(field.name_string()), std::string(field.value()));
    }
    return response;
}

// One exchange on one connection: writes the request and reads the answer's head.
using Parser = http::response_parser<http::buffer_body>;

Task<> write_request(Connection& connection, const Endpoint& endpoint, const Request& request,
                     std::string doing) {
    std::string head =
        fmt::format("{} {}{} HTTP/1.1\r\n", request.method, endpoint.prefix, request.target);
    if (!request.headers.find("Host")) {
        const bool v6 = endpoint.host.find(':') != std::string::npos;
        const auto host = v6 ? "[" + endpoint.host + "]" : endpoint.host;
        head += endpoint.transport == Endpoint::Transport::unix_socket
                    ? fmt::format("Host: {}\r\n", host)
                    : fmt::format("Host: {}:{}\r\n", host, endpoint.port);
    }
    request.headers.append_to(head);
    if (!request.body.empty() || request.method == "POST" || request.method == "PUT" ||
        request.method == "PATCH") {
        head += fmt::format("Content-Length: {}\r\n", request.body.size());
    }
    head += "\r\n";
    const std::array<asio::const_buffer, 2> buffers{asio::buffer(head), asio::buffer(request.body)};
    const auto [error, count] =
        co_await asio::async_write(connection.stream, buffers, aio::AtOnce{}, kTuple);
    if (error) throw_failure(error, doing);
}

// Reads the next piece of a body; "" at its end.
Task<std::string> read_piece(Connection& connection, Parser& parser, std::string doing) {
    std::string piece;
    if (parser.is_done()) co_return piece;
    connection.buffer.reserve(kPiece);  // Beast asks the kernel for as much as it has room for
    while (!parser.is_done()) {
        resize_raw(piece, kPiece);
        parser.get().body().data = piece.data();
        parser.get().body().size = piece.size();
        auto [error, count] =
            co_await http::async_read_some(connection.stream, connection.buffer, parser, kTuple);
        if (!error) take_what_is_here(parser, connection.buffer, error);
        if (error == http::error::need_buffer) error = {};
        piece.resize(piece.size() - parser.get().body().size);
        if (error == http::error::end_of_stream || error == http::error::partial_message) {
            throw Error(ErrorKind::unavailable, "{}: the connection broke within the answer",
                        doing);
        }
        if (error) throw_failure(error, doing);
        if (!piece.empty()) co_return piece;
    }
    co_return std::string();
}

}  // namespace

class HttpClient::Impl : public std::enable_shared_from_this<Impl> {
  public:
    Impl(asio::any_io_executor executor, Endpoint endpoint, ClientOptions options)
        : executor_(std::move(executor)),
          endpoint_(std::move(endpoint)),
          options_(std::move(options)),
          idle_sweeper_(executor_, options_.idle_timeout / 4, [this] {
              drop_old();
              return !idle_.empty();
          }) {}

    const Endpoint& endpoint() const { return endpoint_; }
    void close_idle() { idle_.clear(); }

    // The TLS context costs a megabyte of trusted roots: made when the first connection needs it.
    asio::ssl::context* tls() {
        if (endpoint_.transport != Endpoint::Transport::tls) return nullptr;
        if (!tls_) {
            tls_ = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
            if (options_.ca_file.empty()) {
                tls_->set_default_verify_paths();
            } else {
                tls_->load_verify_file(options_.ca_file);
            }
        }
        return tls_.get();
    }

    Task<ConnectionPtr> acquire(aio::Deadline deadline, bool fresh) {
        while (open_ >= options_.max_connections) {
            auto turn = std::make_shared<asio::steady_timer>(executor_, deadline.at);
            waiting_.push_back(turn);
            const auto [error] = co_await turn->async_wait(kTuple);
            std::erase(waiting_, turn);
            if ((co_await asio::this_coro::cancellation_state).cancelled() !=
                asio::cancellation_type::none) {
                throw boost::system::system_error(asio::error::operation_aborted);
            }
            if (!error) {
                throw Error(ErrorKind::timeout, "{}: all {} connections are busy",
                            endpoint_.to_string(), options_.max_connections);
            }
        }
        ++open_;
        try {
            while (!fresh && !idle_.empty()) {
                auto connection = std::move(idle_.back());
                idle_.pop_back();
                const auto age = std::chrono::steady_clock::now() - connection->idle_since;
                if (age < options_.idle_timeout && !is_stale(*connection)) co_return connection;
            }
            auto stream =
                co_await connect(endpoint_, tls(), deadline.at_most(options_.connect_timeout));
            co_return std::make_unique<Connection>(std::move(stream));
        } catch (...) {
            let_go();
            throw;
        }
    }

    // Gives a connection back that stands between two exchanges.
    void give_back(ConnectionPtr connection) {
        connection->used = true;
        connection->stream.raw().expires_never();
        connection->idle_since = std::chrono::steady_clock::now();
        connection->buffer.shrink_to_fit();  // many of them rest
        idle_.push_back(std::move(connection));
        idle_sweeper_.begin();
        let_go();
    }

    // Of a burst many are left, and nobody may ever ask again.
    void drop_old() {
        const auto now = std::chrono::steady_clock::now();
        std::erase_if(idle_, [&](const auto& each) {
            return now - each->idle_since >= options_.idle_timeout;
        });
    }

    void let_go() {
        --open_;
        if (!waiting_.empty()) waiting_.front()->cancel();
    }

    // Writes the request and reads the head, on a kept connection or a new one.
    struct Begun {
        ConnectionPtr connection;
        std::unique_ptr<Parser> parser;
        std::string doing;
    };
    Task<Begun> begin(const Request& request, aio::Deadline deadline) {
        const auto doing =
            fmt::format("{} {}{}", request.method, endpoint_.to_string(),
                        std::string_view(request.target).substr(0, request.target.find('?')));
        for (int attempt = 0;; ++attempt) {
            auto connection = co_await acquire(deadline, attempt > 0);
            const bool used = connection->used;
            bool retry = false;
            try {
                connection->stream.raw().expires_at(deadline.at);
                co_await write_request(*connection, endpoint_, request, doing);
                auto parser = std::make_unique<Parser>();
                parser->header_limit(64 << 10);
                parser->body_limit(boost::none);
                if (request.method == "HEAD") parser->skip(true);
                do {
                    const auto [error, count] = co_await http::async_read_header(
                        connection->stream, connection->buffer, *parser, kTuple);
                    if (error) {
                        // Closed while it was idle, before a byte of an answer.
                        retry = used && attempt == 0 && !parser->got_some() &&
                                (error == http::error::end_of_stream ||
                                 error == asio::error::connection_reset) &&
                                is_idempotent(request.method);
                        if (error == http::error::end_of_stream) {
                            throw Error(ErrorKind::unavailable, "{}: the connection was closed",
                                        doing);
                        }
                        throw_failure(error, doing);
                    }
                } while (parser->get().result_int() / 100 == 1 &&
                         parser->get().result_int() != 101 && reset(parser));
                co_return Begun{std::move(connection), std::move(parser), doing};
            } catch (const Error& e) {
                const bool nothing_sent = used && attempt == 0 &&
                                          e.kind() == ErrorKind::unavailable &&
                                          is_idempotent(request.method);
                connection.reset();
                let_go();
                if (!retry && !nothing_sent) throw;
            } catch (...) {
                connection.reset();
                let_go();
                throw;
            }
        }
    }

    // After an interim answer (1xx) the real one follows on a new parser.
    static bool reset(std::unique_ptr<Parser>& parser) {
        parser = std::make_unique<Parser>();
        parser->header_limit(64 << 10);
        parser->body_limit(boost::none);
        return true;
    }

    asio::any_io_executor executor_;
    Endpoint endpoint_;
    ClientOptions options_;

  private:
    std::unique_ptr<asio::ssl::context> tls_;
    std::vector<ConnectionPtr> idle_;
    aio::Sweeper idle_sweeper_;
    std::size_t open_ = 0;
    std::deque<std::shared_ptr<asio::steady_timer>> waiting_;
};

// An answer whose body is being read; its connection goes back when the body has been read to its
// end.
class BodyStream : public ResponseStream {
  public:
    using Return = std::function<void(ConnectionPtr)>;  // empty: the connection is broken

    BodyStream(ConnectionPtr connection, std::unique_ptr<Parser> parser, std::string doing,
               Return give_back)
        : connection_(std::move(connection)),
          parser_(std::move(parser)),
          doing_(std::move(doing)),
          give_back_(std::move(give_back)),
          head_(to_head(parser_->get().base())) {}
    ~BodyStream() override {
        if (give_back_) give_back_(nullptr);
    }
    BodyStream(const BodyStream&) = delete;
    BodyStream& operator=(const BodyStream&) = delete;

    const Response& head() const override { return head_; }
    void set_deadline(aio::Deadline deadline) { connection_->stream.raw().expires_at(deadline.at); }
    void set_no_deadline() { connection_->stream.raw().expires_never(); }

    Task<std::string> read() override {
        if (!connection_) co_return std::string();
        auto piece = co_await read_piece(*connection_, *parser_, doing_);
        if (piece.empty()) {
            const bool keep = parser_->keep_alive();
            if (!keep) connection_.reset();
            std::exchange(give_back_, {})(std::move(connection_));
        }
        co_return piece;
    }

  private:
    ConnectionPtr connection_;
    std::unique_ptr<Parser> parser_;
    std::string doing_;
    Return give_back_;
    Response head_;
};

HttpClient::HttpClient(asio::any_io_executor executor, Endpoint endpoint, ClientOptions options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(endpoint), std::move(options))) {}
HttpClient::~HttpClient() {
    impl_->close_idle();
}

const Endpoint& HttpClient::endpoint() const {
    return impl_->endpoint_;
}
void HttpClient::close_idle() {
    impl_->close_idle();
}

Task<std::unique_ptr<ResponseStream>> HttpClient::open(Request request, aio::Deadline deadline) {
    auto impl = impl_;
    auto begun = co_await impl->begin(request, deadline);
    auto stream = std::make_unique<BodyStream>(std::move(begun.connection), std::move(begun.parser),
                                               begun.doing, [impl](ConnectionPtr connection) {
                                                   if (connection) {
                                                       impl->give_back(std::move(connection));
                                                   } else {
                                                       impl->let_go();
                                                   }
                                               });
    stream->set_no_deadline();
    co_return stream;
}

Task<Response> HttpClient::request(Request request, aio::Deadline deadline) {
    const auto max_body = impl_->options_.max_body;
    auto stream = co_await open(std::move(request), deadline);
    static_cast<BodyStream&>(*stream).set_deadline(deadline);
    Response response = stream->head();
    for (;;) {
        const auto piece = co_await stream->read();
        if (piece.empty()) co_return response;
        if (response.body.size() + piece.size() > max_body) {
            throw Error(ErrorKind::too_large, "{}: the answer has more than {} bytes",
                        endpoint().to_string(), max_body);
        }
        response.body += piece;
    }
}

Task<Upgraded> HttpClient::upgrade(Request request, aio::Deadline deadline) {
    const auto doing = fmt::format("{} {}", request.method, endpoint().to_string());
    request.headers.set("Connection", "Upgrade");
    if (!request.headers.find("Upgrade")) request.headers.set("Upgrade", "tcp");
    auto stream = co_await connect(endpoint(), impl_->tls(), deadline);
    auto connection = std::make_unique<Connection>(std::move(stream));
    connection->stream.raw().expires_at(deadline.at);
    co_await write_request(*connection, endpoint(), request, doing);
    Parser parser;
    parser.body_limit(boost::none);
    const auto [error, count] =
        co_await http::async_read_header(connection->stream, connection->buffer, parser, kTuple);
    if (error) throw_failure(error, doing);
    const auto status = parser.get().result_int();
    if (status != 101 && status != 200) {
        Upgraded refused{.stream = nullptr, .refusal = to_head(parser.get().base())};
        refused.refusal.body = co_await read_piece(*connection, parser, doing);
        co_return refused;
    }
    connection->stream.raw().expires_never();
    auto raw = std::make_unique<RawBytes>(std::move(connection->stream),
                                          std::move(connection->buffer), doing);
    co_return Upgraded{std::move(raw), {}};
}

Task<std::unique_ptr<WebSocket>> HttpClient::websocket(Request request, aio::Deadline deadline,
                                                       WebSocketOptions options) {
    auto stream = co_await connect(endpoint(), impl_->tls(), deadline);
    co_return co_await open_websocket(std::move(stream), endpoint(), std::move(request), deadline,
                                      options);
}

}  // namespace trailer::net
