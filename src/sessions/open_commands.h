// Which commands of sessions run, noted where an agent that is started anew finds it: nobody takes
// those of an agent that was killed up again, and the engine leaves them running (moby/moby#9994).
//
// A file for each, called as the session, that holds the container's id. One thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace trailer::sessions {

class OpenCommands {
  public:
    // Empty: nothing is noted. Where the directory can't be written the log says so, once.
    explicit OpenCommands(std::filesystem::path directory);

    void note(const std::string& session, const std::string& container_id);
    void forget(const std::string& session);

    struct Command {
        std::string session;
        std::string container_id;
    };
    std::vector<Command> all() const;

  private:
    std::filesystem::path directory_;
    bool told_ = false;
};

}  // namespace trailer::sessions
