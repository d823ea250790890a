#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/crypto.h"
#include "base/error.h"

namespace trailer {
namespace {

[[noreturn]] void fail(const char* doing, const std::filesystem::path& file, int error) {
    throw Error(error == ENOENT ? ErrorKind::not_found : ErrorKind::internal, "{} {}: {}", doing,
                file.string(), std::system_category().message(error));
}

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }

  private:
    int fd_;
};

void make_private_directories(const std::filesystem::path& directory) {
    if (directory.empty() || std::filesystem::exists(directory)) return;
    make_private_directories(directory.parent_path());
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
        fail("creating directory", directory, errno);
    }
}

}  // namespace

std::string read_file(const std::filesystem::path& file) {
    const Descriptor input(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (input.get() < 0) fail("reading", file, errno);
    std::string content;
    char buffer[16384];
    for (;;) {
        const auto count = ::read(input.get(), buffer, sizeof buffer);
        if (count > 0) {
            content.append(buffer, static_cast<std::size_t>(count));
        } else if (count == 0) {
            return content;
        } else if (errno != EINTR) {
            fail("reading", file, errno);
        }
    }
}

void write_file_atomically(const std::filesystem::path& file, std::string_view content,
                           mode_t mode) {
    make_private_directories(file.parent_path());
    const std::filesystem::path beside = file.string() + "." + to_hex(random_bytes(6)) + ".tmp";
    {
        const Descriptor output(
            ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
        if (output.get() < 0) fail("writing", beside, errno);
        const auto abandon = [&](int error) {
            ::unlink(beside.c_str());
            fail("writing", file, error);
        };
        if (::fchmod(output.get(), mode) != 0) abandon(errno);
        for (std::string_view rest = content; !rest.empty();) {
            const auto count = ::write(output.get(), rest.data(), rest.size());
            if (count >= 0) {
                rest.remove_prefix(static_cast<std::size_t>(count));
            } else if (errno != EINTR) {
                abandon(errno);
            }
        }
        if (::fsync(output.get()) != 0) abandon(errno);
    }
    if (::rename(beside.c_str(), file.c_str()) != 0) {
        const int error = errno;
        ::unlink(beside.c_str());
        fail("replacing", file, error);
    }
    const Descriptor directory(::open(file.has_parent_path() ? file.parent_path().c_str() : ".",
                                      O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.get() >= 0) ::fsync(directory.get());
}

}  // namespace trailer
