#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "config/config.h"

namespace trailer::config {
namespace {

// Empty where none is known. Containers and systemd units may run without HOME.
std::filesystem::path home_directory() {
    if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') return home;
    std::vector<char> buffer(16384);
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
        found != nullptr && found->pw_dir != nullptr && *found->pw_dir == '/') {
        return found->pw_dir;
    }
    return {};
}

// XDG Base Directory Specification: a path that is not absolute is to be ignored.
std::filesystem::path xdg_directory(const char* variable, const char* below_home,
                                    const char* what) {
    if (const char* value = std::getenv(variable); value != nullptr && *value == '/') {
        return std::filesystem::path(value) / "trailer.dev";
    }
    const auto home = home_directory();
    if (home.empty()) {
        throw Error(ErrorKind::invalid,
                    "no default place for {}: neither {} nor HOME is set to an absolute path; set "
                    "one of them, or name the file and directories by flags",
                    what, variable);
    }
    return home / below_home / "trailer.dev";
}

}  // namespace

std::filesystem::path config_directory() {
    return xdg_directory("XDG_CONFIG_HOME", ".config", "the configuration file");
}

std::filesystem::path state_directory() {
    return xdg_directory("XDG_STATE_HOME", ".local/state", "the logs and the agent's key");
}

std::filesystem::path default_config_file() {
    return config_directory() / "config.yml";
}

}  // namespace trailer::config
