#include "net/trunk_frame.h"

#include <boost/endian/conversion.hpp>

#include "base/error.h"

namespace trailer::net {
namespace {

constexpr std::size_t kNumber = 4;

std::uint32_t number_at(std::string_view bytes, std::size_t place) {
    return boost::endian::load_big_u32(reinterpret_cast<const unsigned char*>(&bytes[place]));
}

void append_head(std::string& to, TrunkKind kind, std::uint32_t line, std::uint32_t size) {
    unsigned char head[kTrunkHead];
    head[0] = static_cast<unsigned char>(kind);
    boost::endian::store_big_u32(head + 1, line);
    boost::endian::store_big_u32(head + 1 + kNumber, size);
    to.append(reinterpret_cast<const char*>(head), sizeof head);
}

}  // namespace

std::optional<TrunkFrame> next_frame(std::string_view& bytes) {
    if (bytes.empty()) return std::nullopt;
    if (bytes.size() < kTrunkHead) {
        throw Error(ErrorKind::unavailable, "a trunk's frame is cut off in its head");
    }
    const auto kind = static_cast<unsigned char>(bytes[0]);
    if (kind > static_cast<unsigned char>(TrunkKind::reset)) {
        throw Error(ErrorKind::unavailable, "a trunk's frame of the unknown kind {}", kind);
    }
    TrunkFrame frame{.kind = static_cast<TrunkKind>(kind), .line = number_at(bytes, 1)};
    const auto size = number_at(bytes, 1 + kNumber);
    bytes.remove_prefix(kTrunkHead);
    if (frame.kind == TrunkKind::credit) {
        frame.credit = size;
        return frame;
    }
    if (size > bytes.size()) {
        throw Error(ErrorKind::unavailable, "a trunk's frame of {} bytes is cut off", size);
    }
    frame.payload = bytes.substr(0, size);
    bytes.remove_prefix(size);
    return frame;
}

void append_frame(std::string& to, TrunkKind kind, std::uint32_t line, std::string_view payload) {
    append_head(to, kind, line, static_cast<std::uint32_t>(payload.size()));
    to += payload;
}

void append_credit(std::string& to, std::uint32_t line, std::uint32_t credit) {
    append_head(to, TrunkKind::credit, line, credit);
}

}  // namespace trailer::net
