#include "client/session/local_streams.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/buffer.h"

namespace trailer::client {
namespace {

constexpr std::size_t kPiece = 64 << 10;
constexpr int kStandardOutput = 1;

// How a call of the system ended.
struct Outcome {
    std::string data;
    int error = 0;
    bool stopped = false;
};

// Waits until `events` or trouble is on the descriptor; false when the thread has to end.
bool wait_for(int descriptor, short events, int stop) {
    std::array<pollfd, 2> polled{{{descriptor, events, 0}, {stop, POLLIN, 0}}};
    while (::poll(polled.data(), polled.size(), -1) < 0 && errno == EINTR) {
    }
    return polled[1].revents == 0;
}

// The descriptor may have been made non-blocking by whoever gave it to us.
bool must_wait(int error) {
    return error == EAGAIN || error == EWOULDBLOCK;
}

void read_once(int descriptor, std::size_t headroom, Outcome& outcome, int stop) {
    outcome.data = raw_string(headroom + kPiece);
    for (;;) {
        if (!wait_for(descriptor, POLLIN, stop)) {
            outcome.stopped = true;
            break;
        }
        const auto count = ::read(descriptor, outcome.data.data() + headroom, kPiece);
        if (count >= 0) {
            cut(outcome.data, headroom + static_cast<std::size_t>(count));
            return;
        }
        if (errno == EINTR || must_wait(errno)) continue;
        outcome.error = errno;
        break;
    }
    outcome.data.resize(headroom);
}

// 0, or why it can't be written.
int write_whole(int descriptor, std::string_view data, int stop) {
    while (!data.empty()) {
        const auto count = ::write(descriptor, data.data(), data.size());
        if (count >= 0) {
            data.remove_prefix(static_cast<std::size_t>(count));
        } else if (must_wait(errno)) {
            if (!wait_for(descriptor, POLLOUT, stop)) return ECANCELED;
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

// A terminal that has hung up, or an input that was never there: both have ended.
bool is_end(int error) {
    return error == EIO || error == EBADF;
}

}  // namespace

Task<std::string> LocalInput::read(std::size_t headroom) {
    auto outcome = std::make_shared<Outcome>();  // shared with work that may outlive this call
    IoThread::Work work = [descriptor = descriptor_, headroom, outcome](int stop) {
        read_once(descriptor, headroom, *outcome, stop);
    };
    co_await thread_.run(std::move(work));
    if (outcome->error != 0 && !is_end(outcome->error)) {
        throw Error(ErrorKind::invalid, "reading the standard input: {}",
                    std::strerror(outcome->error));
    }
    co_return std::move(outcome->data);
}

Task<> LocalOutput::write(std::vector<Piece> pieces) {
    auto failure = std::make_shared<int>(0);  // shared with work that may outlive this call
    IoThread::Work work = [pieces = std::move(pieces), failure](int stop) {
        for (const auto& piece : pieces) {
            const auto data = std::string_view(piece.data).substr(piece.from);
            const int error = write_whole(piece.descriptor, data, stop);
            if (error != 0 && piece.descriptor == kStandardOutput) {
                *failure = error;
                return;
            }
        }
    };
    co_await writer_.run(std::move(work));
    if (*failure == EPIPE) {
        throw OutputClosed(ErrorKind::invalid, "nobody reads the standard output");
    }
    if (*failure != 0) {
        throw Error(ErrorKind::invalid, "writing the standard output: {}", std::strerror(*failure));
    }
}

Task<> LocalOutput::wait_closed(int descriptor) {
    // No events: trouble is always told. Where there is no output at all nobody ever reads it.
    if (::fcntl(descriptor, F_GETFD) < 0) descriptor = -1;
    IoThread::Work work = [descriptor](int stop) { wait_for(descriptor, 0, stop); };
    co_await watcher_.run(std::move(work));
}

void LocalOutput::close(int descriptor) {
    // Not closed: the number would be given to the next file that is opened.
    const int nothing = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nothing < 0) return;
    ::dup2(nothing, descriptor);
    ::close(nothing);
}

}  // namespace trailer::client
