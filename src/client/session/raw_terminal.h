// A terminal that passes on every key as it is, and is as it was before when this goes.
#pragma once

#include <termios.h>

#include "protocol/session.h"

namespace trailer::client {

class RawTerminal {
  public:
    // Throws Error where the descriptor is no terminal.
    explicit RawTerminal(int descriptor);
    ~RawTerminal() { restore(); }
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

    void restore();
    void make_raw();

  private:
    int descriptor_;
    termios before_{};
    bool raw_ = false;
};

// {0, 0} where it is not known.
protocol::TerminalSize terminal_size(int descriptor);

}  // namespace trailer::client
