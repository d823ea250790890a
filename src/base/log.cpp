#include "base/log.h"

#define SPDLOG_FMT_EXTERNAL
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <ctime>
#include <mutex>
#include <system_error>

namespace trailer::log {
namespace {

// One current file and three predecessors: a rotation then drops a quarter of the history.
constexpr std::size_t kPredecessors = 3;
constexpr auto kPattern = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";

spdlog::level::level_enum translate(Level level) {
    switch (level) {
        case Level::debug:
            return spdlog::level::debug;
        case Level::info:
            return spdlog::level::info;
        case Level::warning:
            return spdlog::level::warn;
        case Level::error:
            return spdlog::level::err;
    }
    return spdlog::level::info;
}

std::unique_ptr<spdlog::formatter> formatter() {
    return std::make_unique<spdlog::pattern_formatter>(kPattern, spdlog::pattern_time_type::utc);
}

class Sinks {
  public:
    Sinks() : terminal_(std::make_shared<spdlog::sinks::stderr_color_sink_mt>()) {
        terminal_->set_formatter(formatter());
    }

    void open(std::filesystem::path directory, std::string name, std::uint64_t max_total_bytes) {
        const std::lock_guard lock(mutex_);
        directory_ = std::move(directory);
        name_ = std::move(name);
        max_total_bytes_ = std::max<std::uint64_t>(max_total_bytes, 4096);
        open_files();
    }

    void reopen() {
        const std::lock_guard lock(mutex_);
        if (!name_.empty()) open_files();
    }

    void write(Level level, std::string_view message) {
        const std::lock_guard lock(mutex_);
        const spdlog::details::log_msg line("", translate(level), message);
        try {
            if (stderr_enabled_) terminal_->log(line);
            if (!files_ && !name_.empty() && std::time(nullptr) >= next_try_) open_files();
            if (files_) {
                files_->log(line);
                if (level >= Level::info) files_->flush();
            }
        } catch (const std::exception& e) {
            lose(e.what());
        }
    }

    void set_stderr(bool enabled) {
        const std::lock_guard lock(mutex_);
        stderr_enabled_ = enabled;
    }

  private:
    void open_files() {
        files_.reset();
        try {
            std::filesystem::create_directories(directory_);
            remove_leftovers();
            files_ = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
                (directory_ / (name_ + ".log")).string(), max_total_bytes_ / (kPredecessors + 1),
                kPredecessors);
            files_->set_formatter(formatter());
        } catch (const std::exception& e) {
            lose(e.what());
        }
    }

    // A bound that was larger before, or another number of predecessors, must not leave more on the
    // disk than today's bound allows.
    void remove_leftovers() {
        const auto each = max_total_bytes_ / (kPredecessors + 1);
        for (std::size_t i = 0; i < 100; ++i) {
            const auto file =
                directory_ / (i == 0 ? name_ + ".log" : fmt::format("{}.{}.log", name_, i));
            std::error_code error;
            const auto size = std::filesystem::file_size(file, error);
            if (!error && (i > kPredecessors || size > each)) std::filesystem::remove(file, error);
        }
    }

    void lose(const char* why) {
        const auto time = std::time(nullptr);
        if (time < next_complaint_) return;
        next_complaint_ = time + 60;
        next_try_ = time + 5;
        fmt::print(stderr, "trailer: log lines are lost: {}\n", why);
    }

    std::mutex mutex_;
    std::shared_ptr<spdlog::sinks::stderr_color_sink_mt> terminal_;
    std::shared_ptr<spdlog::sinks::rotating_file_sink_mt> files_;
    std::filesystem::path directory_;
    std::string name_;
    std::uint64_t max_total_bytes_ = 0;
    std::time_t next_complaint_ = 0;
    std::time_t next_try_ = 0;
    bool stderr_enabled_ = true;
};

Sinks& sinks() {
    static Sinks instance;
    return instance;
}

std::atomic<Level> threshold{Level::info};

}  // namespace

void open(const std::filesystem::path& directory, std::string_view name,
          std::uint64_t max_total_bytes) {
    sinks().open(directory, std::string(name), max_total_bytes);
}

void reopen() {
    sinks().reopen();
}
void set_level(Level level) {
    threshold = level;
}
void set_stderr(bool enabled) {
    sinks().set_stderr(enabled);
}
bool enabled(Level level) {
    return level >= threshold.load(std::memory_order_relaxed);
}
void write(Level level, std::string_view message) {
    sinks().write(level, message);
}

}  // namespace trailer::log
