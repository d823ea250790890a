// The agent's own log as a session: a file that is written on, and now and then moved aside for a
// new one (agent.log becomes agent.1.log, that agent.2.log). What is asked for may begin in any of
// them.
//
// Each line begins with its time, whether that is asked for or not; one that does not goes on with
// the line before it.
#pragma once

#include <filesystem>
#include <fstream>

#include "base/time.h"
#include "sessions/endpoint.h"

namespace trailer::sessions {

class FileEndpoint : public Endpoint {
  public:
    // `query`: follow, tail, since, until and skip, so that who knows a part of it can go on from
    // there. Throws not_found where there is no such file, InvalidInput for a time that is none.
    FileEndpoint(std::filesystem::path file, protocol::LogQuery query);

    Task<std::string> read() override;
    Task<> take(std::string message) override;

  private:
    void open(const std::filesystem::path& file);
    void open_at(Timestamp since);
    void open_at_last(std::int64_t lines);
    std::vector<std::filesystem::path> generations() const;
    std::optional<std::filesystem::path> successor() const;
    bool is_wanted(std::string_view line);
    std::string whole_lines(bool to_the_end);

    std::filesystem::path file_;
    protocol::LogQuery query_;
    std::ifstream stream_;
    std::uint64_t inode_ = 0;
    std::string rest_;  // of a line whose end has not come
    // From when on is asked; nothing once all that comes is to be given.
    std::optional<Timestamp> since_;
    std::optional<Timestamp> until_;
    bool over_ = false;  // what comes now is later than was asked for
    Timestamp line_time_{};
};

}  // namespace trailer::sessions
