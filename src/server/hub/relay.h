// Joins a person's connection to an agent's: passes a session's messages on, both ways.
#pragma once

#include <optional>

#include "net/websocket.h"
#include "protocol/session.h"

namespace trailer::server {

// What went through, for the audit log.
struct RelayReport {
    std::uint64_t bytes_in = 0;   // from the person
    std::uint64_t bytes_out = 0;  // to the person
    std::optional<int> exit_code;
    bool over = false;  // the session's end went by: it won't be taken up again
};

// Until one of the two ends; then ends the other. Each direction goes as fast as its slower side
// reads. Where the host's connection breaks, a plain person is told by a problem on channel 3, and
// a numbered one by the closing, for it comes back. Never throws but for cancellation.
Task<> relay(net::WebSocket* person, net::WebSocket* host, bool numbered, bool channels,
             RelayReport* report);

}  // namespace trailer::server
