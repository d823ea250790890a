#include "client/session/raw_terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace trailer::client {

RawTerminal::RawTerminal(int descriptor) : descriptor_(descriptor) {
    if (::tcgetattr(descriptor_, &before_) != 0) {
        throw Error(ErrorKind::invalid, "the standard input is no terminal: {}",
                    std::strerror(errno));
    }
    make_raw();
}

void RawTerminal::make_raw() {
    auto raw = before_;
    ::cfmakeraw(&raw);
    raw_ = ::tcsetattr(descriptor_, TCSADRAIN, &raw) == 0;
}

void RawTerminal::restore() {
    if (!raw_) return;
    ::tcsetattr(descriptor_, TCSADRAIN, &before_);
    raw_ = false;
}

protocol::TerminalSize terminal_size(int descriptor) {
    winsize size{};
    if (::ioctl(descriptor, TIOCGWINSZ, &size) != 0) return {};
    return {.cols = size.ws_col, .rows = size.ws_row};
}

}  // namespace trailer::client
