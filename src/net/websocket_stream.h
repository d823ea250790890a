// How the client and the server make a WebSocket out of a stream. Included by net/*.cpp only.
#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "net/stream.h"
#include "net/websocket.h"

namespace trailer::net {

Task<std::unique_ptr<WebSocket>> open_websocket(Stream stream, Endpoint endpoint, Request request,
                                                aio::Deadline deadline, WebSocketOptions options);

// `upgrade` is the request that asked for it, `early` what came after its head.
Task<std::unique_ptr<WebSocket>> accept_websocket_on(
    Stream stream, beast::http::request<beast::http::string_body> upgrade, beast::flat_buffer early,
    WebSocketOptions options, std::string subprotocol);

}  // namespace trailer::net
