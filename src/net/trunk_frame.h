// What a trunk's messages are made of (trunk.h): frames of many lines, one behind the other.
//
//   0        1        5        9
//   | kind   | line   | size   | payload, `size` bytes
//
// Numbers are big-endian. A credit has no payload: its size is the number of bytes given back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trailer::net {

enum class TrunkKind : unsigned char {
    open = 0,    // the line begins
    text = 1,    // a message of it
    binary = 2,  // the same
    credit = 3,  // of what was sent, so much has been read
    close = 4,   // it has ended in good order; the payload says why
    reset = 5,   // it was dropped
};

struct TrunkFrame {
    TrunkKind kind = TrunkKind::open;
    std::uint32_t line = 0;
    std::uint32_t credit = 0;
    std::string_view payload;
};

inline constexpr std::size_t kTrunkHead = 9;

// The first frame of `bytes`, which is taken from them; nothing at their end. Throws
// Error(unavailable) for what is no frame.
std::optional<TrunkFrame> next_frame(std::string_view& bytes);

void append_frame(std::string& to, TrunkKind kind, std::uint32_t line, std::string_view payload);
void append_credit(std::string& to, std::uint32_t line, std::uint32_t credit);

}  // namespace trailer::net
