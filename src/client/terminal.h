// What is at the other end of standard output and standard error: a person's terminal, or a file.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace trailer::client {

enum class Style { plain, good, busy, bad, dim, strong };

// Colours text, or leaves it as it is.
class Palette {
  public:
    explicit Palette(bool enabled) : enabled_(enabled) {}
    std::string paint(Style style, std::string_view text) const;
    bool enabled() const { return enabled_; }

  private:
    bool enabled_;
};

bool is_terminal(std::FILE* stream);
// On a terminal only, and not where NO_COLOR is set (no-color.org) or TERM is "dumb".
Palette palette_for(std::FILE* stream);
int columns_of(std::FILE* stream);  // 80 where it is not known
int rows_of(std::FILE* stream);     // 24 where it is not known

// Text from elsewhere made harmless for a terminal: control characters (an escape sequence in a
// container's output) become '?', line ends and tabs become blanks.
std::string one_line(std::string_view text);
// The same, but line ends stay.
std::string printable(std::string_view text);

// How many columns UTF-8 text takes, counting each code point as one.
std::size_t width_of(std::string_view text);
// The first `columns` of it, ended by "…" where something was cut off.
std::string shorten(std::string_view text, std::size_t columns);

// Writes and flushes: what a reader of the pipe waits for must not lie in a buffer.
void print(std::FILE* stream, std::string_view text);

// Ask on the terminal itself. Throw Error where there is none; can_ask() tells before.
std::string ask_line(std::string_view prompt);
std::string ask_hidden(std::string_view prompt);
bool can_ask();

}  // namespace trailer::client
