// What an engine answers: its JSON into our values, its stream of progress and events, its errors.
// An engine that lies may make a call fail; it may not bring the agent down.
#include "base/error.h"
#include "runtime/docker/codec.h"
#include "runtime/docker/output_frames.h"

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

// Whatever is given was among what came.
void split_output(const std::string& text, bool tty) {
    try {
        docker::LogEntries entries(tty);
        std::size_t given = 0;
        const auto count = [&](std::span<const LogEntry> list) {
            for (const auto& each : list) given += each.time.size() + each.text.size();
        };
        const auto third = text.size() / 3;
        count(entries.feed(text.substr(0, third)));
        count(entries.feed(text.substr(third)));
        count(entries.finish());
        if (given > text.size()) std::abort();
        docker::OutputFrames frames(tty);
        frames.feed(text.substr(0, third));
        frames.feed(text.substr(third));
    } catch (const Error&) {  // no such stream
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(data, data + size);
    decode_line(text);
    split_output(text, false);
    split_output(text, true);
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
