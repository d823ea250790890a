// What opens a workspace's port in a browser.
#pragma once

#include "protocol/api.h"

namespace trailer::protocol {

struct PortOpenRequest {
    std::string path = "/";  // where in the workspace to begin, with its query
};
BOOST_DESCRIBE_STRUCT(PortOpenRequest, (), (path))

struct PortOpenAnswer {
    std::string url;  // good once, for a short time
    Timestamp expires{};
};
BOOST_DESCRIBE_STRUCT(PortOpenAnswer, (), (url, expires))

}  // namespace trailer::protocol
