// WebSocket's frames as bytes (RFC 6455, section 5.2): their heads, masks, and what may not be.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace trailer::net {

enum class Opcode : unsigned char {
    continuation = 0,
    text = 1,
    binary = 2,
    close = 8,
    ping = 9,
    pong = 10,
};
inline bool is_control(Opcode opcode) {
    return static_cast<unsigned char>(opcode) >= 8;
}

// A peer that does not keep to the protocol is told a code and left.
class FrameFault : public Error {
  public:
    FrameFault(int close_code, const std::string& why)
        : Error(ErrorKind::unavailable, why), close_code_(close_code) {}
    int close_code() const { return close_code_; }

  private:
    int close_code_;
};
inline constexpr int kProtocolError = 1002;
inline constexpr int kBadPayload = 1007;
inline constexpr int kTooBig = 1009;

using MaskKey = std::array<unsigned char, 4>;

struct FrameHead {
    bool last = true;  // of its message
    Opcode opcode = Opcode::binary;
    std::optional<MaskKey> key;
    std::uint64_t length = 0;  // of the payload
    std::size_t size = 0;      // of the head itself
};

inline constexpr std::size_t kMostHead = 14;

// Of the bytes that a frame begins with; nothing when more are needed. Throws FrameFault.
std::optional<FrameHead> read_frame_head(std::string_view bytes);
// `key`: a client's.
std::string frame_head(Opcode opcode, std::uint64_t length, const std::optional<MaskKey>& key);

// Masks or unmasks: the same.
void apply_mask(char* data, std::size_t size, const MaskKey& key);
// `to` has room for all of `from`.
void copy_masked(std::string_view from, char* to, const MaskKey& key);

bool is_utf8(std::string_view text);

// What a close frame says: its code, 1005 where it has none. Throws FrameFault.
int read_close(std::string_view payload);

}  // namespace trailer::net
