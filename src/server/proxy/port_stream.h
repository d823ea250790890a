// One TCP connection to a port of a workspace, over a session with its host, as a byte stream.
//
// Reads ahead, so that the end of a connection that rests is seen at once. Memory: two messages.
// The session goes back when the stream goes. One thread.
#pragma once

#include <memory>

#include "net/byte_stream.h"
#include "server/hub/session_desk.h"
#include "server/service/audit.h"

namespace trailer::server::proxy {

class PortStream : public net::ByteStream {
  public:
    PortStream(const asio::any_io_executor& executor, std::unique_ptr<SessionDesk::Lease> lease);
    ~PortStream() override;
    PortStream(const PortStream&) = delete;
    PortStream& operator=(const PortStream&) = delete;

    Task<std::string> read() override;
    Task<> write(std::string data) override;
    void shutdown_write() override {}  // a raw port has no half-close: the end is the whole's
    void abort() override;

    // Whose bytes those are that pass from now on.
    void count_for(std::shared_ptr<AuditLog::Session> session) { session_ = std::move(session); }

    // While it rests nothing may come: whatever does ends it.
    void rest(bool resting);
    bool alive() const;
    bool on_trunk() const;  // while it is alive

  private:
    struct Line;
    static Task<> listen(std::shared_ptr<Line> line);

    std::shared_ptr<Line> line_;                  // shared with listen()
    std::shared_ptr<AuditLog::Session> session_;  // shared with the visit's other requests
};

}  // namespace trailer::server::proxy
