#include "net/trunk.h"

#include <deque>
#include <unordered_map>

#include "aio/mutex.h"
#include "aio/signal.h"
#include "aio/task_group.h"
#include "base/log.h"
#include "net/trunk_frame.h"

namespace trailer::net {
namespace {

// What is said at the same time goes out together, up to so much.
constexpr std::size_t kBatch = 64 << 10;
constexpr int kEnough = 4;  // messages; bench/run sessions
// Beside its bytes, what a message under way counts: many small ones must not take much more memory
// than the window says.
constexpr std::size_t kMessageCost = 64;

std::size_t cost_of(std::size_t size) {
    return size + kMessageCost;
}

}  // namespace

struct Trunk::Line {
    Line(const asio::any_io_executor& executor, std::uint32_t its_number)
        : number(its_number), arrived(executor), room(executor), writing(executor) {}

    bool is_open() const { return broken.empty() && !closed && !peer_closed; }

    struct Outgoing {
        TrunkKind kind;
        SharedBytes payload;
    };

    std::uint32_t number;
    std::deque<WebSocketMessage> in;
    std::size_t unread = 0;      // what `in` costs
    std::size_t uncredited = 0;  // was read, and the peer does not know
    std::deque<Outgoing> out;    // not yet in a batch
    std::size_t under_way = 0;   // was written, and the peer has not read it
    aio::Signal arrived;
    aio::Signal room;
    aio::Mutex writing;        // who waits for room
    std::string broken;        // why
    bool closed = false;       // by its owner here
    bool peer_closed = false;  // by the other side's
};

class Trunk::Core : public std::enable_shared_from_this<Core> {
  public:
    Core(const asio::any_io_executor& executor, std::shared_ptr<WebSocket> carrier, Accept accept)
        : executor_(executor),
          carrier_(std::move(carrier)),
          peer_(carrier_->peer()),
          accept_(std::move(accept)),
          to_send_(executor) {}

    const std::string& peer() const { return peer_; }
    std::size_t lines() const { return lines_.size(); }

    Task<> run() {
        aio::TaskGroup tasks(executor_);
        tasks_ = &tasks;
        tasks.spawn(receive_all());
        tasks.spawn(send_all());
        std::exception_ptr failure;
        std::string why = "it was let go";
        try {
            co_await tasks.join();
        } catch (const std::exception& e) {
            failure = std::current_exception();
            why = describe(e);
        }
        tasks_ = nullptr;
        carrier_.reset();
        for (auto& [number, line] : std::exchange(lines_, {})) fail(*line, why);
        ready_.clear();
        if (failure) std::rethrow_exception(failure);
    }

    std::shared_ptr<Line> open() {
        do {
            ++last_;
        } while (lines_.contains(last_));
        auto line = std::make_shared<Line>(executor_, last_);
        if (tasks_ == nullptr) {
            fail(*line, "its trunk has ended");
            return line;
        }
        lines_[last_] = line;
        append_frame(batch_, TrunkKind::open, line->number, {});
        to_send_.notify();
        return line;
    }

    Task<std::optional<WebSocketMessage>> read(Line& line) {
        while (line.in.empty() && line.is_open()) co_await line.arrived.wait();
        if (!line.broken.empty()) throw_broken(line);
        if (line.in.empty()) co_return std::nullopt;
        auto message = std::move(line.in.front());
        line.in.pop_front();
        const auto cost = cost_of(message.data.size());
        line.unread -= cost;
        line.uncredited += cost;
        if (line.uncredited >= kWindow / 2 && line.is_open()) {
            append_credit(batch_, line.number,
                          static_cast<std::uint32_t>(std::exchange(line.uncredited, 0)));
            to_send_.notify();
        }
        co_return message;
    }

    Task<> write(std::shared_ptr<Line> line, SharedBytes data, bool binary) {
        if (data->size() > kMostMessage) {
            throw Error(ErrorKind::too_large, "a message of {} bytes, of which a line takes {}",
                        data->size(), kMostMessage);
        }
        if (line->under_way >= kWindow) {
            const auto turn = co_await line->writing.lock();
            while (line->under_way >= kWindow && line->is_open()) co_await line->room.wait();
        }
        if (!line->is_open()) throw_broken(*line);
        line->under_way += cost_of(data->size());
        put(std::move(line), binary ? TrunkKind::binary : TrunkKind::text, std::move(data));
        // So many are worth a call of their own: who reads them begins while the others are said.
        if (++said_ < kEnough || batch_.empty() || writing_) co_return;
        tasks_->spawn(send_batch());
    }

    void close(const std::shared_ptr<Line>& line, std::string reason) {
        if (!line->is_open()) return;
        line->closed = true;
        lines_.erase(line->number);
        line->arrived.notify();
        line->room.notify();
        put(line, TrunkKind::close, std::make_shared<const std::string>(std::move(reason)));
    }

    void drop(Line& line) {
        if (!line.is_open()) return;
        lines_.erase(line.number);
        fail(line, "the connection was dropped");
        reset(line.number);
    }

  private:
    [[noreturn]] void throw_broken(const Line& line) const {
        throw Error(ErrorKind::unavailable, "connection with {}: {}", peer_,
                    line.broken.empty() ? "it was closed" : line.broken);
    }

    // Nothing more goes either way.
    static void fail(Line& line, std::string why) {
        line.broken = std::move(why);
        line.in.clear();
        line.out.clear();
        line.arrived.notify();
        line.room.notify();
    }

    void reset(std::uint32_t number) {
        if (tasks_ == nullptr) return;
        append_frame(batch_, TrunkKind::reset, number, {});
        to_send_.notify();
    }

    // Into the batch where there is room and nothing of the line waits; else it waits for its turn.
    void put(std::shared_ptr<Line> line, TrunkKind kind, SharedBytes payload) {
        if (line->out.empty() && batch_.size() + payload->size() <= kBatch) {
            append_frame(batch_, kind, line->number, *payload);
        } else {
            line->out.push_back({kind, std::move(payload)});
            if (line->out.size() == 1) ready_.push_back(std::move(line));
        }
        to_send_.notify();
    }

    // A message of each line that has one, and so on.
    void fill_batch() {
        while (!ready_.empty() && batch_.size() < kBatch) {
            auto line = std::move(ready_.front());
            ready_.pop_front();
            if (line->out.empty()) continue;  // it has broken meanwhile
            const auto next = std::move(line->out.front());
            line->out.pop_front();
            append_frame(batch_, next.kind, line->number, *next.payload);
            if (!line->out.empty()) ready_.push_back(std::move(line));
        }
    }

    Task<> send_all() {
        for (;;) {
            fill_batch();
            if (batch_.empty() || writing_) {
                co_await to_send_.wait();
                continue;
            }
            co_await send_batch();
        }
    }

    Task<> send_batch() {
        said_ = 0;
        auto batch = std::exchange(batch_, {});
        writing_ = true;
        co_await carrier_->write(std::move(batch), true);
        writing_ = false;  // where that throws, all ends
        to_send_.notify();
    }

    Task<> receive_all() {
        for (;;) {
            const auto message = co_await carrier_->read();
            if (!message) throw Error(ErrorKind::unavailable, "the peer closed the trunk");
            std::string_view bytes = message->data;
            while (const auto frame = next_frame(bytes)) take(*frame);
        }
    }

    void take(const TrunkFrame& frame) {
        if (frame.kind == TrunkKind::open) return accept(frame.line);
        const auto found = lines_.find(frame.line);
        if (found == lines_.end()) return;  // of a line that has ended here
        const auto line = found->second;
        switch (frame.kind) {
            case TrunkKind::open:
                return;
            case TrunkKind::text:
            case TrunkKind::binary:
                line->unread += cost_of(frame.payload.size());
                if (line->unread > kWindow + cost_of(kMostMessage)) {
                    throw Error(ErrorKind::unavailable, "more came on a line than its window has");
                }
                line->in.push_back({.binary = frame.kind == TrunkKind::binary,
                                    .data = std::string(frame.payload)});
                line->arrived.notify();
                return;
            case TrunkKind::credit:
                if (frame.credit > line->under_way) {
                    throw Error(ErrorKind::unavailable, "a credit for more than was sent");
                }
                line->under_way -= frame.credit;
                line->room.notify();
                return;
            case TrunkKind::close:
                lines_.erase(found);
                line->peer_closed = true;
                line->out.clear();
                line->arrived.notify();
                line->room.notify();
                return;
            case TrunkKind::reset:
                lines_.erase(found);
                fail(*line, "the peer dropped it");
                return;
        }
    }

    void accept(std::uint32_t number) {
        if (lines_.contains(number)) {
            throw Error(ErrorKind::unavailable, "line {} was opened twice", number);
        }
        if (!accept_ || lines_.size() >= kMostLines) return reset(number);
        auto line = std::make_shared<Line>(executor_, number);
        lines_[number] = line;
        tasks_->spawn(serve(std::move(line)));
    }

    Task<> serve(std::shared_ptr<Line> line);

    asio::any_io_executor executor_;
    std::shared_ptr<WebSocket> carrier_;  // shared with who gave it; until run() ends
    std::string peer_;
    Accept accept_;
    aio::Signal to_send_;
    aio::TaskGroup* tasks_ = nullptr;                                 // while run() runs
    std::unordered_map<std::uint32_t, std::shared_ptr<Line>> lines_;  // shared with their handles
    std::uint32_t last_ = 0;                   // the number of the line opened last
    std::string batch_;                        // goes out next
    int said_ = 0;                             // so many messages are in it
    bool writing_ = false;                     // one is being handed over
    std::deque<std::shared_ptr<Line>> ready_;  // those that have something in `out`, once each
};

// What the owner of a line holds.
class Trunk::Handle : public WebSocket {
  public:
    Handle(std::shared_ptr<Core> core, std::shared_ptr<Line> line)
        : core_(std::move(core)), line_(std::move(line)) {}
    ~Handle() override { core_->drop(*line_); }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    Task<std::optional<WebSocketMessage>> read() override { return core_->read(*line_); }
    Task<> write(std::string data, bool binary) override {
        return core_->write(line_, std::make_shared<const std::string>(std::move(data)), binary);
    }
    Task<> write(SharedBytes data, bool binary) override {
        return core_->write(line_, std::move(data), binary);
    }
    Task<> close(int, std::string reason) override {
        core_->close(line_, std::move(reason));
        co_return;
    }
    void abort() override { core_->drop(*line_); }
    std::string peer() const override { return core_->peer(); }
    std::string subprotocol() const override { return ""; }

  private:
    std::shared_ptr<Core> core_;  // shared with the trunk, which may end before
    std::shared_ptr<Line> line_;  // shared with the core
};

Task<> Trunk::Core::serve(std::shared_ptr<Line> line) {
    try {
        co_await accept_(std::make_unique<Handle>(shared_from_this(), std::move(line)));
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e)) throw;
        log::debug("a line of the trunk with {}: {}", peer_, describe(e));
    }
}

Trunk::Trunk(const asio::any_io_executor& executor, std::shared_ptr<WebSocket> carrier,
             Accept accept)
    : core_(std::make_shared<Core>(executor, std::move(carrier), std::move(accept))) {}
Trunk::~Trunk() = default;

Task<> Trunk::run() {
    return core_->run();
}

std::unique_ptr<WebSocket> Trunk::open() {
    return std::make_unique<Handle>(core_, core_->open());
}

std::size_t Trunk::lines() const {
    return core_->lines();
}

}  // namespace trailer::net
