// One log, read to its end or followed: opened anew where it was when its session is lost.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "aio/mutex.h"
#include "client/session/local_streams.h"
#include "client/session/log_lines.h"
#include "client/session/session_client.h"

namespace trailer::client {

// The standard output that several logs share, a piece at a time.
class LogOutput {
  public:
    explicit LogOutput(asio::any_io_executor executor) : output_(executor), turn_(executor) {}

    Task<> write(std::vector<LocalOutput::Piece> pieces);
    Task<> wait_closed() { return output_.wait_closed(1); }

  private:
    LocalOutput output_;
    aio::Mutex turn_;
};

class LogTail {
  public:
    struct Options {
        std::string title;    // "dev", for what is told
        std::string subject;  // "/api/workspaces/dev"
        protocol::LogQuery query;
        LogTimes times = LogTimes::given;  // own: a host's own log
        bool timestamps = false;           // shown
        bool waits = false;                // for a workspace that has no container yet
        std::string prefix;                // of each line
    };

    LogTail(Api& api, LogOutput& output, Options options);

    // To the log's end. Throws what it ends with, and OutputClosed.
    Task<> run();
    // run() ends soon: true where the host has to be told first.
    bool leave();
    // The workspace has gone: what there is of its log is read, and nothing is waited for.
    void expect_end() { gone_ = true; }

  private:
    Task<bool> open_first();
    Task<> read_session();
    Task<> keep_session(aio::TaskGroup* tasks);
    Task<> pump();
    Task<> open_anew(std::string why);
    void begin(protocol::LogQuery query);
    protocol::LogQuery query_from_here() const;
    void add_message(const std::string& message, std::vector<LocalOutput::Piece>& pieces);
    bool is_known(const LogEntry& entry);
    void finish(std::vector<LocalOutput::Piece>& pieces);
    void tell(const std::string& text) const;

    Api& api_;
    LogOutput& output_;
    Options options_;
    LogFormat format_;
    LogPlace place_;
    std::unique_ptr<SessionClient> session_;
    std::optional<protocol::Problem> problem_;
    bool overlaps_ = false;  // the next entry is to be the last one again
    bool open_ = false;
    bool leaving_ = false;
    bool gone_ = false;
};

}  // namespace trailer::client
