#include "client/session/tree_extraction.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <ranges>
#include <utility>

#include "base/error.h"

namespace trailer::client {
namespace {

using Parts = std::vector<std::string>;

constexpr std::size_t kBlock = 64 << 10;
constexpr mode_t kModes = 0777;  // setuid of someone else's root is not for this machine

// An open file or directory.
class Handle {
  public:
    explicit Handle(int descriptor) : descriptor_(descriptor) {}
    Handle(Handle&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    Handle& operator=(Handle&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~Handle() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    int get() const { return descriptor_; }
    bool valid() const { return descriptor_ >= 0; }

  private:
    int descriptor_;
};

std::string joined(const Parts& parts) {
    std::string text;
    for (const auto& part : parts) text += (text.empty() ? "" : "/") + part;
    return text;
}

[[noreturn]] void fail(std::string_view doing, const Parts& parts, int error) {
    throw Error(ErrorKind::invalid, "{} {}: {}", doing, joined(parts), std::strerror(error));
}

// Without "." and empty parts. Throws for what would lead elsewhere.
Parts split(const std::string& path) {
    Parts parts;
    bool escapes = path.starts_with('/') || path.empty();
    std::size_t begin = 0;
    while (begin <= path.size() && !escapes) {
        const auto end = std::min(path.find('/', begin), path.size());
        auto part = path.substr(begin, end - begin);
        begin = end + 1;
        if (part == "..") escapes = true;
        if (!part.empty() && part != ".") parts.push_back(std::move(part));
    }
    if (escapes) {
        throw Error(ErrorKind::invalid, "refused: the archive has an entry for \"{}\"", path);
    }
    return parts;
}

class Extraction {
  public:
    Extraction(const std::function<std::string()>& source, const ExtractionTarget& target)
        : source_(source),
          target_(target),
          root_(::open(target.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
          reader_(archive_read_new(), &archive_read_free) {
        if (!root_.valid()) fail("opening", {target.directory.string()}, errno);
        check(archive_read_support_format_tar(reader_.get()));
        check(archive_read_open(reader_.get(), this, nullptr, &Extraction::read, nullptr));
    }

    Extracted run() {
        archive_entry* entry = nullptr;
        for (;;) {
            const int result = archive_read_next_header(reader_.get(), &entry);
            if (failure_) std::rethrow_exception(failure_);
            if (result == ARCHIVE_EOF) break;
            check(result);
            take(entry);
            ++extracted_.entries;
        }
        finish_directories();
        return std::move(extracted_);
    }

  private:
    struct Directory {
        Parts parts;
        mode_t mode;
        timespec time;
    };

    static la_ssize_t read(archive* reader, void* self, const void** data) {
        auto& extraction = *static_cast<Extraction*>(self);
        try {
            extraction.block_ = extraction.source_();
        } catch (...) {
            // Not through C.
            extraction.failure_ = std::current_exception();
            archive_set_error(reader, EIO, "the archive ended early");
            return ARCHIVE_FATAL;
        }
        *data = extraction.block_.data();
        return static_cast<la_ssize_t>(extraction.block_.size());
    }

    void check(int result) {
        if (failure_) std::rethrow_exception(failure_);
        if (result == ARCHIVE_OK || result == ARCHIVE_WARN) return;
        const char* why = archive_error_string(reader_.get());
        throw Error(ErrorKind::invalid, "reading the archive: {}",
                    why != nullptr ? why : "unknown");
    }

    // Where an entry goes, beneath the root.
    Parts place_of(const char* path, const char* utf8) const {
        const char* known = path != nullptr ? path : utf8;
        if (known == nullptr)
            throw Error(ErrorKind::invalid, "an entry of the archive has no name");
        auto parts = split(known);
        if (target_.expected == ".") return parts;
        if (parts.empty() || parts.front() != target_.expected) {
            throw Error(ErrorKind::invalid, "refused: the archive has an entry for \"{}\"", known);
        }
        parts.front() = target_.name;
        return parts;
    }

    void take(archive_entry* entry) {
        const auto parts =
            place_of(archive_entry_pathname(entry), archive_entry_pathname_utf8(entry));
        const char* link = archive_entry_hardlink(entry);
        if (link == nullptr) link = archive_entry_hardlink_utf8(entry);
        if (link != nullptr) return make_hard_link(parts, place_of(link, nullptr));
        switch (archive_entry_filetype(entry)) {
            case AE_IFREG:
                return make_file(parts, entry);
            case AE_IFDIR:
                return make_directory(parts, entry);
            case AE_IFLNK:
                return make_symbolic_link(parts, entry);
            default:
                extracted_.left_out.push_back(joined(parts));
        }
    }

    // The directory that holds the last of the parts; made where it is not there.
    Handle open_parent(const Parts& parts) const {
        if (parts.empty()) throw Error(ErrorKind::invalid, "an entry of the archive has no name");
        return open_directory({parts.begin(), parts.end() - 1});
    }

    Handle open_directory(const Parts& parts) const {
        Handle at(::dup(root_.get()));
        if (!at.valid()) fail("opening", parts, errno);
        for (const auto& part : parts) {
            if (::mkdirat(at.get(), part.c_str(), 0700) != 0 && errno != EEXIST) {
                fail("making the directory", parts, errno);
            }
            // O_NOFOLLOW: a link may come from the same archive, and lead anywhere.
            const int next =
                ::openat(at.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (next < 0) fail("opening the directory", parts, errno);
            at = Handle(next);
        }
        return at;
    }

    void clear_place(const Handle& parent, const Parts& parts) const {
        if (::unlinkat(parent.get(), parts.back().c_str(), 0) != 0 && errno != ENOENT) {
            fail("replacing", parts, errno);
        }
    }

    static timespec time_of(archive_entry* entry) {
        return {.tv_sec = archive_entry_mtime(entry), .tv_nsec = archive_entry_mtime_nsec(entry)};
    }

    void make_file(const Parts& parts, archive_entry* entry) {
        const auto parent = open_parent(parts);
        clear_place(parent, parts);
        const Handle file(::openat(parent.get(), parts.back().c_str(),
                                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file.valid()) fail("making", parts, errno);
        copy_data(file, parts);
        const std::array times{time_of(entry), time_of(entry)};
        if (::fchmod(file.get(), archive_entry_perm(entry) & kModes) != 0 ||
            ::futimens(file.get(), times.data()) != 0) {
            fail("setting the mode of", parts, errno);
        }
    }

    void copy_data(const Handle& file, const Parts& parts) {
        std::array<char, kBlock> buffer;
        for (;;) {
            const auto count = archive_read_data(reader_.get(), buffer.data(), buffer.size());
            if (count < 0) check(static_cast<int>(count));
            if (count <= 0) return;
            std::string_view rest(buffer.data(), static_cast<std::size_t>(count));
            while (!rest.empty()) {
                const auto written = ::write(file.get(), rest.data(), rest.size());
                if (written < 0 && errno == EINTR) continue;
                if (written < 0) fail("writing", parts, errno);
                rest.remove_prefix(static_cast<std::size_t>(written));
            }
        }
    }

    // Its mode comes last: it may be one in which nothing can be made.
    void make_directory(const Parts& parts, archive_entry* entry) {
        open_directory(parts);
        if (parts.empty()) return;  // the target itself: it is the person's own
        directories_.push_back({parts, archive_entry_perm(entry) & kModes, time_of(entry)});
    }

    void make_symbolic_link(const Parts& parts, archive_entry* entry) {
        const char* to = archive_entry_symlink(entry);
        if (to == nullptr) to = archive_entry_symlink_utf8(entry);
        if (to == nullptr) {
            throw Error(ErrorKind::invalid, "the link {} leads nowhere", joined(parts));
        }
        const auto parent = open_parent(parts);
        clear_place(parent, parts);
        if (::symlinkat(to, parent.get(), parts.back().c_str()) != 0) {
            fail("making the link", parts, errno);
        }
    }

    void make_hard_link(const Parts& parts, const Parts& to) {
        const auto from_parent = open_parent(to);
        const auto parent = open_parent(parts);
        clear_place(parent, parts);
        if (::linkat(from_parent.get(), to.back().c_str(), parent.get(), parts.back().c_str(), 0) !=
            0) {
            fail("making the link", parts, errno);
        }
    }

    void finish_directories() {
        for (const auto& each : std::views::reverse(directories_)) {
            const auto directory = open_directory(each.parts);
            const std::array times{each.time, each.time};
            if (::fchmod(directory.get(), each.mode) != 0 ||
                ::futimens(directory.get(), times.data()) != 0) {
                fail("setting the mode of", each.parts, errno);
            }
        }
    }

    const std::function<std::string()>& source_;
    const ExtractionTarget& target_;
    Handle root_;
    std::string block_;
    std::exception_ptr failure_;  // of the source
    std::vector<Directory> directories_;
    Extracted extracted_;
    std::unique_ptr<archive, decltype(&archive_read_free)> reader_;
};

}  // namespace

Extracted extract_tree(const std::function<std::string()>& source, const ExtractionTarget& target) {
    return Extraction(source, target).run();
}

}  // namespace trailer::client
