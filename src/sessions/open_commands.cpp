#include "sessions/open_commands.h"

#include <fstream>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

namespace trailer::sessions {

namespace fs = std::filesystem;

OpenCommands::OpenCommands(fs::path directory) : directory_(std::move(directory)) {
    if (directory_.empty()) return;
    std::error_code error;
    fs::create_directories(directory_, error);
    fs::permissions(directory_, fs::perms::owner_all, error);
}

void OpenCommands::note(const std::string& session, const std::string& container_id) {
    if (directory_.empty()) return;
    std::ofstream file(directory_ / session, std::ios::binary | std::ios::trunc);
    file << container_id;
    file.flush();
    if (file || std::exchange(told_, true)) return;
    log::warning("{}: can't be written: commands of sessions outlive this agent where it is killed",
                 (directory_ / session).string());
}

void OpenCommands::forget(const std::string& session) {
    if (directory_.empty()) return;
    std::error_code error;  // where it was not noted there is nothing to be removed
    fs::remove(directory_ / session, error);
}

std::vector<OpenCommands::Command> OpenCommands::all() const {
    std::vector<Command> commands;
    std::error_code error;
    for (const auto& each : fs::directory_iterator(directory_, error)) {
        try {
            commands.push_back({each.path().filename().string(), read_file(each.path())});
        } catch (const Error& e) {
            log::warning("a command that may have been left running: {}", describe(e));
        }
    }
    return commands;
}

}  // namespace trailer::sessions
