// Where in a workspace a request wants to go: by its path, /proxy/WORKSPACE/PORT/…, or by its host,
// PORT--WORKSPACE.DOMAIN.
#pragma once

#include <optional>
#include <string>

#include "net/http.h"

namespace trailer::server::proxy {

struct Place {
    std::string workspace;  // name or id
    std::uint16_t port = 0;
    std::string prefix;       // "/proxy/dev/8080" as the client wrote it; empty at a domain's host
    std::string target;       // path and query for the workspace; empty: the '/' is missing
    bool own_origin = false;  // the workspace's page shares its origin with nothing of ours

    bool operator==(const Place&) const = default;
};

// Nothing when the request is not for a workspace. `domain` may be empty. Throws InvalidInput.
std::optional<Place> place_of(const net::Request& request, std::string_view domain);

// "8080--dev", or nothing where that is no label of a domain (RFC 1035, section 2.3.1).
std::optional<std::string> label_of(std::uint16_t port, std::string_view workspace);

}  // namespace trailer::server::proxy
