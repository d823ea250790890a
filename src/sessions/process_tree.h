// The processes that a session's command has started: the engine leaves them running when the
// connection goes (moby/moby#9994).
//
// They are the command's descendants, those of its terminal session (setsid(2)), and those that
// carry the session's mark in their environment. What has made itself a daemon with an environment
// of its own is no longer among them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "aio/task.h"
#include "runtime/runtime.h"

namespace trailer::sessions {

// The environment variable that marks them.
inline constexpr const char* kMark = "TRAILER_SESSION";

struct Process {
    std::int64_t parent = 0;
    std::int64_t session = 0;
};

class ProcessTree {
  public:
    // `proc`: of the PID namespace that the engine's process ids are of.
    ProcessTree(std::filesystem::path proc, std::string container_id, std::string session)
        : proc_(std::move(proc)),
          container_id_(std::move(container_id)),
          session_(std::move(session)) {}

    // Whether `process` is seen here and runs in the container: else its id means another.
    bool sees(std::int64_t process) const;
    std::vector<std::int64_t> processes(std::int64_t root) const;
    // All that carry the mark, and what they have started; false where no process of the container
    // is seen here.
    Task<bool> end_marked() const;
    // SIGHUP (a terminal's) or SIGTERM, and SIGKILL to what is there 2 s later. False when the
    // process is not seen here.
    Task<bool> end(std::int64_t root, bool tty) const;

  private:
    std::map<std::int64_t, Process> of_container() const;
    Task<> end_all(std::int64_t root, int signal) const;

    std::filesystem::path proc_;
    std::string container_id_;
    std::string session_;
};

// For an agent that does not see the host's processes: a command in the container, by its shell,
// ends all that carry the mark. Throws Error where there is no shell.
Task<> end_from_within(runtime::ContainerRuntime& runtime, std::string container_id,
                       std::string session);

}  // namespace trailer::sessions
