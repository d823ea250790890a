// How far a copy is, on a terminal's one line.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace trailer::client {

// "812 B", "1.4 MB"
std::string size_text(std::uint64_t bytes);

class CopyProgress {
  public:
    // Draws nothing where `stream` is no terminal.
    CopyProgress(std::FILE* stream, std::string title);
    ~CopyProgress() { finish(); }
    CopyProgress(const CopyProgress&) = delete;
    CopyProgress& operator=(const CopyProgress&) = delete;

    void add(std::uint64_t bytes);
    void finish();  // draws what it came to, and ends the line

  private:
    using Clock = std::chrono::steady_clock;
    void draw();

    std::FILE* stream_;
    std::string title_;
    bool live_;
    std::uint64_t bytes_ = 0;
    Clock::time_point started_ = Clock::now();
    Clock::time_point drawn_ = started_;
};

}  // namespace trailer::client
