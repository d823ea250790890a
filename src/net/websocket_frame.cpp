#include "net/websocket_frame.h"

#include <cstring>

namespace trailer::net {
namespace {

constexpr std::size_t kMostControl = 125;
constexpr unsigned char kLast = 0x80;
constexpr unsigned char kMasked = 0x80;
constexpr unsigned char kTwoBytes = 126;
constexpr unsigned char kEightBytes = 127;

bool is_opcode(unsigned char value) {
    return value <= 2 || (value >= 8 && value <= 10);
}

std::uint64_t big_endian(std::string_view bytes) {
    std::uint64_t value = 0;
    for (const char byte : bytes) value = value << 8U | static_cast<unsigned char>(byte);
    return value;
}

}  // namespace

std::optional<FrameHead> read_frame_head(std::string_view bytes) {
    if (bytes.size() < 2) return std::nullopt;
    const auto first = static_cast<unsigned char>(bytes[0]);
    const auto second = static_cast<unsigned char>(bytes[1]);
    if ((first & 0x70U) != 0) throw FrameFault(kProtocolError, "a frame with reserved bits");
    if (!is_opcode(first & 0x0FU)) throw FrameFault(kProtocolError, "a frame of an unknown kind");
    FrameHead head{.last = (first & kLast) != 0,
                   .opcode = static_cast<Opcode>(first & 0x0FU),
                   .length = second & 0x7FU,
                   .size = 2};
    if (is_control(head.opcode) && (!head.last || head.length > kMostControl)) {
        throw FrameFault(kProtocolError, "a control frame in parts, or too long");
    }
    const std::size_t more = head.length == kTwoBytes ? 2 : head.length == kEightBytes ? 8 : 0;
    const std::size_t key = (second & kMasked) != 0 ? 4 : 0;
    if (bytes.size() < head.size + more + key) return std::nullopt;
    if (more > 0) head.length = big_endian(bytes.substr(head.size, more));
    if (head.length >> 63U != 0) throw FrameFault(kProtocolError, "a frame of an absurd length");
    head.size += more;
    if (key > 0) {
        head.key.emplace();
        std::memcpy(head.key->data(), bytes.data() + head.size, key);
        head.size += key;
    }
    return head;
}

std::string frame_head(Opcode opcode, std::uint64_t length, const std::optional<MaskKey>& key) {
    std::string head(1, static_cast<char>(kLast | static_cast<unsigned char>(opcode)));
    const unsigned char masked = key ? kMasked : 0;
    const auto add = [&](unsigned char mark, int bytes) {
        head += static_cast<char>(masked | mark);
        for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
            head += static_cast<char>(length >> static_cast<unsigned>(shift) & 0xFFU);
        }
    };
    if (length <= kMostControl) {
        add(static_cast<unsigned char>(length), 0);
    } else if (length <= 0xFFFF) {
        add(kTwoBytes, 2);
    } else {
        add(kEightBytes, 8);
    }
    if (key) head.append(key->begin(), key->end());
    return head;
}

void apply_mask(char* data, std::size_t size, const MaskKey& key) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, key.data(), key.size());
    std::memcpy(reinterpret_cast<char*>(&eight) + key.size(), key.data(), key.size());
    std::size_t at = 0;
    for (; at + sizeof eight <= size; at += sizeof eight) {
        std::uint64_t word = 0;
        std::memcpy(&word, data + at, sizeof word);
        word ^= eight;
        std::memcpy(data + at, &word, sizeof word);
    }
    for (; at < size; ++at) data[at] = static_cast<char>(data[at] ^ key[at % key.size()]);
}

void copy_masked(std::string_view from, char* to, const MaskKey& key) {
    constexpr std::size_t kBlock = 8 << 10;  // near enough to be read again; whole keys
    static_assert(kBlock % std::tuple_size_v<MaskKey> == 0);
    for (std::size_t at = 0; at < from.size(); at += kBlock) {
        const auto size = std::min(kBlock, from.size() - at);
        std::memcpy(to + at, from.data() + at, size);
        apply_mask(to + at, size, key);
    }
}

// RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text) {
    std::size_t at = 0;
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    while (at < text.size()) {
        const auto lead = byte(at++);
        if (lead < 0x80) continue;
        const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
        if (lead < 0xC2 || lead > 0xF4 || text.size() - at < static_cast<std::size_t>(more)) {
            return false;
        }
        const auto second = byte(at);
        if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
            (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) {
            return false;
        }
        for (int i = 0; i < more; ++i) {
            if ((byte(at++) & 0xC0U) != 0x80) return false;
        }
    }
    return true;
}

int read_close(std::string_view payload) {
    constexpr int kNone = 1005;
    if (payload.empty()) return kNone;
    if (payload.size() == 1) throw FrameFault(kProtocolError, "half a code of a close");
    const auto code = static_cast<int>(big_endian(payload.substr(0, 2)));
    const bool defined =
        code >= 1000 && code <= 1014 && code != 1004 && code != kNone && code != 1006;
    if (!defined && (code < 3000 || code > 4999)) {
        throw FrameFault(kProtocolError, "a close with a code that may not be sent");
    }
    if (!is_utf8(payload.substr(2)))
        throw FrameFault(kBadPayload, "a close whose reason is no text");
    return code;
}

}  // namespace trailer::net
