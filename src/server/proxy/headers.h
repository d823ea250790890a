// What a proxied request and its answer carry on the other side: hop-by-hop fields go, ours never
// reach the workspace, and what the workspace says of itself is told as the browser must see it.
#pragma once

#include <string>

#include "net/http_server.h"
#include "server/proxy/place.h"

namespace trailer::server::proxy {

inline constexpr const char* kCookie = "trailer_proxy";
inline constexpr const char* kSandbox =
    "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads";

// How the request came.
struct Arrival {
    std::string address;   // of the peer, without its port
    bool secure = false;   // over TLS of our own
    bool trusted = false;  // the peer is a proxy of ours: what it says of the client counts
    bool our_authorization = false;  // the field Authorization was for us
};

Arrival arrival_of(const net::Exchange& exchange);
// Where the client is: what a proxy of ours says of it, else the peer.
std::string client_of(const net::Headers& headers, const Arrival& arrival);

// Whether what a peer there says in X-Forwarded-… counts: a reverse proxy on the same machine.
bool is_trusted(std::string_view address);
// "https" or "http", as the client sees it.
std::string scheme_of(const net::Headers& headers, const Arrival& arrival);

// Asks for a WebSocket: an upgrade that is passed on. Any other is not.
bool wants_websocket(const net::Headers& headers);

net::Request for_workspace(const net::Request& request, const Place& place, const Arrival& arrival);
// `request`: the client's, for its Host. Framing fields are kept: Content-Length tells the length.
net::Response for_client(const net::Response& answer, const net::Request& request,
                         const Place& place);

// One cookie's value, or "".
std::string cookie_of(const net::Headers& headers, std::string_view name);

}  // namespace trailer::server::proxy
