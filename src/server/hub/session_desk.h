// The agents' connections, over which people's sessions are opened: idle ones, of which each
// session takes one, and a trunk for what is many, short and small, which its host opens once it is
// asked to.
//
// The server knows nothing of a session but that two connections belong together: when it restarts,
// both ends come back and go on. One thread.
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "aio/deadline.h"
#include "aio/signal.h"
#include "net/trunk.h"
#include "net/websocket.h"
#include "protocol/session.h"
#include "server/hub/agent_channels.h"

namespace trailer::server {

class SessionDesk {
  public:
    explicit SessionDesk(asio::any_io_executor executor, AgentChannels& channels);
    ~SessionDesk();

    // Holds an agent's connection: until somebody opens a session over it, and until that ends.
    Task<> keep(std::string host_id, std::shared_ptr<net::WebSocket> socket);

    // Holds an agent's trunk to its end.
    Task<> keep_trunk(std::string host_id, std::shared_ptr<net::WebSocket> socket);
    bool has_trunk(const std::string& host_id) const { return trunks_.contains(host_id); }

    struct Idle;

    // An agent's connection with a session on it; given back when it goes.
    class Lease {
      public:
        explicit Lease(std::shared_ptr<Idle> idle);
        explicit Lease(std::unique_ptr<net::WebSocket> line);
        ~Lease();
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;

        net::WebSocket& socket();
        const protocol::SessionOpened& opened() const { return opened_; }
        bool on_trunk() const { return line_ != nullptr; }

      private:
        friend class SessionDesk;
        std::shared_ptr<Idle> idle_;            // shared with keep(); or
        std::unique_ptr<net::WebSocket> line_;  // of a trunk
        protocol::SessionOpened opened_;
    };

    // Throws what the host's problem says; Error(unavailable) where the host is not connected.
    Task<std::unique_ptr<Lease>> open(std::string host_id, protocol::OpenSession open,
                                      aio::Deadline deadline);
    // The same over the host's trunk, where it has one by now: costs less, and shares a connection
    // with others.
    Task<std::unique_ptr<Lease>> open_on_trunk(std::string host_id, protocol::OpenSession open,
                                               aio::Deadline deadline);

    std::size_t idle(const std::string& host_id) const;

  private:
    struct Host {
        std::deque<std::shared_ptr<Idle>> idle;
        std::deque<std::shared_ptr<aio::Signal>> waiting;
    };

    Task<std::shared_ptr<Idle>> take(std::string host_id, aio::Deadline deadline);
    Task<std::unique_ptr<Lease>> open_line(std::unique_ptr<net::WebSocket> line,
                                           const protocol::OpenSession* open,
                                           aio::Deadline deadline);
    void forget(const std::string& host_id, const std::shared_ptr<Idle>& idle);

    asio::any_io_executor executor_;
    AgentChannels& channels_;
    std::map<std::string, Host> hosts_;
    std::map<std::string, std::shared_ptr<net::Trunk>> trunks_;  // shared with keep_trunk()
};

}  // namespace trailer::server
