// Room for bytes that are about to be written over.
#pragma once

#include <string>

namespace trailer {

// `size` bytes of no particular value: where as much is read at once, filling it with zeros first
// costs as much as reading it.
inline std::string raw_string(std::size_t size) {
    std::string room;
    room.resize_and_overwrite(size, [](char*, std::size_t all) { return all; });
    return room;
}

// Keeps the first `size` bytes; what is kept for long must not hold the room for much more.
inline void cut(std::string& data, std::size_t size) {
    data.resize(size);
    if (data.capacity() > 2 * size + 64) data.shrink_to_fit();
}

}  // namespace trailer
