#include "server/hub/relay.h"

#include "aio/deadline.h"
#include "aio/task_group.h"
#include "base/error.h"
#include "base/log.h"

namespace trailer::server {
namespace {

constexpr int kNormal = 1000;  // RFC 6455, section 7.4.1
constexpr int kGoingAway = 1001;
constexpr int kServiceRestart = 1012;  // IANA's registry: come back

constexpr auto kFarewell = std::chrono::seconds(5);  // for a person who reads slowly, or not at all

// Whoever ends first has the other told before the tasks are cancelled: a read that is cancelled
// under way leaves nothing of its WebSocket to say good-bye over.
class Relay {
  public:
    Relay(net::WebSocket& person, net::WebSocket& host, bool numbered, bool channels,
          RelayReport& report)
        : person_(person), host_(host), numbered_(numbered), channels_(channels), report_(report) {}

    Task<> pass_output() {
        std::optional<Error> broken;
        try {
            while (auto message = co_await host_.read()) {
                report_.bytes_out += message->data.size();
                note_end(*message, true);
                if (!co_await give_person(std::move(*message))) co_return;
            }
        } catch (const Error& e) {
            broken = e;
        }
        if (person_left_) co_return;
        if (broken && !report_.over && !numbered_ && channels_) co_await tell_that_it_broke();
        const bool comes_back = numbered_ && !report_.over;
        co_await person_.close(comes_back ? kServiceRestart : kNormal);
        if (broken) throw Error(*broken);
        throw Error(ErrorKind::unavailable, "the session has ended");
    }

    Task<> pass_input() {
        std::string why = "the person left";
        try {
            while (auto message = co_await person_.read()) {
                report_.bytes_in += message->data.size();
                note_end(*message, false);
                if (!co_await give_host(std::move(*message))) co_return;
            }
        } catch (const Error& e) {
            why = describe(e);
        }
        person_left_ = true;
        co_await host_.close(kGoingAway);
        throw Error(ErrorKind::unavailable, "{}", why);
    }

  private:
    void note_end(const net::WebSocketMessage& message, bool of_host) {
        if (!channels_ || !message.binary || !message.data.starts_with('\x03')) return;
        report_.over = true;
        if (of_host)
            report_.exit_code = protocol::read_end(protocol::data_of(message.data)).exit_code;
    }

    // False when it can't: then the reader of that side finds out too, and tells the other one.
    Task<bool> give_person(net::WebSocketMessage message) {
        try {
            co_await person_.write(std::move(message.data), message.binary);
        } catch (const Error& e) {
            log::debug("a session: {}", describe(e));
            person_.abort();
            co_return false;
        }
        co_return true;
    }
    Task<bool> give_host(net::WebSocketMessage message) {
        try {
            co_await host_.write(std::move(message.data), message.binary);
        } catch (const Error& e) {
            log::debug("a session: {}", describe(e));
            host_.abort();
            co_return false;
        }
        co_return true;
    }

    Task<> tell_that_it_broke() {
        const Error error(ErrorKind::unavailable, "the connection to the host broke");
        auto end = protocol::end_message(
            {.exit_code = std::nullopt, .problem = protocol::to_problem(error)});
        try {
            auto writing = person_.write(std::move(end), true);
            co_await aio::with_deadline(std::move(writing), aio::Deadline::in(kFarewell),
                                        "telling the person");
        } catch (const Error& e) {
            log::debug("a session: {}", describe(e));  // gone as well: nobody is left to tell
        }
    }

    net::WebSocket& person_;
    net::WebSocket& host_;
    bool numbered_;
    bool channels_;
    RelayReport& report_;
    bool person_left_ = false;
};

}  // namespace

Task<> relay(net::WebSocket* person, net::WebSocket* host, bool numbered, bool channels,
             RelayReport* report) {
    Relay both(*person, *host, numbered, channels, *report);
    aio::TaskGroup tasks(co_await asio::this_coro::executor);
    tasks.spawn(both.pass_output());
    tasks.spawn(both.pass_input());
    try {
        co_await tasks.join();
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e)) throw;
        log::debug("a session: {}", describe(e));
    }
}

}  // namespace trailer::server
