// A peer's bytes as a trunk reads them: frames, one behind the other. Whatever comes is read or
// refused; what is read is written as the same bytes again.
#include "base/error.h"
#include "must_be.h"
#include "net/trunk_frame.h"

using namespace trailer;
using namespace trailer::net;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    try {
        for (auto before = rest; const auto frame = next_frame(rest); before = rest) {
            std::string again;
            if (frame->kind == TrunkKind::credit) {
                append_credit(again, frame->line, frame->credit);
            } else {
                append_frame(again, frame->kind, frame->line, frame->payload);
            }
            must_be(before.substr(0, before.size() - rest.size()) == again,
                    "what is read is written as something else");
        }
        must_be(rest.empty(), "an end before the end");
    } catch (const Error& e) {
        must_be(e.kind() == ErrorKind::unavailable, "refused as something else");
    }
    return 0;
}
