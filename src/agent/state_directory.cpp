#include "agent/state_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

namespace trailer::agent {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHost = "host.json";
constexpr const char* kDesired = "desired_state.json";

void make_private(const fs::path& directory) {
    std::error_code error;
    if (fs::is_directory(directory, error)) return;
    if (directory.has_parent_path()) fs::create_directories(directory.parent_path(), error);
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
        throw Error(ErrorKind::internal,
                    "state directory {} can't be made: {}; name another with --state-directory",
                    directory.string(), std::system_category().message(errno));
    }
}

template <typename T>
std::optional<T> load(const fs::path& file) {
    try {
        return wire::from_json_text<T>(read_file(file));
    } catch (const Error& e) {
        // The parts of a faulty document are not shown: they may hold environment values.
        if (e.kind() == ErrorKind::invalid) {
            log::warning("{} is damaged and passed over; the server will tell it anew",
                         file.string());
        } else if (e.kind() != ErrorKind::not_found) {
            log::warning("{}", e.what());
        }
        return std::nullopt;
    }
}

}  // namespace

StateDirectory::StateDirectory(fs::path directory) : directory_(std::move(directory)) {
    make_private(directory_);
    const auto file = directory_ / "agent.lock";
    lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0) {
        throw Error(ErrorKind::internal,
                    "{}: {}; the agent must be able to write in its state directory", file.string(),
                    std::system_category().message(errno));
    }
    // flock: goes with the process, however it ends.
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
        const int why = errno;
        ::close(lock_);
        if (why != EWOULDBLOCK) {
            throw Error(ErrorKind::internal, "locking {}: {}", file.string(),
                        std::system_category().message(why));
        }
        auto holder = read_file(file);
        while (!holder.empty() && holder.back() == '\n') holder.pop_back();
        throw Error(ErrorKind::conflict,
                    "state directory {} is in use by another agent (process {}); stop that one, or "
                    "give this one a directory of its own with --state-directory",
                    directory_.string(), holder.empty() ? "unknown" : holder);
    }
    const auto pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(lock_, 0) != 0 ||
        ::pwrite(lock_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
        log::warning("{}: {}", file.string(), std::system_category().message(errno));
    }
}

StateDirectory::~StateDirectory() {
    ::close(lock_);
}

std::optional<HostRecord> StateDirectory::load_host() const {
    return load<HostRecord>(directory_ / kHost);
}

std::optional<protocol::DesiredState> StateDirectory::load_desired() const {
    return load<protocol::DesiredState>(directory_ / kDesired);
}

void StateDirectory::save_host(const std::string& text) const {
    write_file_atomically(directory_ / kHost, text, 0600);
}

void StateDirectory::save_desired(const std::string& text) const {
    write_file_atomically(directory_ / kDesired, text, 0600);
}

}  // namespace trailer::agent
