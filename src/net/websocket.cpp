#include "net/websocket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>

#include "aio/mutex.h"
#include "aio/signal.h"
#include "base/buffer.h"
#include "base/crypto.h"
#include "base/log.h"
#include "net/websocket_frame.h"
#include "net/websocket_stream.h"

namespace trailer::net {
namespace {

namespace http = beast::http;
using namespace std::chrono_literals;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kAhead = 2 << 10;  // read beyond a message; all that a still connection holds
constexpr std::size_t kMostReason = 120;
constexpr auto kHandshakeLimit = 10s;
constexpr auto kFarewell = 1s;

// What the kernel knows of a TCP connection; nothing for a unix socket.
std::optional<tcp_info> tcp_state(const asio::generic::stream_protocol::socket& socket) {
    tcp_info info{};
    socklen_t size = sizeof info;
    // native_handle() is not const, and does not change anything.
    const int handle =
        const_cast<asio::generic::stream_protocol::socket&>(socket).native_handle();  // NOLINT
    if (::getsockopt(handle, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
    return info;
}

// Unpredictable, so that nobody who chooses the payload chooses what is on the wire (RFC 6455,
// section 10.3); from a store, for the kernel is asked by a system call.
MaskKey new_mask_key() {
    constexpr std::size_t kStore = 1024;
    static thread_local Bytes store;
    static thread_local std::size_t used = 0;
    MaskKey key{};
    if (used + key.size() > store.size()) {
        store = random_bytes(kStore);
        used = 0;
    }
    std::memcpy(key.data(), store.data() + used, key.size());
    used += key.size();
    return key;
}

std::string close_payload(int code, std::string_view reason) {
    std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
    payload += reason.substr(0, kMostReason);
    while (!is_utf8(payload.substr(2))) payload.pop_back();  // cut within a letter
    return payload;
}

// True as long as it lives.
class Flag {
  public:
    explicit Flag(bool& flag) : flag_(flag) { flag_ = true; }
    ~Flag() { flag_ = false; }
    Flag(const Flag&) = delete;
    Flag& operator=(const Flag&) = delete;

  private:
    bool& flag_;
};

// The connection itself: shared with what goes on beside its owner's calls, pings and pongs, which
// ends when the owner has gone.
class Core : public std::enable_shared_from_this<Core> {
  public:
    enum class Side { client, server };

    Core(Stream stream, Side side, std::string early, const WebSocketOptions& options)
        : stream_(std::move(stream)),
          side_(side),
          max_message_(options.max_message),
          beat_(options.ping_interval / 2),
          peer_(peer_of(stream_.raw().socket())),
          buffer_(std::move(early)),
          writing_(stream_.get_executor()),
          closed_(stream_.get_executor()),
          pulse_(stream_.get_executor()) {
        stream_.raw().expires_never();
    }

    const std::string& peer() const { return peer_; }
    std::string subprotocol;

    void begin_pulse() {
        pulse_.expires_after(beat_);
        pulse_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
            const auto core = weak.lock();
            if (!error && core && core->is_open()) core->beat();
        });
    }

    Task<std::optional<WebSocketMessage>> read() {
        std::optional<FrameFault> fault;
        try {
            const Flag reading(reading_);
            co_return co_await read_message();
        } catch (const FrameFault& e) {
            fault = e;
        }
        co_await close(fault->close_code(), fault->what());
        throw Error(ErrorKind::unavailable, "WebSocket with {}: {}", peer_, fault->what());
    }

    Task<> write(std::string data, Opcode opcode) {
        const auto turn = co_await writing_.lock();
        if (close_sent_) drop("it was closed");
        const Flag under_way(write_under_way_);
        co_await send(opcode, std::move(data));
    }

    Task<> write(SharedBytes data, Opcode opcode) {
        const auto turn = co_await writing_.lock();
        if (close_sent_) drop("it was closed");
        const Flag under_way(write_under_way_);
        if (side_ == Side::server) {
            co_await send_frame(opcode, *data, std::nullopt);
        } else {
            const auto key = new_mask_key();
            resize_raw(masked_, data->size());
            copy_masked(*data, masked_.data(), key);
            co_await send_frame(opcode, masked_, key);
        }
    }

    Task<> close(int code, std::string reason) {
        if (!is_open() || close_sent_) co_return;
        asio::steady_timer limit(stream_.get_executor(), kFarewell);
        limit.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
            const auto core = weak.lock();
            if (!error && core) core->drop("the connection was dropped");
        });
        try {
            co_await say_goodbye(code, reason);
            // Whoever reads hears the answer; else it is read here, and all before it is too late.
            while (!close_received_ && is_open()) {
                if (reading_) {
                    co_await closed_.wait_for(kFarewell);
                } else {
                    const Flag reading(reading_);
                    co_await read_message();
                }
            }
        } catch (const std::exception& e) {
            log::debug("closing a WebSocket: {}", describe(e));  // it ends all the same
        }
        limit.cancel();
        drop("it was closed");
    }

    void drop(std::string why) {
        if (dropped_.empty()) dropped_ = std::move(why);
        stream_.close();
        closed_.notify();
    }

  private:
    bool is_open() const { return dropped_.empty(); }

    [[noreturn]] void fail(const boost::system::error_code& error) {
        if (!dropped_.empty()) {
            throw Error(ErrorKind::unavailable, "WebSocket with {}: {}", peer_, dropped_);
        }
        throw_failure(error, "WebSocket with " + peer_);
    }

    std::string_view waiting() const { return std::string_view(buffer_).substr(begin_); }
    void consume(std::size_t size) {
        begin_ += size;
        if (begin_ < buffer_.size()) return;
        buffer_.clear();
        begin_ = 0;
    }

    Task<std::optional<WebSocketMessage>> read_message() {
        for (;;) {
            const auto head = read_frame_head(waiting());
            if (!head) {
                co_await fill();
                continue;
            }
            if (head->key.has_value() != (side_ == Side::server)) {
                throw FrameFault(kProtocolError, "a frame whose mask is missing, or one too many");
            }
            consume(head->size);
            if (is_control(head->opcode)) {
                if (!co_await take_control(*head)) co_return std::nullopt;
                continue;
            }
            co_await take_payload(*head);
            if (!head->last) continue;
            const bool binary = std::exchange(kind_, std::nullopt) == Opcode::binary;
            if (!binary && !is_utf8(message_)) {
                throw FrameFault(kBadPayload, "a text that is no UTF-8");
            }
            co_return WebSocketMessage{.binary = binary, .data = std::exchange(message_, {})};
        }
    }

    Task<> fill() {
        buffer_.erase(0, std::exchange(begin_, 0));
        const auto before = buffer_.size();
        buffer_.resize(before + kAhead);
        const auto [error, count] =
            co_await stream_.async_read_some(asio::buffer(buffer_.data() + before, kAhead), kTuple);
        buffer_.resize(before + count);
        if (error) fail(error);
    }

    // What is not here yet is read into its place, with the beginning of what follows.
    Task<> take_payload(FrameHead head) {
        if ((head.opcode == Opcode::continuation) != kind_.has_value()) {
            throw FrameFault(kProtocolError, "a message within another, or the rest of none");
        }
        if (!kind_) kind_ = head.opcode;
        const auto before = message_.size();
        if (head.length > max_message_ - before) {
            throw FrameFault(kTooBig, fmt::format("a message of more than {} bytes", max_message_));
        }
        const auto length = static_cast<std::size_t>(head.length);
        resize_raw(message_, before + length);
        char* const payload = message_.data() + before;
        auto have = std::min(length, waiting().size());
        std::memcpy(payload, waiting().data(), have);
        consume(have);
        while (have < length) {
            buffer_.resize(kAhead);
            const std::array<asio::mutable_buffer, 2> room{
                asio::buffer(payload + have, length - have), asio::buffer(buffer_)};
            const auto [error, count] = co_await stream_.async_read_some(room, kTuple);
            const auto ours = std::min(count, length - have);
            have += ours;
            buffer_.resize(count - ours);
            if (error) fail(error);
        }
        if (head.key) apply_mask(payload, length, *head.key);
    }

    // False after a close.
    Task<bool> take_control(FrameHead head) {
        const auto length = static_cast<std::size_t>(head.length);
        while (waiting().size() < length) co_await fill();
        std::string payload(waiting().substr(0, length));
        consume(length);
        if (head.key) apply_mask(payload.data(), payload.size(), *head.key);
        if (head.opcode == Opcode::ping) {
            answer_ping(std::move(payload));
            co_return true;
        }
        if (head.opcode != Opcode::close) co_return true;
        const auto code = read_close(payload);
        close_received_ = true;
        closed_.notify();
        if (close_sent_) co_return false;
        // Not waited for when it does not read either.
        asio::steady_timer limit(stream_.get_executor(), kFarewell);
        limit.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
            const auto core = weak.lock();
            if (!error && core) core->drop("the peer closed it");
        });
        try {
            constexpr int kNone = 1005;
            co_await say_goodbye(code == kNone ? 1000 : code, "");
        } catch (const Error&) {
            drop("the peer closed it");  // and did not wait for the answer
        }
        limit.cancel();
        drop("the peer closed it");
        co_return false;
    }

    Task<> say_goodbye(int code, std::string_view reason) {
        const auto turn = co_await writing_.lock();
        if (std::exchange(close_sent_, true)) co_return;
        co_await send(Opcode::close, close_payload(code, reason));
    }

    // With the turn to write.
    Task<> send(Opcode opcode, std::string payload) {
        std::optional<MaskKey> key;
        if (side_ == Side::client) {
            key = new_mask_key();
            apply_mask(payload.data(), payload.size(), *key);
        }
        co_await send_frame(opcode, payload, key);
    }

    // `payload` as it goes on the wire, which stays until this returns.
    Task<> send_frame(Opcode opcode, std::string_view payload, std::optional<MaskKey> key) {
        const auto head = frame_head(opcode, payload.size(), key);
        std::array<asio::const_buffer, 2> buffers{asio::buffer(head), asio::buffer(payload)};
        if (stream_.write_now(buffers)) co_return;
        const auto [error, count] =
            co_await asio::async_write(stream_, buffers, aio::AtOnce{}, kTuple);
        if (!error) co_return;
        stream_.close();  // half a frame may have gone: nothing can follow it
        fail(error);
    }

    // The newest stands for all that came before (RFC 6455, section 5.5.3). Not by the reader
    // itself, which goes on while a peer that does not read holds up what is written.
    void answer_ping(std::string payload) {
        if (std::exchange(pong_, std::move(payload))) return;
        asio::co_spawn(stream_.get_executor(), send_pong(shared_from_this()), asio::detached);
    }
    static Task<> send_pong(std::shared_ptr<Core> core) {
        try {
            const auto turn = co_await core->writing_.lock();
            auto payload = std::move(*std::exchange(core->pong_, std::nullopt));
            if (!core->close_sent_) co_await core->send(Opcode::pong, std::move(payload));
        } catch (const std::exception&) {
            core->drop("it could not be written to");  // which reads and writes tell
        }
    }
    static Task<> send_ping(std::shared_ptr<Core> core) {
        try {
            const auto turn = co_await core->writing_.lock();
            if (!core->close_sent_) co_await core->send(Opcode::ping, "");
        } catch (const std::exception&) {
            core->drop("it could not be written to");
        }
        core->pinging_ = false;
    }

    void beat() {
        if (is_dead()) {
            drop(fmt::format("nothing came for {} s",
                             std::chrono::ceil<std::chrono::seconds>(patience()).count()));
            return;
        }
        if (!write_under_way_) std::string().swap(masked_);
        if (!write_under_way_ && !std::exchange(pinging_, true)) {
            asio::co_spawn(stream_.get_executor(), send_ping(shared_from_this()), asio::detached);
        }
        begin_pulse();
    }

    // A beat less than 2 * ping_interval: it passes between the last sign of life and the first
    // look.
    std::chrono::milliseconds patience() const { return 3 * beat_; }

    bool is_dead() {
        const auto state = tcp_state(stream_.raw().socket());
        if (!state) return false;
        const auto now = std::chrono::steady_clock::now();
        // Probes of a closed window that nobody answers are lost just so.
        const bool losing = state->tcpi_retransmits > 0 || state->tcpi_probes > 0;
        if (!losing) well_ = now;
        if (now - well_ >= patience()) return true;
        const std::chrono::milliseconds silent{state->tcpi_last_data_recv};
        return reading_ && !write_under_way_ && silent >= patience();
    }

    Stream stream_;
    Side side_;
    std::size_t max_message_;
    std::chrono::milliseconds beat_;  // between two looks, each with a ping
    std::string peer_;
    std::string buffer_;  // what came beyond the last frame
    std::size_t begin_ = 0;
    std::string message_;         // as far as it has come
    std::optional<Opcode> kind_;  // of the message that has begun
    std::string masked_;          // what was written last, of others' bytes
    aio::Mutex writing_;
    aio::Signal closed_;
    asio::steady_timer pulse_;
    std::chrono::steady_clock::time_point well_ = std::chrono::steady_clock::now();
    std::string dropped_;  // why, if it was
    std::optional<std::string> pong_;
    bool reading_ = false;
    bool write_under_way_ = false;
    bool pinging_ = false;
    bool close_sent_ = false;
    bool close_received_ = false;
};

class Connection : public WebSocket {
  public:
    explicit Connection(std::shared_ptr<Core> core) : core_(std::move(core)) {}
    ~Connection() override { core_->drop("it was let go"); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    Task<std::optional<WebSocketMessage>> read() override { return core_->read(); }
    Task<> write(std::string data, bool binary) override {
        return core_->write(std::move(data), binary ? Opcode::binary : Opcode::text);
    }
    Task<> write(SharedBytes data, bool binary) override {
        return core_->write(std::move(data), binary ? Opcode::binary : Opcode::text);
    }
    Task<> close(int code, std::string reason) override {
        return core_->close(code, std::move(reason));
    }
    void abort() override { core_->drop("the connection was dropped"); }
    std::string peer() const override { return core_->peer(); }
    std::string subprotocol() const override { return core_->subprotocol; }

  private:
    std::shared_ptr<Core> core_;  // shared with its pings and pongs
};

// RFC 6455, section 4.2.2.
std::string accept_of(std::string_view key) {
    const auto text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::string digest(SHA_DIGEST_LENGTH, '\0');
    ::SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
           reinterpret_cast<unsigned char*>(digest.data()));
    return to_base64(digest);
}

std::string text_of(const beast::flat_buffer& buffer) {
    return {static_cast<const char*>(buffer.data().data()), buffer.size()};
}

std::string handshake(const Endpoint& endpoint, const Request& request, std::string_view key) {
    const bool v6 = endpoint.host.find(':') != std::string::npos;
    auto text = fmt::format(
        "GET {}{} HTTP/1.1\r\nHost: {}:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n",
        endpoint.prefix, request.target, v6 ? "[" + endpoint.host + "]" : endpoint.host,
        endpoint.port, key);
    request.headers.append_to(text);
    return text + "\r\n";
}

using Parser = http::response_parser<http::string_body>;

[[noreturn]] void refuse(const Parser& parser, const std::string& doing) {
    const auto& answer = parser.get();
    const auto status = static_cast<int>(answer.result_int());
    Response refusal{.status = status,
                     .headers = {{"Content-Type", answer[http::field::content_type]}},
                     .body = answer.body()};
    throw UpgradeRefused(kind_of_status(status),
                         fmt::format("{}: {} {}", doing, status, reason_phrase(status)),
                         std::move(refusal));
}

}  // namespace

Task<std::unique_ptr<WebSocket>> open_websocket(Stream stream, Endpoint endpoint, Request request,
                                                aio::Deadline deadline, WebSocketOptions options) {
    constexpr std::size_t kMostRefusal = 64 << 10;
    const auto doing =
        fmt::format("opening a WebSocket to {}{}", endpoint.to_string(), request.path());
    const auto nonce = random_bytes(16);
    const auto key = to_base64({reinterpret_cast<const char*>(nonce.data()), nonce.size()});
    const auto text = handshake(endpoint, request, key);
    stream.raw().expires_at(deadline.at);
    const auto [failure, sent] = co_await asio::async_write(stream, asio::buffer(text), kTuple);
    if (failure) throw_failure(failure, doing);
    beast::flat_buffer buffer;
    Parser parser;
    parser.body_limit(kMostRefusal);
    const auto [error, got] = co_await http::async_read_header(stream, buffer, parser, kTuple);
    if (error) throw_failure(error, doing);
    const auto& answer = parser.get();
    if (answer.result() != http::status::switching_protocols) {
        const auto [cut, more] = co_await http::async_read(stream, buffer, parser, kTuple);
        if (cut && cut != http::error::body_limit && cut != http::error::partial_message) {
            throw_failure(cut, doing);
        }
        refuse(parser, doing);
    }
    if (!beast::iequals(answer[http::field::upgrade], "websocket") ||
        answer[http::field::sec_websocket_accept] != accept_of(key)) {
        throw Error(ErrorKind::unavailable, "{}: the answer is no WebSocket's", doing);
    }
    const auto core =
        std::make_shared<Core>(std::move(stream), Core::Side::client, text_of(buffer), options);
    core->subprotocol = answer[http::field::sec_websocket_protocol];
    core->begin_pulse();
    co_return std::make_unique<Connection>(core);
}

Task<std::unique_ptr<WebSocket>> accept_websocket_on(Stream stream,
                                                     http::request<http::string_body> upgrade,
                                                     beast::flat_buffer early,
                                                     WebSocketOptions options,
                                                     std::string subprotocol) {
    const auto doing = "accepting a WebSocket from " + peer_of(stream.raw().socket());
    const auto key = upgrade[http::field::sec_websocket_key];
    const bool good = upgrade.method() == http::verb::get && upgrade.version() >= 11 &&
                      upgrade[http::field::sec_websocket_version] == "13" && key.size() == 24;
    auto head = fmt::format(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: {}\r\n",
        accept_of({key.data(), key.size()}));
    const bool agreed =
        !subprotocol.empty() &&
        http::token_list(upgrade[http::field::sec_websocket_protocol]).exists(subprotocol);
    if (agreed) head += fmt::format("Sec-WebSocket-Protocol: {}\r\n", subprotocol);
    if (!good) {
        head =
            "HTTP/1.1 400 Bad Request\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n"
            "Connection: close\r\n";
    }
    head += "\r\n";
    stream.raw().expires_after(kHandshakeLimit);
    const auto [error, count] = co_await asio::async_write(stream, asio::buffer(head), kTuple);
    if (error) throw_failure(error, doing);
    if (!good) throw Error(ErrorKind::invalid, "{}: it is no handshake of RFC 6455", doing);
    const auto core =
        std::make_shared<Core>(std::move(stream), Core::Side::server, text_of(early), options);
    if (agreed) core->subprotocol = std::move(subprotocol);
    core->begin_pulse();
    co_return std::make_unique<Connection>(core);
}

}  // namespace trailer::net
