// Room for bytes that are about to be written over.
#pragma once

#include <memory>
#include <string>

namespace trailer {

// What several hold, and nobody changes: written to a connection, and kept until it is
// acknowledged.
using SharedBytes = std::shared_ptr<const std::string>;

// What is new has no particular value: where as much is read at once, filling it with zeros first
// costs as much as reading it.
inline void resize_raw(std::string& data, std::size_t size) {
    // libstdc++ 12 hands over the size of what it has allocated, which may be more than was asked
    // for: its answer to that is the string's size.
    data.resize_and_overwrite(size, [size](char*, std::size_t) { return size; });
}

inline std::string raw_string(std::size_t size) {
    std::string room;
    resize_raw(room, size);
    return room;
}

// Keeps the first `size` bytes; what is kept for long must not hold the room for much more.
inline void cut(std::string& data, std::size_t size) {
    data.resize(size);
    if (data.capacity() > 2 * size + 64) data.shrink_to_fit();
}

}  // namespace trailer
