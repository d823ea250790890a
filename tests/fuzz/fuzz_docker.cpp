// What an engine answers: its JSON into our values, its stream of progress and events, its errors.
// An engine that lies may make a call fail; it may not bring the agent down.
#include "base/error.h"
#include "runtime/docker/codec.h"

namespace {

using namespace trailer;
using namespace trailer::runtime;

template <typename Decode>
void decode(Decode decode_as, const boost::json::value& value) {
    try {
        (void)decode_as(value);
    } catch (const std::exception&) {  // told as the failure of the call
    }
}

void decode_line(std::string_view line) {
    boost::system::error_code error;
    const auto value = boost::json::parse(line, error);
    if (error) return;
    decode(docker::container_from, value);
    decode(docker::network_from, value);
    decode(docker::volume_from, value);
    decode(docker::image_from, value);
    decode(docker::image_from_list, value);
    decode(docker::event_from, value);
    decode(docker::progress_from, value);
    decode([](const auto& each) { return docker::info_from(each, each); }, value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(data, data + size);
    decode_line(text);
    docker::LineSplitter lines;
    const auto half = text.size() / 2;
    lines.feed(std::string_view(text).substr(0, half), decode_line);
    lines.feed(std::string_view(text).substr(half), decode_line);
    try {
        docker::throw_engine_error(size > 0 ? 400 + data[0] : 500, text, "trying");
    } catch (const std::exception&) {  // what it is for
    }
    return 0;
}
