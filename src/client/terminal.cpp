#include "client/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "base/error.h"

namespace trailer::client {
namespace {

std::string_view code_of(Style style) {
    switch (style) {
        case Style::plain:
            return "";
        case Style::good:
            return "\x1b[32m";
        case Style::busy:
            return "\x1b[33m";
        case Style::bad:
            return "\x1b[31m";
        case Style::dim:
            return "\x1b[2m";
        case Style::strong:
            return "\x1b[1m";
    }
    return "";
}

winsize size_of(std::FILE* stream) {
    winsize size{};
    if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) != 0) return {};
    return size;
}

bool continues(char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;  // UTF-8, RFC 3629
}

std::string clean(std::string_view text, bool keep_lines) {
    std::string result;
    result.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        // C1 controls (U+0080 to U+009F) are two bytes in UTF-8; U+009B begins a sequence like ESC
        // [.
        if (c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {
            result += '?';
            ++i;
        } else if (c == '\n' && keep_lines) {
            result += '\n';
        } else if (c == '\n' || c == '\t' || c == '\r') {
            result += ' ';
        } else {
            result += c < 0x20 || c == 0x7F ? '?' : text[i];
        }
    }
    return result;
}

// The controlling terminal, with echo as it was when it is dropped.
class TerminalFile {
  public:
    TerminalFile() : file_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {
        if (file_ < 0) {
            throw Error(ErrorKind::invalid, "there is no terminal to ask on");
        }
    }
    ~TerminalFile() {
        if (hidden_) ::tcsetattr(file_, TCSAFLUSH, &before_);
        ::close(file_);
    }
    TerminalFile(const TerminalFile&) = delete;
    TerminalFile& operator=(const TerminalFile&) = delete;

    void hide() {
        if (::tcgetattr(file_, &before_) != 0) return;
        auto without = before_;
        without.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        hidden_ = ::tcsetattr(file_, TCSAFLUSH, &without) == 0;
    }
    void write(std::string_view text) {
        while (!text.empty()) {
            const auto count = ::write(file_, text.data(), text.size());
            if (count <= 0) return;
            text.remove_prefix(static_cast<std::size_t>(count));
        }
    }
    std::string read_line() {
        std::string line;
        char c = 0;
        while (::read(file_, &c, 1) == 1 && c != '\n') line += c;
        return line;
    }

  private:
    int file_;
    termios before_{};
    bool hidden_ = false;
};

}  // namespace

std::string Palette::paint(Style style, std::string_view text) const {
    if (!enabled_ || style == Style::plain || text.empty()) return std::string(text);
    return fmt::format("{}{}\x1b[0m", code_of(style), text);
}

bool is_terminal(std::FILE* stream) {
    return ::isatty(::fileno(stream)) == 1;
}

Palette palette_for(std::FILE* stream) {
    const char* no_color = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    const bool refused = (no_color != nullptr && *no_color != '\0') ||
                         (term != nullptr && std::string_view(term) == "dumb");
    return Palette(!refused && is_terminal(stream));
}

int columns_of(std::FILE* stream) {
    const auto size = size_of(stream);
    return size.ws_col == 0 ? 80 : size.ws_col;
}

int rows_of(std::FILE* stream) {
    const auto size = size_of(stream);
    return size.ws_row == 0 ? 24 : size.ws_row;
}

std::string one_line(std::string_view text) {
    return clean(text, false);
}

std::string printable(std::string_view text) {
    return clean(text, true);
}

std::size_t width_of(std::string_view text) {
    std::size_t width = 0;
    for (const char c : text) width += continues(c) ? 0 : 1;
    return width;
}

std::string shorten(std::string_view text, std::size_t columns) {
    if (width_of(text) <= columns) return std::string(text);
    if (columns == 0) return {};
    std::size_t at = 0;
    for (std::size_t kept = 0; at < text.size(); ++at) {
        if (continues(text[at])) continue;
        if (++kept == columns) break;
    }
    return std::string(text.substr(0, at)) + "…";
}

void print(std::FILE* stream, std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stream);
    std::fflush(stream);
}

bool can_ask() {
    return is_terminal(stdin);
}

std::string ask_line(std::string_view prompt) {
    TerminalFile terminal;
    terminal.write(prompt);
    return terminal.read_line();
}

std::string ask_hidden(std::string_view prompt) {
    TerminalFile terminal;
    terminal.hide();
    terminal.write(prompt);
    auto line = terminal.read_line();
    terminal.write("\n");
    return line;
}

}  // namespace trailer::client
