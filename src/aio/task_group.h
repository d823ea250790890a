// Children that cannot outlive their parent.
//
// The first child that throws cancels its siblings, and join() rethrows what it threw. A parent
// that is itself cancelled in join() cancels its children and still awaits them all. Cancelling
// ends a child by an exception (aio::is_cancellation) at its next suspension.
//
// Used from the one thread that runs its executor. join() must have returned before it is
// destroyed.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <list>
#include <string>

#include "aio/task.h"

namespace trailer::aio {

class TaskGroup {
  public:
    explicit TaskGroup(asio::any_io_executor executor);
    ~TaskGroup();
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;

    // Starts `task` at once, up to its first suspension. After cancel() it is not started.
    void spawn(Task<> task);

    void cancel();
    bool cancelled() const { return cancelled_; }
    std::size_t size() const { return children_.size(); }

    // Returns when the last child has ended; rethrows the first failure. Children may be spawned
    // meanwhile.
    Task<> join();

  private:
    struct Child {
        asio::cancellation_signal stop;
        bool starting = true;  // spawn() has not returned yet
    };
    void ended(std::list<Child>::iterator child, std::exception_ptr error);

    asio::any_io_executor executor_;
    asio::steady_timer idle_;  // cancelled when the last child ends: wakes join()
    std::list<Child> children_;
    std::exception_ptr failure_;
    bool cancelled_ = false;
};

}  // namespace trailer::aio
