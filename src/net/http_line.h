// The client's end of one HTTP/1.1 connection over any byte stream: requests and their answers, one
// after another, bodies piece by piece both ways. For a proxy, which adds nothing of its own.
//
// The request's body may be written while its answer is read, by another coroutine. One thread.
// Errors: Error(unavailable) when the connection ends before the answer does or what comes is no
// HTTP; what the stream throws. No deadlines: abort() ends what is under way.
#pragma once

#include <memory>
#include <optional>

#include "net/byte_stream.h"
#include "net/http.h"

namespace trailer::net {

class HttpLine {
  public:
    explicit HttpLine(std::unique_ptr<ByteStream> stream);
    ~HttpLine();
    HttpLine(const HttpLine&) = delete;
    HttpLine& operator=(const HttpLine&) = delete;

    // How the request's body goes: not at all, of a length that is known, or in chunks.
    struct Framing {
        enum class Kind { none, sized, chunked };
        Kind kind = Kind::none;
        std::uint64_t length = 0;  // sized
    };

    // Writes the head as it is given, and the field that tells the framing.
    Task<> begin(const Request& head, Framing framing);  // head: until it returns
    Task<> write(std::string piece);                     // of the body
    Task<> finish();                                     // after the last piece

    // The answer's head; interim ones (1xx, but not 101) are passed over.
    Task<Response> read_head();
    // The next piece of the answer's body; "" at its end.
    Task<std::string> read();

    bool has_waiting() const;  // read() gives a piece at once
    bool heard() const;        // anything of the answer to the request under way
    bool reusable() const;     // request and answer are whole, and the peer keeps the connection
    void abort();
    // After 101: the stream, beginning with what came together with the head.
    std::unique_ptr<ByteStream> take_over();

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace trailer::net
