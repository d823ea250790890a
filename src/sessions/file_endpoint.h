// The agent's own log as a session: a file that is written on, and now and then moved aside for a
// new one.
#pragma once

#include <filesystem>
#include <fstream>

#include "sessions/endpoint.h"

namespace trailer::sessions {

class FileEndpoint : public Endpoint {
  public:
    // `query`: follow and tail; its times are the lines' own. Throws not_found where there is no
    // such file.
    FileEndpoint(std::filesystem::path file, protocol::LogQuery query);

    Task<std::string> read() override;
    Task<> take(std::string message) override;

  private:
    void open();
    bool was_moved() const;

    std::filesystem::path file_;
    protocol::LogQuery query_;
    std::ifstream stream_;
    std::uint64_t inode_ = 0;
};

}  // namespace trailer::sessions
