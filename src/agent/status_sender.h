// Brings the reconciler's reports to the server: the newest of each resource, in batches, again
// until they are delivered.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>

#include "agent/server_link.h"
#include "agent/status_queue.h"
#include "aio/signal.h"

namespace trailer::agent {

class StatusSender {
  public:
    // `unauthenticated` is called when the server no longer knows our token.
    StatusSender(const asio::any_io_executor& executor, ServerLink& server,
                 std::function<void()> unauthenticated);

    void push(protocol::StatusReport report);

    // Sends until cancelled; what is not delivered then stays queued.
    Task<> run();

    std::size_t waiting() const { return queue_.size(); }

  private:
    Task<> send_once();
    void refused(const Error& error);

    ServerLink& server_;
    std::function<void()> unauthenticated_;
    StatusQueue queue_;
    aio::Signal news_;
    aio::Signal settled_;  // among the news
    std::size_t most_;
};

}  // namespace trailer::agent
