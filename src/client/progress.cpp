#include "client/progress.h"

#include <algorithm>
#include <array>

namespace trailer::client {
namespace {

constexpr std::array<std::string_view, 10> kSpinner{"⠋", "⠙", "⠹", "⠸", "⠼",
                                                    "⠴", "⠦", "⠧", "⠇", "⠏"};

constexpr std::size_t kStatusWidth = 18;  // "deployment_pending"

std::size_t width_of_longest(const std::vector<std::string>& titles) {
    std::size_t width = 0;
    for (const auto& title : titles) width = std::max(width, width_of(title));
    return width;
}

// Of a line without its message: mark, title, status and time.
std::size_t width_of_line(std::size_t title_width, std::size_t status_width) {
    return 2 + title_width + 2 + std::max(status_width, kStatusWidth) + 2 + 7;
}

std::string_view mark_of(const Progress::Line& line, std::size_t frame) {
    if (!line.ended) return kSpinner.at(frame % kSpinner.size());
    return line.style == Style::bad ? "✗" : "✓";
}

}  // namespace

Progress::Progress(std::FILE* stream, std::vector<std::string> titles)
    : stream_(stream),
      palette_(palette_for(stream)),
      // More lines than the screen has can't be drawn in place, nor can lines that wrap.
      live_(palette_for(stream).enabled() &&
            titles.size() + 2 <= static_cast<std::size_t>(rows_of(stream)) &&
            width_of_line(width_of_longest(titles), 0) <=
                static_cast<std::size_t>(columns_of(stream))),
      title_width_(width_of_longest(titles)) {
    for (auto& title : titles) entries_.push_back({.title = std::move(title)});
}

void Progress::update(std::size_t index, Line line) {
    auto& entry = entries_.at(index);
    if (entry.line == line) return;
    if (line.ended && !entry.line.ended) entry.ended_at = std::chrono::steady_clock::now();
    entry.line = std::move(line);
    if (live_) return draw();
    auto text = fmt::format("{}: {}", entry.title,
                            palette_.paint(entry.line.style,  //
                                           entry.line.status));
    if (!entry.line.message.empty()) text += ": " + one_line(entry.line.message);
    print(stream_, text + "\n");
}

void Progress::note(std::string_view text) {
    if (live_ && drawn_ > 0) print(stream_, fmt::format("\x1b[{}A\r\x1b[J", drawn_));
    drawn_ = 0;
    print(stream_, one_line(text) + "\n");
    if (live_) draw();
}

void Progress::tick() {
    if (!live_) return;
    ++frame_;
    draw();
}

void Progress::draw() {
    std::string text;
    if (drawn_ > 0) text += fmt::format("\x1b[{}A", drawn_);
    for (const auto& entry : entries_) text += "\r" + text_of(entry) + "\x1b[K\n";
    drawn_ = entries_.size();
    print(stream_, text);
}

std::string Progress::text_of(const Entry& entry) const {
    const auto& line = entry.line;
    const auto end = line.ended ? entry.ended_at : std::chrono::steady_clock::now();
    const auto seconds = std::chrono::duration<double>(end - started_).count();
    const auto clock = fmt::format("{:.1f}s", seconds);
    const auto status = line.status.empty() ? std::string_view("waiting") : line.status;
    const auto columns = static_cast<std::size_t>(columns_of(stream_));
    // What is left of the line holds the message.
    const auto taken = width_of_line(title_width_, width_of(status));
    auto text = fmt::format(
        "{} {}{}  {}{}  {:>6}", palette_.paint(line.style, mark_of(line, frame_)), entry.title,
        std::string(title_width_ - width_of(entry.title), ' '), palette_.paint(line.style, status),
        std::string(kStatusWidth - std::min(width_of(status), kStatusWidth), ' '), clock);
    if (!line.message.empty() && columns > taken + 4) {
        text +=
            "  " + palette_.paint(Style::dim, shorten(one_line(line.message), columns - taken - 3));
    }
    return text;
}

}  // namespace trailer::client
