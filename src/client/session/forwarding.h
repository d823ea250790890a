// TCP connections to a local port, each joined to a port of a workspace by a session of its own.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "aio/task_group.h"
#include "client/session/session_client.h"

namespace trailer::client {

struct PortPair {
    std::uint16_t local = 0;  // 0: any free one
    std::uint16_t remote = 0;

    bool operator==(const PortPair&) const = default;
};
// "8080:80", "80" (both), "0:80" and ":80" (any free one). Throws UsageError.
PortPair parse_port_pair(std::string_view text);

// One thread; run() must have returned before it is destroyed.
class Forwarding {
  public:
    // Listens at once. Throws Error where the port is taken. `subject` is "/api/workspaces/dev".
    // `failed` is told what each connection that fails ends with.
    Forwarding(Api& api, std::string subject, const std::string& address, PortPair ports,
               std::function<void(LinkNews)> news, std::function<void(std::string)> failed);

    std::string local() const;  // "127.0.0.1:8080"
    std::size_t connections() const { return connections_.size(); }
    // Until cancelled, or a while after leave().
    Task<> run();
    // Accepts no more, and ends each connection.
    void leave();

  private:
    class Connection;
    Task<> accept();
    Task<> serve(asio::ip::tcp::socket socket);

    Api& api_;
    std::string subject_;
    PortPair ports_;
    std::function<void(LinkNews)> news_;
    std::function<void(std::string)> failed_;
    asio::ip::tcp::acceptor acceptor_;
    aio::TaskGroup tasks_;
    aio::Signal ended_;
    std::set<Connection*> connections_;
    bool leaving_ = false;
};

}  // namespace trailer::client
