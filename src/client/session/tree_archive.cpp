#include "client/session/tree_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/error.h"

namespace trailer::client {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = 64 << 10;

using Writer = std::unique_ptr<archive, decltype(&archive_write_free)>;
using Entry = std::unique_ptr<archive_entry, decltype(&archive_entry_free)>;

la_ssize_t append(archive*, void* out, const void* data, std::size_t size) {
    static_cast<std::string*>(out)->append(static_cast<const char*>(data), size);
    return static_cast<la_ssize_t>(size);
}

[[noreturn]] void fail(std::string_view doing, const fs::path& path, int error) {
    throw Error(ErrorKind::invalid, "{} {}: {}", doing, path.string(), std::strerror(error));
}

struct stat status_of(const fs::path& path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) fail("reading", path, errno);
    return status;
}

class File {
  public:
    explicit File(const fs::path& path)
        : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) {
        if (descriptor_ < 0) fail("opening", path, errno);
    }
    ~File() { ::close(descriptor_); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int get() const { return descriptor_; }

  private:
    int descriptor_;
};

}  // namespace

class TreeArchive::Impl {
  public:
    Impl(fs::path source, std::string name)
        : source_(std::move(source)),
          name_(std::move(name)),
          writer_(nullptr, &archive_write_free) {
        status_of(source_);
        writer_.reset(archive_write_new());
        // GNU's long names, which busybox reads too: it knows nothing of pax.
        check(archive_write_set_format_gnutar(writer_.get()));
        check(archive_write_set_bytes_in_last_block(writer_.get(), 1));
        check(archive_write_open(writer_.get(), &out_, nullptr, &append, nullptr));
    }

    std::string next() {
        while (out_.size() < kPiece && !closed_) advance();
        return std::exchange(out_, {});
    }

    const std::vector<std::string>& left_out() const { return left_out_; }

  private:
    void advance() {
        if (file_) return copy_some();
        if (!begun_) {
            begun_ = true;
            const bool is_directory = S_ISDIR(status_of(source_).st_mode);
            // What is put into a directory that is there leaves its mode and time alone.
            if (!is_directory || name_ != ".") add(source_, name_);
            if (is_directory) walk_ = fs::recursive_directory_iterator(source_);
            return;
        }
        if (walk_ != fs::recursive_directory_iterator()) {
            const auto path = walk_->path();
            add(path, (fs::path(name_) / path.lexically_relative(source_)).string());
            step();
            return;
        }
        check(archive_write_close(writer_.get()));
        closed_ = true;
    }

    void step() {
        std::error_code error;
        walk_.increment(error);
        if (error) fail("reading", source_, error.value());
    }

    void add(const fs::path& path, const std::string& name) {
        const auto status = status_of(path);
        if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode) && !S_ISLNK(status.st_mode)) {
            left_out_.push_back(path.string());
            return;
        }
        const Entry entry(archive_entry_new(), &archive_entry_free);
        archive_entry_set_pathname(entry.get(), name.c_str());
        archive_entry_set_filetype(entry.get(), status.st_mode & S_IFMT);
        archive_entry_set_perm(entry.get(), status.st_mode & 07777U);
        archive_entry_set_mtime(entry.get(), status.st_mtim.tv_sec, 0);
        archive_entry_set_size(entry.get(), 0);
        if (S_ISLNK(status.st_mode)) {
            archive_entry_set_symlink(entry.get(), fs::read_symlink(path).c_str());
        }
        if (S_ISREG(status.st_mode)) {
            file_.emplace(path);
            path_ = path;
            left_ = static_cast<std::uint64_t>(status.st_size);
            archive_entry_set_size(entry.get(), status.st_size);
        }
        check(archive_write_header(writer_.get(), entry.get()));
    }

    void copy_some() {
        if (left_ == 0) return file_.reset();
        buffer_.resize(std::min<std::uint64_t>(left_, kPiece));
        const auto count = ::read(file_->get(), buffer_.data(), buffer_.size());
        if (count < 0 && errno == EINTR) return;
        if (count < 0) fail("reading", path_, errno);
        if (count == 0) {
            throw Error(ErrorKind::conflict, "{} became shorter while it was read", path_.string());
        }
        const auto size = static_cast<std::size_t>(count);
        if (archive_write_data(writer_.get(), buffer_.data(), size) < 0) check(ARCHIVE_FATAL);
        left_ -= size;
    }

    void check(int result) {
        if (result == ARCHIVE_OK || result == ARCHIVE_WARN) return;
        const char* why = archive_error_string(writer_.get());
        throw Error(ErrorKind::invalid, "packing {}: {}", source_.string(),
                    why != nullptr ? why : "unknown");
    }

    fs::path source_;
    std::string name_;
    Writer writer_;
    std::string out_;
    fs::recursive_directory_iterator walk_;
    std::optional<File> file_;  // the one that is being copied
    fs::path path_;
    std::uint64_t left_ = 0;
    std::string buffer_;
    std::vector<std::string> left_out_;
    bool begun_ = false;
    bool closed_ = false;
};

TreeArchive::TreeArchive(fs::path source, std::string name)
    : impl_(std::make_unique<Impl>(std::move(source), std::move(name))) {}
TreeArchive::~TreeArchive() = default;

std::string TreeArchive::next() {
    return impl_->next();
}

const std::vector<std::string>& TreeArchive::left_out() const {
    return impl_->left_out();
}

}  // namespace trailer::client
