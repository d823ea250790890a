// What crosses the wire in a session: logs, exec, attach, a raw port, a host's own log.
//
// A session is a stream at the host joined to a person's WebSocket. Its life is at the agent; the
// server passes its messages on without looking into them, from the person's connection to one that
// the agent has opened (GET /api/agent/session) and back.
//
//   person -- WebSocket -- server -- WebSocket -- agent -- engine
//
// A message is a binary frame: its first byte is the channel (Kubernetes' remote command protocol,
// v5.channel.k8s.io), the rest is data. Two forms, agreed on as the WebSocket's subprotocol:
//
//   plain      what v5.channel.k8s.io says, no more. The session ends with the connection.
//   numbered   every message of a direction has a number: the first is 0, acknowledgements have
//              none. Each side keeps what it sent until the other has acknowledged it, so that a
//              session goes on over another connection with nothing lost or repeated. It begins
//              with one text frame from the host, SessionOpened.
//
// Window: a side stops sending while kWindow bytes of its messages are not acknowledged. An
// acknowledgement says what was used (written to the process, to the terminal), not what has
// arrived, so a slow reader slows its own writer, and a reader can always read. A new connection
// changes nothing of that: it begins with how many messages have arrived, from which the other side
// goes on, and how many have been used.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/buffer.h"
#include "protocol/api.h"

namespace trailer::protocol {

inline constexpr const char* kPlainProtocol = "v5.channel.k8s.io";
inline constexpr const char* kNumberedProtocol = "v1.session.trailer.dev";

inline constexpr std::size_t kWindow = 1 << 20;           // bytes that may be unacknowledged
inline constexpr std::size_t kMostSessionData = 1 << 17;  // bytes of one message
inline constexpr std::size_t kMostMessage = 2 << 20;      // of a log, whose entries are not divided
inline constexpr std::size_t kMessageCost = 64;           // that keeping one takes beside its bytes

enum class Channel : unsigned char {
    input = 0,
    output = 1,
    errors = 2,
    end = 3,      // from the host: SessionEnd. From the person, numbered: SessionLeave
    resize = 4,   // from the person: TerminalSize
    notice = 5,   // from the host, numbered only: a SessionNotice for the person to read
    ack = 254,    // numbered only: eight bytes, big-endian: how many messages have been used
    close = 255,  // from the person: the second byte names the channel that ends (input)
};

std::string session_message(Channel channel, std::string_view data);
// Throws InvalidInput for an empty message and for a channel that is unknown.
Channel channel_of(std::string_view message);
// After the channel's byte.
inline std::string_view data_of(std::string_view message) {
    return message.substr(1);
}

std::string ack_message(std::uint64_t count);
std::uint64_t ack_count(std::string_view message);  // throws InvalidInput

struct TerminalSize {
    std::uint16_t cols = 0;  // 0: unknown
    std::uint16_t rows = 0;

    bool operator==(const TerminalSize&) const = default;
};
BOOST_DESCRIBE_STRUCT(TerminalSize, (), (cols, rows))

// `{"exit_code":0}`, or a problem; `{}` where there is no code (logs, a port).
struct SessionEnd {
    std::optional<int> exit_code;
    std::optional<Problem> problem;
};
std::string end_message(const SessionEnd& end);
SessionEnd read_end(std::string_view data);  // throws InvalidInput

// What a person's last message asks for the rest of the session.
struct SessionLeave {
    bool detach = false;  // what was started goes on; else it ends

    bool operator==(const SessionLeave&) const = default;
};
BOOST_DESCRIBE_STRUCT(SessionLeave, (), (detach))

struct SessionNotice {
    std::string text;  // "workspace dev was replaced: following its new container"
};
BOOST_DESCRIBE_STRUCT(SessionNotice, (), (text))

enum class SessionKind { logs, exec, attach, port, host_logs };
BOOST_DESCRIBE_ENUM(SessionKind, logs, exec, attach, port, host_logs)

struct LogQuery {
    bool follow = false;
    std::optional<std::int64_t> tail;  // the last so many lines; absent: all
    std::string since;                 // RFC 3339, to the nanosecond; empty: from the first
    std::string until;                 // empty: to the last
    std::int64_t skip = 0;             // known already: so many, the first from `since` on
    std::string skip_until;            // of which none is newer; empty: unknown
    bool timestamps = false;           // each line begins with its time and a space

    bool operator==(const LogQuery&) const = default;
};
BOOST_DESCRIBE_STRUCT(LogQuery, (), (follow, tail, since, until, skip, skip_until, timestamps))

struct ExecQuery {
    std::vector<std::string> command;
    std::vector<std::string> env;  // NAME=VALUE
    std::string user;              // empty: the workspace's
    std::string working_dir;       // empty: the workspace's
    bool tty = false;
    TerminalSize size;  // of the terminal, from the first byte

    bool operator==(const ExecQuery&) const = default;
};
BOOST_DESCRIBE_STRUCT(ExecQuery, (), (command, env, user, working_dir, tty, size))

struct ResumeQuery {
    std::string session;
    std::uint64_t received = 0;         // messages that the person has
    std::optional<std::uint64_t> used;  // and has used; absent: as many

    bool operator==(const ResumeQuery&) const = default;
};
BOOST_DESCRIBE_STRUCT(ResumeQuery, (), (session, received, used))

// The first frame, text, that the server sends over a connection of GET /api/agent/session.
struct OpenSession {
    SessionKind kind = SessionKind::logs;
    std::string workspace;  // its id; empty for host_logs
    std::string user;       // its id: only who began a session takes it up again
    bool numbered = false;
    std::optional<ResumeQuery> resume;  // then nothing of what follows
    std::optional<LogQuery> logs;
    std::optional<ExecQuery> exec;
    std::optional<std::uint16_t> port;
    TerminalSize size;  // attach

    static constexpr std::array kRequired{std::string_view{"kind"}};
    bool operator==(const OpenSession&) const = default;
};
BOOST_DESCRIBE_STRUCT(OpenSession, (),
                      (kind, workspace, user, numbered, resume, logs, exec, port, size))

// The host's answer, text. The server passes it on to a numbered person.
struct SessionOpened {
    std::string session;         // to take it up again; a secret between the two ends
    std::uint64_t received = 0;  // messages of the person's that the host has
    std::uint64_t used = 0;  // and has used: what only arrived still takes its place in the window
    std::int64_t grace_ms = 0;  // how long the session waits for another connection
    bool tty = false;
    std::optional<Problem> problem;  // then it is not open
};
BOOST_DESCRIBE_STRUCT(SessionOpened, (), (session, received, used, grace_ms, tty, problem))

// The messages of one direction that were sent and are not yet acknowledged. One thread.
class Outbox {
  public:
    void push(std::string message);
    // Forgets all before number `count`. Throws InvalidInput for more than was pushed; fewer than
    // before is no news.
    void acknowledge(std::uint64_t count);

    std::uint64_t begin() const { return begin_; }                   // the first that is kept
    std::uint64_t end() const { return begin_ + messages_.size(); }  // the next to be pushed
    const SharedBytes& at(std::uint64_t number) const { return messages_[number - begin_]; }
    std::size_t bytes() const { return bytes_; }
    bool empty() const { return messages_.empty(); }
    // The window is used up, or as much memory by many small messages.
    bool full() const { return bytes_ + messages_.size() * kMessageCost >= kWindow; }

  private:
    std::deque<SharedBytes> messages_;
    std::uint64_t begin_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace trailer::protocol
