// A peer's bytes as a WebSocket reads them: heads of frames, masks, closes. Whatever comes is read
// or refused with a code that may be sent; a head that is read stands in as few bytes as it says,
// and what we write of it is read as the same.
#include "must_be.h"
#include "net/websocket_frame.h"

namespace {

using namespace trailer;
using namespace trailer::net;

void check_head(const FrameHead& head, std::string_view bytes) {
    must_be(head.size <= kMostHead && head.size <= bytes.size(), "a head beyond its bytes");
    must_be(!read_frame_head(bytes.substr(0, head.size - 1)),
            "a head that is read before it is whole");
    must_be(head.length >> 63U == 0, "a length that does not fit");
    if (!head.last) return;
    const auto written = frame_head(head.opcode, head.length, head.key);
    const auto again = read_frame_head(written);
    must_be(again && again->opcode == head.opcode && again->length == head.length &&
                again->key == head.key && again->size == written.size(),
            "what is written is read as something else");
}

void check_payload(const FrameHead& head, std::string payload) {
    if (head.key) {
        const auto before = payload;
        apply_mask(payload.data(), payload.size(), *head.key);
        auto twice = payload;
        apply_mask(twice.data(), twice.size(), *head.key);
        must_be(twice == before, "a mask that does not undo itself");
    }
    if (head.opcode == Opcode::close && payload.size() == head.length) read_close(payload);
    if (head.opcode == Opcode::text) is_utf8(payload);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    try {
        while (const auto head = read_frame_head(rest)) {
            check_head(*head, rest);
            rest.remove_prefix(head->size);
            const auto have = std::min<std::uint64_t>(head->length, rest.size());
            check_payload(*head, std::string(rest.substr(0, have)));
            rest.remove_prefix(have);
        }
    } catch (const FrameFault& fault) {
        const auto code = fault.close_code();
        must_be(code == kProtocolError || code == kBadPayload || code == kTooBig,
                "refused with a code that may not be sent");
    }
    return 0;
}
