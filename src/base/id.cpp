#include "base/id.h"

#include <atomic>
#include <cstdint>

#include "base/crypto.h"
#include "base/time.h"

namespace trailer {
namespace {

// Milliseconds in the upper 48 bits, a counter in the lower 12 (RFC 9562, section 6.2, method 3):
// never goes back, even where the clock does.
std::uint64_t next_tick() {
    static std::atomic<std::uint64_t> last{0};
    const auto clock = static_cast<std::uint64_t>(now().time_since_epoch().count()) << 12;
    auto previous = last.load();
    std::uint64_t next = 0;
    do {
        next = clock > previous ? clock : previous + 1;
    } while (!last.compare_exchange_weak(previous, next));
    return next;
}

}  // namespace

std::string new_id() {
    const auto tick = next_tick();
    auto raw = random_bytes(16);
    for (int i = 0; i < 6; ++i)
        raw[static_cast<std::size_t>(i)] = static_cast<char>(tick >> (52 - 8 * i));
    raw[6] = static_cast<char>(0x70 | ((tick >> 8) & 0x0f));
    raw[7] = static_cast<char>(tick);
    raw[8] = static_cast<char>(0x80 | (raw[8] & 0x3f));
    auto text = to_hex(raw);
    for (const std::size_t at : {8U, 13U, 18U, 23U}) text.insert(at, 1, '-');
    return text;
}

bool is_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        const bool hex =
            std::string_view("0123456789abcdefABCDEF").find(text[i]) != std::string_view::npos;
        if (dash ? text[i] != '-' : !hex) return false;
    }
    return true;
}

}  // namespace trailer
