#include "main/listen.h"

#include <fmt/format.h>

#include <boost/asio/ip/address.hpp>

#include "base/error.h"

namespace trailer {

net::ServerOptions listen_options(const std::string& server_url) {
    const auto fail = [&](std::string_view why) {
        return InvalidInput("", fmt::format("--server-url: {}; expected http://ADDRESS:PORT, such "
                                            "as http://0.0.0.0:8090 for all addresses of this host",
                                            why));
    };
    net::Endpoint endpoint;
    try {
        endpoint = net::Endpoint::parse(server_url);
    } catch (const InvalidInput&) {
        throw fail(fmt::format("\"{}\" is no address to listen on", server_url));
    }
    if (endpoint.transport != net::Endpoint::Transport::tcp || !server_url.starts_with("http://")) {
        throw fail("the server speaks plain HTTP (put a proxy in front of it for TLS)");
    }
    if (!endpoint.prefix.empty()) throw fail("the server has no path of its own");
    boost::system::error_code error;
    const auto address = endpoint.host == "localhost"
                             ? boost::asio::ip::address(boost::asio::ip::address_v4::loopback())
                             : boost::asio::ip::make_address(endpoint.host, error);
    if (error) throw fail(fmt::format("\"{}\" is no IP address of this host", endpoint.host));
    return {.address = address.to_string(), .port = endpoint.port};
}

std::string loopback_url(const net::ServerOptions& options, std::uint16_t port) {
    const auto address = boost::asio::ip::make_address(options.address);
    net::Endpoint endpoint{.host = options.address, .port = port};
    if (address.is_unspecified()) endpoint.host = address.is_v6() ? "::1" : "127.0.0.1";
    return endpoint.to_string();
}

}  // namespace trailer
