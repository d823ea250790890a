// How asio::async_write is to hand over what it has.
#pragma once

#include <boost/system/error_code.hpp>
#include <cstddef>
#include <limits>

namespace trailer::aio {

// A completion condition: all of it, and the kernel is given all that is left each time. Asio's own
// gives it 64 KiB at a time, by which a piece of that size and its head become two packets.
struct AtOnce {
    std::size_t operator()(const boost::system::error_code& error, std::size_t) const {
        return error ? 0 : std::numeric_limits<std::size_t>::max();
    }
};

}  // namespace trailer::aio
