// A thread for reads and writes that may block for as long as a person or a pipe likes.
//
// Not O_NONBLOCK: it belongs to what a descriptor refers to, which a shell and other programs
// share, and would outlive us. Not epoll: it refuses regular files.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "aio/task.h"

namespace trailer::client {

class IoThread {
  public:
    // Does one thing. It may wait on `stop` with poll(): a descriptor that becomes readable when
    // the thread has to end.
    using Work = std::function<void(int stop)>;

    explicit IoThread(asio::any_io_executor executor);
    // Waits a moment for the work under way. A write to a terminal that was stopped (Ctrl-S) can't
    // be ended from here: it is left to the end of the process.
    ~IoThread();
    IoThread(const IoThread&) = delete;
    IoThread& operator=(const IoThread&) = delete;

    // Returns when the thread has done it. One caller at a time. When the caller is cancelled, the
    // work goes on: it must own what it uses.
    Task<> run(Work work);

  private:
    struct State;
    static void serve(const std::shared_ptr<State>& state);

    std::shared_ptr<State> state_;  // shared with the thread, which may outlive this
};

}  // namespace trailer::client
