#include "sessions/file_endpoint.h"

#include <sys/stat.h>

#include <ranges>

#include "base/error.h"

namespace trailer::sessions {
namespace {

constexpr std::chrono::milliseconds kLook{200};
constexpr std::size_t kPiece = 32 << 10;

std::uint64_t inode_of(const std::filesystem::path& file) {
    struct stat status{};
    return ::stat(file.c_str(), &status) == 0 ? status.st_ino : 0;
}

struct LastLines {
    std::streamoff begin = 0;
    std::int64_t count = 0;
};

// The last `lines` lines, or as many as there are.
LastLines last_lines(std::ifstream& stream, std::int64_t lines) {
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
                return {.begin = at - size + i + 1, .count = lines};
        }
        at -= size;
    }
    return {.begin = 0, .count = ends};
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

std::optional<Timestamp> begin_of(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    std::string first;
    std::getline(stream, first);
    return time_of(first);
}

}  // namespace

FileEndpoint::FileEndpoint(std::filesystem::path file, protocol::LogQuery query)
    : file_(std::move(file)), query_(std::move(query)) {
    if (!query_.until.empty()) until_ = parse_rfc3339(query_.until);
    if (!query_.since.empty()) {
        since_ = parse_rfc3339(query_.since);
        open_at(*since_);
    } else if (query_.tail) {
        open_at_last(*query_.tail);
    } else {
        open(generations().front());
    }
}

void FileEndpoint::open(const std::filesystem::path& file) {
    inode_ = inode_of(file);
    stream_ = std::ifstream(file, std::ios::binary);
    if (!stream_) throw Error(ErrorKind::not_found, "the agent has no log at {}", file.string());
}

// In the newest file that begins before that time.
void FileEndpoint::open_at(Timestamp since) {
    const auto files = generations();
    auto file = files.rbegin();
    for (; std::next(file) != files.rend(); ++file) {
        const auto begin = begin_of(*file);
        if (begin && *begin <= since) break;
    }
    open(*file);
}

void FileEndpoint::open_at_last(std::int64_t lines) {
    const auto files = generations();
    for (const auto& file : std::views::reverse(files)) {
        open(file);
        const auto last = last_lines(stream_, lines);
        stream_.seekg(last.begin);
        lines -= last.count;
        if (lines == 0) break;
    }
}

// The log's files that are there, the oldest first: agent.2.log, agent.1.log, agent.log.
std::vector<std::filesystem::path> FileEndpoint::generations() const {
    std::vector<std::filesystem::path> files{file_};
    for (int i = 1;; ++i) {
        auto file = file_;
        file.replace_extension(fmt::format(".{}{}", i, file_.extension().string()));
        if (inode_of(file) == 0) break;
        files.push_back(std::move(file));
    }
    std::ranges::reverse(files);
    return files;
}

// What follows the file that is being read; nothing while that is the newest.
std::optional<std::filesystem::path> FileEndpoint::successor() const {
    const auto files = generations();
    const auto is_open = [this](const auto& file) { return inode_of(file) == inode_; };
    const auto found = std::ranges::find_if(files, is_open);
    // One that is not there any more was deleted, as the oldest.
    const auto next = found == files.end() ? files.begin() : std::next(found);
    if (next == files.end() || inode_of(*next) == 0) return std::nullopt;
    return *next;
}

bool FileEndpoint::is_wanted(std::string_view line) {
    if (!since_ && !until_) return true;
    line_time_ = time_of(line).value_or(line_time_);
    if (until_ && line_time_ > *until_) over_ = true;
    if (over_) return false;
    if (!since_) return true;
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
    while (!over_) {
        // Asked first: what is written until a file is moved is read before the next one is opened.
        const auto next = successor();
        const bool late = until_ && now() > *until_;
        const auto before = rest_.size();
        rest_.resize(before + kPiece);
        stream_.clear();
        stream_.read(rest_.data() + before, kPiece);
        const auto count = static_cast<std::size_t>(stream_.gcount());
        rest_.resize(before + count);
        const bool goes_on = query_.follow && !late;
        const bool at_end = count == 0 && (next || !goes_on);
        if (auto message = whole_lines(at_end); message.size() > 1) co_return message;
        if (count > 0) continue;
        if (next) {
            open(*next);
        } else if (goes_on) {
            co_await aio::sleep(kLook);
        } else {
            break;
        }
    }
    co_return protocol::end_message({});
}

Task<> FileEndpoint::take(std::string message) {
    if (protocol::channel_of(message) == protocol::Channel::close) co_return;
    throw InvalidInput("", "a log takes no input");
}

}  // namespace trailer::sessions
