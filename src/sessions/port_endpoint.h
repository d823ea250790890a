// One TCP connection to a port of a workspace, as a session.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "aio/signal.h"
#include "sessions/endpoint.h"

namespace trailer::sessions {

class PortEndpoint : public Endpoint {
  public:
    // `half_close`: the person can be told that output has ended while input goes on.
    PortEndpoint(asio::ip::tcp::socket socket, bool half_close);

    Task<std::string> read() override;
    Task<> take(std::string message) override;

  private:
    asio::ip::tcp::socket socket_;
    bool half_close_;
    bool output_ended_ = false;
    bool input_ended_ = false;
    aio::Signal input_end_;
};

}  // namespace trailer::sessions
