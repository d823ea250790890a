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
        // The last line's own end, which may not have come yet, is not one before it.
        if (ends == 0 && !piece.ends_with('\n')) ++ends;
        for (auto i = size - 1; i >= 0; --i) {
            if (piece[static_cast<std::size_t>(i)] == '\n' && ++ends > lines)
                return at - size + i + 1;
        }
        at -= size;
    }
    return 0;
}

// Of a line "2026-11-24T01:02:03.123Z info …"; nothing where it has none of its own.
std::optional<Timestamp> time_of(std::string_view line) {
    constexpr std::size_t kShortest = 20;
    const auto word = line.substr(0, line.find(' '));
    if (word.size() < kShortest || word[4] != '-' || word[10] != 'T') return std::nullopt;
    try {
        return parse_rfc3339(word);
    } catch (const InvalidInput&) {
        return std::nullopt;
    }
}

// agent.log -> agent.1.log
std::filesystem::path predecessor_of(std::filesystem::path file) {
    const auto extension = file.extension();
    return file.replace_extension(".1" + extension.string());
}

}  // namespace

FileEndpoint::FileEndpoint(std::filesystem::path file, protocol::LogQuery query)
    : file_(std::move(file)), query_(std::move(query)) {
    open(file_);
    if (!query_.since.empty()) {
        since_ = parse_rfc3339(query_.since);
        go_back_to_since();
    } else if (query_.tail) {
        stream_.seekg(begin_of_last(stream_, *query_.tail));
    }
}

void FileEndpoint::open(const std::filesystem::path& file) {
    inode_ = inode_of(file);
    stream_ = std::ifstream(file, std::ios::binary);
    if (!stream_) throw Error(ErrorKind::not_found, "the agent has no log at {}", file.string());
}

// Where it was moved aside since then, what was asked for begins in the one before.
void FileEndpoint::go_back_to_since() {
    std::string first;
    std::getline(stream_, first);
    stream_.clear();
    stream_.seekg(0);
    const auto begin = time_of(first);
    const auto before = predecessor_of(file_);
    if ((!begin || *begin > *since_) && inode_of(before) != 0) open(before);
}

bool FileEndpoint::was_moved() const {
    const auto now = inode_of(file_);
    return now != 0 && now != inode_;
}

bool FileEndpoint::is_wanted(std::string_view line) {
    if (!since_) return true;
    line_time_ = time_of(line).value_or(line_time_);
    if (line_time_ < *since_) return false;
    const bool known = query_.skip > 0;
    if (known) --query_.skip;
    if (query_.skip == 0) since_.reset();
    return !known;
}

// Takes them out of `rest_`.
std::string FileEndpoint::whole_lines(bool to_the_end) {
    auto message = protocol::session_message(protocol::Channel::output, "");
    std::size_t at = 0;
    for (;;) {
        const auto end = rest_.find('\n', at);
        const bool too_long = end == rest_.npos && rest_.size() - at > kPiece;
        if (end == rest_.npos && !too_long && !(to_the_end && at < rest_.size())) break;
        const auto size = end == rest_.npos ? rest_.size() - at : end + 1 - at;
        const auto line = std::string_view(rest_).substr(at, size);
        if (is_wanted(line)) message += line;
        at += size;
    }
    rest_.erase(0, at);
    return message;
}

Task<std::string> FileEndpoint::read() {
    for (;;) {
        // Asked first: what is written until a file is moved is read before the next one is opened.
        const bool moved = was_moved();
        const auto before = rest_.size();
        rest_.resize(before + kPiece);
        stream_.clear();
        stream_.read(rest_.data() + before, kPiece);
        const auto count = static_cast<std::size_t>(stream_.gcount());
        rest_.resize(before + count);
        const bool at_end = count == 0 && (moved || !query_.follow);
        if (auto message = whole_lines(at_end); message.size() > 1) co_return message;
        if (count > 0) continue;
        if (!query_.follow && !moved) co_return protocol::end_message({});
        if (moved) {
            open(file_);
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
