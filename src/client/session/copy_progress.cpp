#include "client/session/copy_progress.h"

#include <fmt/format.h>

#include <array>

#include "client/terminal.h"

namespace trailer::client {
namespace {

constexpr std::chrono::milliseconds kEvery{200};
constexpr std::array kUnits{"kB", "MB", "GB", "TB"};

}  // namespace

std::string size_text(std::uint64_t bytes) {
    if (bytes < 1000) return fmt::format("{} B", bytes);
    auto value = static_cast<double>(bytes) / 1000;
    std::size_t unit = 0;
    for (; value >= 999.95 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
    return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

CopyProgress::CopyProgress(std::FILE* stream, std::string title)
    : stream_(stream), title_(one_line(title)), live_(is_terminal(stream)) {}

void CopyProgress::add(std::uint64_t bytes) {
    bytes_ += bytes;
    const auto now = Clock::now();
    if (!live_ || now - drawn_ < kEvery) return;
    drawn_ = now;
    draw();
}

void CopyProgress::draw() {
    const std::chrono::duration<double> taken = Clock::now() - started_;
    const auto rate =
        static_cast<std::uint64_t>(static_cast<double>(bytes_) / std::max(taken.count(), 0.001));
    const auto figures = fmt::format("  {}  {}/s", size_text(bytes_), size_text(rate));
    const auto room = static_cast<std::size_t>(std::max(columns_of(stream_), 20));
    const auto title = shorten(title_, room - std::min(room - 1, width_of(figures) + 1));
    print(stream_, fmt::format("\r\x1b[K{}{}", title, figures));
}

void CopyProgress::finish() {
    if (!live_) return;
    draw();
    print(stream_, "\n");
    live_ = false;
}

}  // namespace trailer::client
