#include "sessions/file_endpoint.h"

#include <sys/stat.h>

#include "base/error.h"

namespace trailer::sessions {
namespace {

constexpr std::chrono::milliseconds kLook{200};
constexpr std::size_t kPiece = 32 << 10;

std::uint64_t inode_of(const std::filesystem::path& file) {
    struct stat status{};
    return ::stat(file.c_str(), &status) == 0 ? status.st_ino : 0;
}

// Where the last `lines` lines begin.
std::streamoff begin_of_last(std::ifstream& stream, std::int64_t lines) {
    stream.seekg(0, std::ios::end);
    std::streamoff at = stream.tellg();
    std::int64_t ends = 0;
    std::string piece;
    while (at > 0) {
        const auto size = std::min<std::streamoff>(at, kPiece);
        piece.resize(static_cast<std::size_t>(size));
        stream.seekg(at - size);
        stream.read(piece.data(), size);
        for (auto i = size - 1; i >= 0; --i) {
            // The last line's own end is not one before it.
            if (piece[static_cast<std::size_t>(i)] == '\n' && ++ends > lines)
                return at - size + i + 1;
        }
        at -= size;
    }
    return 0;
}

}  // namespace

FileEndpoint::FileEndpoint(std::filesystem::path file, protocol::LogQuery query)
    : file_(std::move(file)), query_(std::move(query)) {
    open();
    if (query_.tail) stream_.seekg(begin_of_last(stream_, *query_.tail));
}

void FileEndpoint::open() {
    inode_ = inode_of(file_);
    stream_ = std::ifstream(file_, std::ios::binary);
    if (!stream_) throw Error(ErrorKind::not_found, "the agent has no log at {}", file_.string());
}

bool FileEndpoint::was_moved() const {
    const auto now = inode_of(file_);
    return now != 0 && now != inode_;
}

Task<std::string> FileEndpoint::read() {
    for (;;) {
        std::string message(kPiece, '\0');
        message[0] = static_cast<char>(protocol::Channel::output);
        // Asked first: what is written until a file is moved is read before the next one is opened.
        const bool moved = was_moved();
        stream_.clear();
        stream_.read(message.data() + 1, kPiece - 1);
        if (const auto count = stream_.gcount(); count > 0) {
            message.resize(static_cast<std::size_t>(count) + 1);
            co_return message;
        }
        if (!query_.follow) co_return protocol::end_message({});
        if (moved) {
            open();
        } else {
            co_await aio::sleep(kLook);
        }
    }
}

Task<> FileEndpoint::take(std::string message) {
    if (protocol::channel_of(message) == protocol::Channel::close) co_return;
    throw InvalidInput("", "a log takes no input");
}

}  // namespace trailer::sessions
