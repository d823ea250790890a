// The progress of several resources on standard error: on a terminal one line each, brought up to
// date in place; elsewhere one plain line for each change.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "client/terminal.h"

namespace trailer::client {

class Progress {
  public:
    // One line for each of `titles` ("workspace/dev").
    Progress(std::FILE* stream, std::vector<std::string> titles);

    struct Line {
        std::string status;
        Style style = Style::busy;
        std::string message;
        bool ended = false;

        bool operator==(const Line&) const = default;
    };
    void update(std::size_t index, Line line);
    // A line between, such as a lost connection.
    void note(std::string_view text);
    // Draws what moves by itself; wanted some times a second on a terminal only.
    void tick();
    bool live() const { return live_; }

  private:
    struct Entry {
        std::string title;
        Line line;
        std::chrono::steady_clock::time_point ended_at;
    };
    void draw();
    std::string text_of(const Entry& entry) const;

    std::FILE* stream_;
    Palette palette_;
    bool live_;
    std::vector<Entry> entries_;
    std::size_t title_width_;
    std::size_t drawn_ = 0;  // lines on the screen that the next drawing replaces
    std::size_t frame_ = 0;
    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace trailer::client
