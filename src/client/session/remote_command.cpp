#include "client/session/remote_command.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>

#include "client/session/query.h"

namespace trailer::client {

using protocol::Channel;

namespace {

constexpr std::size_t kMostKept = 4 << 10;
constexpr std::size_t kSmallPiece = 100 << 10;  // of the input, below protocol::kMostSessionData

void keep(std::string& kept, std::string_view more) {
    kept += more.substr(0, kMostKept - std::min(kMostKept, kept.size()));
}

class Run {
  public:
    Run(Api& api, RemoteCommand command)
        : command_(std::move(command)),
          session_(api, {command_.subject, exec_address({.command = command_.command})},
                   command_.news),
          signals_(api.executor(), SIGINT, SIGTERM, SIGHUP) {}

    Task<RemoteResult> run() {
        aio::TaskGroup tasks(co_await asio::this_coro::executor);
        tasks.spawn(watch_signals(&tasks));
        tasks.spawn(live(&tasks));
        co_await tasks.join();
        if (failure_) std::rethrow_exception(failure_);
        if (problem_) protocol::throw_problem(*problem_);
        co_return std::move(result_);
    }

  private:
    Task<> live(aio::TaskGroup* tasks) {
        co_await session_.open();
        open_ = true;
        tasks->spawn(pump_input());
        tasks->spawn(pump_output());
        co_await session_.run();
        tasks->cancel();
    }

    Task<> pump_input() {
        while (command_.input) {
            std::string data;
            try {
                data = co_await command_.input();
            } catch (const Error&) {
                co_return fail();
            }
            if (data.empty()) break;
            for (std::string_view rest = data; !rest.empty();) {
                const auto piece = rest.substr(0, kSmallPiece);
                rest.remove_prefix(piece.size());
                co_await session_.send(protocol::session_message(Channel::input, piece));
            }
        }
        session_.post(protocol::session_message(Channel::close,
                                                std::string(1, static_cast<char>(Channel::input))));
    }

    Task<> pump_output() {
        for (;;) {
            const auto messages = co_await session_.receive();
            for (const auto& message : messages) {
                const auto data = protocol::data_of(message);
                const auto channel = protocol::channel_of(message);
                if (channel == Channel::errors) keep(result_.errors, data);
                if (channel == Channel::end) read_end(data);
                if (channel != Channel::output) continue;
                if (!command_.output) {
                    keep(result_.output, data);
                    continue;
                }
                try {
                    co_await command_.output(data);
                } catch (const Error&) {
                    co_return fail();
                }
            }
            session_.used();
        }
    }

    void read_end(std::string_view data) {
        const auto end = protocol::read_end(data);
        problem_ = end.problem;
        result_.exit_code = end.exit_code.value_or(0);
    }

    // In a handler: what is done here failed, so what is done there has no use.
    void fail() {
        failure_ = std::current_exception();
        session_.leave({});
    }

    Task<> watch_signals(aio::TaskGroup* tasks) {
        const auto [error, number] =
            co_await signals_.async_wait(asio::as_tuple(asio::use_awaitable));
        if (error) throw boost::system::system_error(error);
        result_.signal = number;
        if (!open_) co_return tasks->cancel();
        session_.leave({});
    }

    RemoteCommand command_;
    SessionClient session_;
    asio::signal_set signals_;
    RemoteResult result_;
    std::optional<protocol::Problem> problem_;
    std::exception_ptr failure_;
    bool open_ = false;
};

}  // namespace

Task<RemoteResult> run_remote(Api& api, RemoteCommand command) {
    if (!command.news) command.news = [](LinkNews) {};
    Run run(api, std::move(command));
    co_return co_await run.run();
}

}  // namespace trailer::client
