// Sessions: the bytes choose what two persons do at one host. One keeps to the contract, whatever
// happens to the line: cat gives back all that was sent, nothing lost or repeated, and no more than
// the window is ever under way. The other sends anything: it may lose its own session, and must
// not touch the first one, nor make the host keep more than its bounds.
#include <fuzzer/FuzzedDataProvider.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "base/error.h"
#include "must_be.h"
#include "runtime/fake_runtime.h"
#include "sessions/memory_connection.h"
#include "sessions/sessions.h"

namespace {

using namespace trailer;
using namespace trailer::sessions;
using protocol::Channel;
using protocol::OpenSession;
using protocol::SessionKind;

constexpr std::size_t kMostOperations = 400;
constexpr std::size_t kMostLines = 40;  // connections of one input

OpenSession exec_cat(std::string user, bool numbered) {
    OpenSession open{.kind = SessionKind::exec, .workspace = "w1", .user = std::move(user)};
    open.numbered = numbered;
    open.exec = protocol::ExecQuery{.command = {"cat"}};
    return open;
}

// The host's sessions on the fake engine. Time stands still: only what is ready goes on.
class Host {
  public:
    Host() {
        engine_.add_image("tools:1");
        engine_.put_container({.name = "dev", .image = "tools:1"});
        Options options;
        options.find = [this](const std::string&) {
            return runtime::Place{
                .wanted = true, .name = "dev", .container = *engine_.container("dev")};
        };
        options.proc = "/nonexistent";
        sessions_ =
            std::make_unique<Sessions>(context_.get_executor(), engine_, std::move(options));
        tasks_.spawn(sessions_->run());
    }
    ~Host() {
        asio::co_spawn(context_, end(this), asio::detached);
        context_.restart();
        context_.run_for(std::chrono::seconds(15));
        must_be(ended_, "the sessions did not end");
        must_be(sessions_->size() == 0, "a session is left over");
    }
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    std::shared_ptr<MemoryConnection> open(OpenSession open) {
        auto line = std::make_shared<MemoryConnection>(context_.get_executor());
        ++lines_;
        tasks_.spawn(serve(sessions_.get(), line, std::move(open)));
        return line;
    }
    bool takes_more_lines() const { return lines_ < kMostLines; }
    void go_on() {
        context_.restart();
        context_.poll();
    }

  private:
    static Task<> end(Host* host) {
        host->tasks_.cancel();
        co_await host->tasks_.join();
        host->ended_ = true;
    }
    static Task<> serve(Sessions* sessions, std::shared_ptr<MemoryConnection> line,
                        OpenSession open) {
        try {
            co_await sessions->serve(line.get(), std::move(open));
        } catch (const Error&) {
            line->cut();
        }
    }

    asio::io_context context_;
    runtime::FakeRuntime engine_{context_.get_executor()};
    std::unique_ptr<Sessions> sessions_;
    aio::TaskGroup tasks_{context_.get_executor()};
    std::size_t lines_ = 0;
    bool ended_ = false;
};

// Who keeps to the contract, as the client program does.
class Faithful {
  public:
    explicit Faithful(Host& host) : host_(host), line_(host.open(exec_cat("u1", true))) {}

    const std::string& session() const { return session_; }

    void send(std::size_t bytes) {
        if (outbox_.full()) return;
        std::string data(bytes, '\0');
        for (auto& each : data) each = static_cast<char>('!' + (counter_++ % 89));
        sent_ += data;
        outbox_.push(protocol::session_message(Channel::input, data));
    }
    void flush() {
        if (opening_) return;
        while (next_ < outbox_.end()) line_->send(*outbox_.at(next_++));
    }
    // False when nothing was there.
    bool hear() {
        must_be(!line_->broken(), "a line of the contract was cut by the host");
        auto message = line_->take();
        if (!message) return false;
        opening_ ? begin(*message) : take(*message);
        return true;
    }
    void acknowledge() {
        if (opening_) return;
        line_->send(protocol::ack_message(received_));
        unacknowledged_ = 0;
    }
    // Over another connection; the host may not have noticed that the old one is dead.
    void come_back(bool noticed) {
        if (session_.empty() || !host_.takes_more_lines()) return;
        if (noticed) line_->cut();
        OpenSession open{.kind = SessionKind::exec, .workspace = "w1", .user = "u1"};
        open.numbered = true;
        open.resume = {.session = session_, .received = received_};
        line_ = host_.open(std::move(open));
        opening_ = true;
        unacknowledged_ = 0;
    }
    void finish() {
        outbox_.push(protocol::session_message(Channel::close, std::string(1, '\0')));
        for (int rounds = 0; !ended_; ++rounds) {
            must_be(rounds < 20'000, "the session does not come to its end");
            host_.go_on();
            flush();
            while (!ended_ && hear()) acknowledge();
        }
        must_be(heard_ == sent_.size(), "something was lost");
    }

  private:
    void begin(const std::string& message) {
        const auto opened = wire::from_json_text<protocol::SessionOpened>(message);
        must_be(!opened.problem, "the session was refused to its owner");
        must_be(opened.received >= outbox_.begin(), "the host forgot what it acknowledged");
        outbox_.acknowledge(opened.received);
        session_ = opened.session;
        next_ = opened.received;
        opening_ = false;
    }
    void take(const std::string& message) {
        const auto data = protocol::data_of(message);
        const auto channel = protocol::channel_of(message);
        if (channel == Channel::ack) return outbox_.acknowledge(protocol::ack_count(message));
        ++received_;
        unacknowledged_ += message.size();
        must_be(unacknowledged_ <= protocol::kWindow + protocol::kMostSessionData,
                "more is under way than the window has");
        if (channel == Channel::end) {
            must_be(protocol::read_end(data).exit_code == 0, "another end than the command's");
            ended_ = true;
            return;
        }
        must_be(channel == Channel::output, "what nobody has written");
        must_be(std::string_view(sent_).substr(std::min(heard_, sent_.size())).starts_with(data),
                "what came back is not what was sent");
        heard_ += data.size();
    }

    Host& host_;
    std::shared_ptr<MemoryConnection> line_;
    std::string session_;
    bool opening_ = true;
    bool ended_ = false;
    protocol::Outbox outbox_;
    std::uint64_t next_ = 0;
    std::uint64_t received_ = 0;
    std::size_t unacknowledged_ = 0;
    std::string sent_;
    std::size_t heard_ = 0;
    std::size_t counter_ = 0;
};

// Who sends anything. One that never acknowledges can't make the host take more than its bounds.
class Faithless {
  public:
    Faithless(Host& host, bool deaf) : host_(host), deaf_(deaf) {}

    void act(FuzzedDataProvider& bytes, const std::string& foreign) {
        if (!line_ || line_->broken() || line_->host_closed()) {
            if (host_.takes_more_lines()) open(bytes, foreign);
            return;
        }
        if (!deaf_) {
            while (auto message = line_->take()) note(*message);
        }
        switch (bytes.ConsumeIntegralInRange(0, 5)) {
            case 0:
                return put(bytes.ConsumeRandomLengthString(64));
            case 1:
                return put(protocol::session_message(Channel::input, std::string(100'000, 'x')));
            case 2:
                if (!deaf_) put(protocol::ack_message(bytes.ConsumeIntegral<std::uint64_t>()));
                return;
            case 3:
                return line_->leave();
            case 4:
                return line_->cut();
            default:
                return put(protocol::session_message(
                    static_cast<Channel>(bytes.ConsumeIntegral<std::uint8_t>()),
                    bytes.ConsumeRandomLengthString(32)));
        }
    }

    // After the host had its turn.
    void check() {
        if (!deaf_ || !line_) return;
        // An inbox, an outbox, and what is in the command's hands.
        must_be(put_ - line_->unread_bytes() <= 4 * protocol::kWindow + (1 << 19),
                "the host has taken more than its bounds");
    }

  private:
    void open(FuzzedDataProvider& bytes, const std::string& foreign) {
        auto wanted = exec_cat("u2", bytes.ConsumeBool());
        switch (bytes.ConsumeIntegralInRange(0, 3)) {
            case 0:
                wanted.resume = {.session = foreign,
                                 .received = bytes.ConsumeIntegralInRange<std::uint64_t>(0, 99)};
                break;
            case 1:
                wanted.resume = {.session = session_,
                                 .received = bytes.ConsumeIntegral<std::uint64_t>()};
                break;
            case 2:
                wanted.exec->command = {bytes.ConsumeBool() ? "yes" : "wait"};
                break;
            default:
                break;
        }
        put_ = 0;
        line_ = host_.open(std::move(wanted));
    }
    void put(std::string message) {
        if (line_->unread() > 60) return;
        put_ += message.size();
        line_->send(std::move(message));
    }
    void note(const std::string& message) {
        if (!message.starts_with('{')) return;
        try {
            session_ = wire::from_json_text<protocol::SessionOpened>(message).session;
        } catch (const Error&) {  // a message that begins so
        }
    }

    Host& host_;
    bool deaf_;
    std::shared_ptr<MemoryConnection> line_;
    std::string session_;
    std::size_t put_ = 0;
};

void live(FuzzedDataProvider& bytes) {
    Host host;
    Faithful faithful(host);
    Faithless faithless(host, bytes.ConsumeBool());
    for (std::size_t i = 0; i < kMostOperations && bytes.remaining_bytes() > 0; ++i) {
        switch (bytes.ConsumeIntegralInRange(0, 7)) {
            case 0:
                faithful.send(bytes.ConsumeIntegralInRange<std::size_t>(0, 100));
                break;
            case 1:
                faithful.send(bytes.ConsumeIntegralInRange<std::size_t>(0, 120'000));
                break;
            case 2:
                faithful.flush();
                break;
            case 3:
                faithful.hear();
                break;
            case 4:
                faithful.acknowledge();
                break;
            case 5:
                faithful.come_back(bytes.ConsumeBool());
                break;
            case 6:
                host.go_on();
                faithless.check();
                break;
            default:
                faithless.act(bytes, faithful.session());
                break;
        }
    }
    faithful.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    FuzzedDataProvider bytes(data, size);
    live(bytes);
    return 0;
}
