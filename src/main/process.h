// How a role lives: one thread, one root task, signals.
#pragma once

#include <boost/asio/io_context.hpp>
#include <string_view>

#include "aio/task.h"

namespace trailer {

// Runs `root` until it ends. SIGTERM or SIGINT cancels it, a second one ends the process at once;
// SIGHUP opens the log files anew. Returns the exit code: 0 when it was asked to end, 1 when the
// root task failed, which is logged.
//
// 5 s after being asked to end the process is gone, whatever still hangs: a watchdog, which lives
// until the Process does, sees to that. So it must be made before what may block in its destructor.
class Process {
  public:
    Process();
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    asio::any_io_executor executor() { return context_.get_executor(); }
    int run(Task<> root, std::string_view role);

  private:
    class Watchdog;
    std::unique_ptr<Watchdog> watchdog_;
    asio::io_context context_{1};
};

}  // namespace trailer
