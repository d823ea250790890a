#include "client/session/joined.h"

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>

#include "client/terminal.h"
#include "wire/json.h"

namespace trailer::client {

using protocol::Channel;

namespace {

constexpr int kIn = 0;
constexpr int kOut = 1;
constexpr int kErr = 2;
constexpr std::chrono::seconds kOpening{2};  // after Ctrl-C

LocalOutput::Piece piece_of(std::string message) {
    const bool errors = protocol::channel_of(message) == Channel::errors;
    return {.descriptor = errors ? kErr : kOut, .data = std::move(message), .from = 1};
}

}  // namespace

JoinedSession::JoinedSession(Api& api, SessionRoute route, JoinOptions options)
    : options_(std::move(options)),
      session_(api, std::move(route), [this](LinkNews news) { tell(text_of(news)); }),
      input_(api.executor(), kIn),
      output_(api.executor()),
      signals_(api.executor(), SIGINT, SIGTERM, SIGHUP) {
    // A terminal's size may change before the session is open.
    if (!options_.raw_terminal) return;
    signals_.add(SIGWINCH);
    signals_.add(SIGCONT);
    signals_.add(SIGTSTP);
}

Task<int> JoinedSession::run() {
    aio::TaskGroup tasks(co_await asio::this_coro::executor);
    tasks_ = &tasks;
    tasks.spawn(watch_signals());
    tasks.spawn(live());
    std::exception_ptr failure;
    try {
        co_await tasks.join();
    } catch (...) {
        failure = std::current_exception();
    }
    tasks_ = nullptr;
    raw_.reset();
    if (exit_code_) co_return *exit_code_;
    if (failure) std::rethrow_exception(failure);
    if (problem_) protocol::throw_problem(*problem_);
    co_return 0;
}

Task<> JoinedSession::live() {
    co_await session_.open();
    open_ = true;
    if (exit_code_) session_.leave({});  // a signal came meanwhile
    if (options_.raw_terminal && session_.opened().tty) {
        raw_.emplace(kIn);
        send_size();
    }
    tasks_->spawn(pump_input());
    tasks_->spawn(pump_output());
    if (!options_.output_may_end) tasks_->spawn(watch_output());
    co_await session_.run();
    tasks_->cancel();
}

Task<> JoinedSession::pump_input() {
    while (options_.reads_input) {
        auto message = co_await input_.read(1);
        if (message.size() == 1) break;
        message[0] = static_cast<char>(Channel::input);
        if (raw_ && options_.detach_keys) {
            const auto typed = options_.detach_keys->feed(protocol::data_of(message));
            message.replace(1, message.npos, typed.pass);
            if (typed.detach) {
                if (message.size() > 1) co_await session_.send(std::move(message));
                exit_code_ = 0;
                session_.leave({.detach = true});
                co_return;
            }
            if (message.size() == 1) continue;
        }
        co_await session_.send(std::move(message));
    }
    if (!options_.ends_input) co_return;
    session_.post(protocol::session_message(Channel::close,
                                            std::string(1, static_cast<char>(Channel::input))));
}

Task<> JoinedSession::pump_output() {
    for (bool ended = false; !ended;) {
        auto messages = co_await session_.receive();
        std::vector<LocalOutput::Piece> pieces;
        bool output_ended = false;
        for (auto& message : messages) {
            switch (protocol::channel_of(message)) {
                case Channel::output:
                case Channel::errors:
                    pieces.push_back(piece_of(std::move(message)));
                    break;
                case Channel::notice:
                    tell(wire::from_json_text<protocol::SessionNotice>(protocol::data_of(message))
                             .text);
                    break;
                case Channel::close:
                    output_ended = true;
                    break;
                case Channel::end:
                    end_of(message);
                    ended = true;
                    break;
                default:
                    break;  // nothing that a host sends
            }
        }
        bool closed = false;
        try {
            if (!pieces.empty()) co_await output_.write(std::move(pieces));
        } catch (const OutputClosed&) {
            closed = true;
        }
        session_.used();
        if (closed) co_return end_with(kNobodyReads);
        if (output_ended) LocalOutput::close(kOut);
    }
}

void JoinedSession::end_of(const std::string& message) {
    const auto end = protocol::read_end(protocol::data_of(message));
    problem_ = end.problem;
    if (!problem_ && !exit_code_) exit_code_ = end.exit_code.value_or(0);
}

Task<> JoinedSession::watch_output() {
    co_await output_.wait_closed(kOut);
    end_with(kNobodyReads);
}

// By the person's wish, or because nobody is there any more. A session that is being opened is
// waited for a moment: the host may have started the command already, and is to hear of it.
void JoinedSession::end_with(int exit_code) {
    const bool again = exit_code_.has_value();
    if (!again) exit_code_ = exit_code;
    if (open_) return session_.leave({});
    if (again) return tasks_->cancel();
    tasks_->spawn(give_up_opening());
}

Task<> JoinedSession::give_up_opening() {
    co_await aio::sleep(kOpening);
    if (!open_) tasks_->cancel();
}

Task<> JoinedSession::watch_signals() {
    for (;;) {
        const auto [error, number] =
            co_await signals_.async_wait(asio::as_tuple(asio::use_awaitable));
        if (error) throw boost::system::system_error(error);
        handle_signal(number);
    }
}

void JoinedSession::handle_signal(int number) {
    if (number == SIGWINCH) return send_size();
    if (number == SIGTSTP) return pause_process();
    if (number == SIGCONT) {
        if (raw_) raw_->make_raw();
        return send_size();
    }
    end_with(kSignalled + number);
}

// Someone else's `kill -TSTP`: Ctrl-Z itself goes to the session.
void JoinedSession::pause_process() {
    if (raw_) raw_->restore();
    ::kill(::getpid(), SIGSTOP);
}

void JoinedSession::send_size() {
    const auto size = terminal_size(kIn);
    if (!raw_ || size.cols == 0 || size.rows == 0) return;
    session_.post(protocol::session_message(Channel::resize, wire::to_json_text(size)));
}

void JoinedSession::tell(const std::string& text) {
    print(stderr, fmt::format("trailer: {}{}", one_line(text), raw_ ? "\r\n" : "\n"));
}

}  // namespace trailer::client
