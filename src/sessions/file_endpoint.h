// The agent's own log as a session: a file that is written on, and now and then moved aside for a
// new one (agent.log becomes agent.1.log).
//
// Each line begins with its time; one that does not goes on with the line before it.
#pragma once

#include <filesystem>
#include <fstream>

#include "base/time.h"
#include "sessions/endpoint.h"

namespace trailer::sessions {

class FileEndpoint : public Endpoint {
  public:
    // `query`: follow, tail, since and skip, so that who knows a part of it can go on from there.
    // Throws not_found where there is no such file, InvalidInput for a time that is none.
    FileEndpoint(std::filesystem::path file, protocol::LogQuery query);

    Task<std::string> read() override;
    Task<> take(std::string message) override;

  private:
    void open(const std::filesystem::path& file);
    void go_back_to_since();
    bool was_moved() const;
    bool is_wanted(std::string_view line);
    std::string whole_lines(bool to_the_end);

    std::filesystem::path file_;
    protocol::LogQuery query_;
    std::ifstream stream_;
    std::uint64_t inode_ = 0;
    std::string rest_;  // of a line whose end has not come
    // From when on is asked; nothing once all that comes is to be given.
    std::optional<Timestamp> since_;
    Timestamp line_time_{};
};

}  // namespace trailer::sessions
