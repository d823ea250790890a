#include "sessions/process_endpoint.h"

#include "base/error.h"
#include "base/log.h"
#include "sessions/process_tree.h"

namespace trailer::sessions {

using namespace std::chrono_literals;
using protocol::Channel;

ProcessEndpoint::ProcessEndpoint(runtime::ContainerRuntime& runtime,
                                 std::unique_ptr<runtime::ProcessStream> stream,
                                 std::optional<CommandMark> mark)
    : runtime_(runtime), stream_(std::move(stream)), mark_(std::move(mark)) {}

Task<std::string> ProcessEndpoint::read() {
    auto piece = co_await stream_->read();
    if (!piece.data.empty()) {
        const auto channel = piece.errors ? Channel::errors : Channel::output;
        piece.data.insert(0, 1, static_cast<char>(channel));
        co_return std::move(piece.data);
    }
    protocol::SessionEnd end;
    end.exit_code = co_await wait_for_exit_code();
    ended_ = true;
    co_return protocol::end_message(end);
}

// The output ends a moment before the engine has noted how the process ended; and a command may
// close its output and go on.
Task<std::optional<int>> ProcessEndpoint::wait_for_exit_code() {
    auto pause = 2ms;
    for (;;) {
        const auto code = co_await stream_->exit_code();
        if (code || !mark_) co_return code;
        co_await aio::sleep(pause);
        pause = std::min(pause * 2, 250ms);
    }
}

Task<> ProcessEndpoint::take(std::string message) {
    switch (protocol::channel_of(message)) {
        case Channel::input:
            message.erase(0, 1);
            if (!message.empty()) co_await stream_->write(std::move(message));
            co_return;
        case Channel::resize: {
            const auto size =
                wire::from_json_text<protocol::TerminalSize>(protocol::data_of(message));
            if (!stream_->tty() || size.cols == 0 || size.rows == 0) co_return;
            try {
                co_await stream_->resize(size);
            } catch (const Error& e) {
                log::debug("resizing a session's terminal: {}", describe(e));
            }
            co_return;
        }
        case Channel::close:
            if (!stream_->tty()) {
                stream_->close_input();
                co_return;
            }
            message.assign(1, '\x04');  // EOT: how a terminal's input ends
            co_await stream_->write(std::move(message));
            co_return;
        default:
            throw InvalidInput("", "a process takes input, a resize or a close");
    }
}

void ProcessEndpoint::let_go() {
    if (mark_) mark_->noted->forget(mark_->session);
    mark_.reset();
}

Task<> ProcessEndpoint::terminate() {
    if (!mark_) co_return;
    if (!ended_) co_await end_command();
    mark_->noted->forget(mark_->session);
}

Task<> ProcessEndpoint::end_command() {
    try {
        const auto process = co_await stream_->process_id();
        const ProcessTree tree(mark_->proc, mark_->container_id, mark_->session);
        const bool ended = process > 0 && co_await tree.end(process, stream_->tty());
        if (!ended) co_await end_from_within(runtime_, mark_->container_id, mark_->session);
    } catch (const std::exception& e) {
        log::warning("ending what a session had started: {}", describe(e));
    }
}

}  // namespace trailer::sessions
