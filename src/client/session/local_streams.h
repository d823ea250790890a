// The process's own standard input and output, as coroutines read and write them.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "client/session/io_thread.h"

namespace trailer::client {

class LocalInput {
  public:
    LocalInput(asio::any_io_executor executor, int descriptor)
        : thread_(std::move(executor)), descriptor_(descriptor) {}

    // The next piece, with `headroom` bytes free before it; nothing but those at the end. A piece
    // that was read and not given, because its caller was cancelled, is lost. Throws Error.
    Task<std::string> read(std::size_t headroom = 0);

  private:
    IoThread thread_;
    int descriptor_;
};

// Nobody reads what is written: `trailer logs dev | head -1`.
class OutputClosed : public Error {
  public:
    using Error::Error;
};

class LocalOutput {
  public:
    struct Piece {
        int descriptor = 1;
        std::string data;
        std::size_t from = 0;  // of the data
    };

    explicit LocalOutput(asio::any_io_executor executor)
        : writer_(executor), watcher_(std::move(executor)) {}

    // Returns when all of it is written. Throws OutputClosed when nobody reads the standard output,
    // and Error where it can't be written (a full disk). Nobody reading the standard error is no
    // failure.
    Task<> write(std::vector<Piece> pieces);
    // Returns when nobody reads `descriptor` any more; a file has a reader for ever.
    Task<> wait_closed(int descriptor);
    static void close(int descriptor);

  private:
    IoThread writer_;
    IoThread watcher_;
};

}  // namespace trailer::client
