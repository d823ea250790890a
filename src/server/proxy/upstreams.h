// Connections to workspaces' ports that are kept between requests.
//
// A kept one is used again only for the same person: a workspace may tie what it knows of who asks
// to the connection. Bounds: so many that rest, of each port and in all, each for so long. One
// thread.
#pragma once

#include <list>
#include <map>
#include <memory>

#include "aio/sweeper.h"
#include "net/http_line.h"
#include "server/hub/session_desk.h"
#include "server/proxy/port_stream.h"

namespace trailer::server::proxy {

// Whose connection to what.
struct Route {
    std::string host_id;
    std::string workspace_id;
    std::string user_id;
    std::uint16_t port = 0;

    auto operator<=>(const Route&) const = default;
};

struct Upstream {
    std::unique_ptr<net::HttpLine> line;
    PortStream* stream = nullptr;  // under the line
    bool used = false;             // it has served a request before
};

class Upstreams {
  public:
    Upstreams(asio::any_io_executor executor, SessionDesk& desk);
    Upstreams(const Upstreams&) = delete;
    Upstreams& operator=(const Upstreams&) = delete;

    // Throws what SessionDesk::open() throws.
    Task<Upstream> open(Route route, aio::Deadline deadline);
    // One that rests, if there is any.
    std::optional<Upstream> kept(const Route& route);
    // Of one that stands between two requests.
    void keep(const Route& route, Upstream upstream);

    std::size_t resting() const { return count_; }

  private:
    struct Resting {
        Upstream upstream;
        std::chrono::steady_clock::time_point since;
    };
    bool sweep();

    asio::any_io_executor executor_;
    SessionDesk& desk_;
    aio::Sweeper sweeper_;
    std::map<Route, std::list<Resting>> resting_;  // the newest last
    std::size_t count_ = 0;
};

}  // namespace trailer::server::proxy
