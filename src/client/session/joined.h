// Joins a session to the process's own standard input, output and error, until one of them ends.
#pragma once

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <optional>
#include <string>

#include "client/session/detach_keys.h"
#include "client/session/local_streams.h"
#include "client/session/raw_terminal.h"
#include "client/session/session_client.h"

namespace trailer::client {

inline constexpr int kSessionFailed = 125;     // the product did, not what was run
inline constexpr int kSignalled = 128;         // and the signal's number
inline constexpr int kNobodyReads = 128 + 13;  // SIGPIPE

struct JoinOptions {
    bool reads_input = true;
    bool ends_input = true;                 // the session's input ends where ours does
    bool output_may_end = false;            // before the session does, as a port's
    bool raw_terminal = false;              // where the session has one
    std::optional<DetachKeys> detach_keys;  // on a raw terminal
};

// From now on a broken pipe is an error of the write, and does not end the process. It stays so:
// what is left in a thread or a buffer when the session is over must not end it either.
struct IgnoredPipeSignal {
    IgnoredPipeSignal() { std::signal(SIGPIPE, SIG_IGN); }
};

class JoinedSession {
  public:
    JoinedSession(Api& api, SessionRoute route, JoinOptions options);

    // Gives the exit code: what the session's end says, 0 where it says none or where the person
    // detached, 128 and the number of a signal. Throws what the session ended with.
    Task<int> run();

  private:
    Task<> live();
    Task<> pump_input();
    Task<> pump_output();
    Task<> watch_output();
    Task<> watch_signals();
    void handle_signal(int number);
    void pause_process();
    void send_size();
    void end_of(const std::string& message);
    void end_with(int exit_code);
    Task<> give_up_opening();
    void tell(const std::string& text);

    JoinOptions options_;
    SessionClient session_;
    LocalInput input_;
    LocalOutput output_;
    asio::signal_set signals_;
    aio::TaskGroup* tasks_ = nullptr;  // while run() runs
    bool open_ = false;
    std::optional<RawTerminal> raw_;
    std::optional<int> exit_code_;
    std::optional<protocol::Problem> problem_;
    IgnoredPipeSignal no_sigpipe_;
};

}  // namespace trailer::client
