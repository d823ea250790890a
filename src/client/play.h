// Runs one command line as the program does, against the scripted API.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <sstream>

#include "base/file.h"
#include "base/id.h"
#include "client/command_line.h"
#include "client/connection.h"
#include "client/scripted_api.h"

namespace trailer::client {

struct Outcome {
    int exit_code = 0;
    std::string output;
    std::string errors;
};

// A home without a login, and a server to talk to.
class VerbTest : public testing::Test {
  protected:
    VerbTest() {
        std::filesystem::create_directories(directory_);
        const char* before = std::getenv("XDG_CONFIG_HOME");
        if (before != nullptr) config_home_ = before;
        ::setenv("XDG_CONFIG_HOME", directory_.c_str(), 1);
    }

  public:
    ~VerbTest() override {
        if (config_home_) {
            ::setenv("XDG_CONFIG_HOME", config_home_->c_str(), 1);
        } else {
            ::unsetenv("XDG_CONFIG_HOME");
        }
        std::filesystem::remove_all(directory_);
    }

  protected:
    void log_in() { save_target(credentials_file(), {api.url(), "secret"}); }

    std::string write(const std::string& name, std::string_view text, mode_t mode = 0600) {
        write_file_atomically(directory_ / name, text, mode);
        return (directory_ / name).string();
    }

    static Outcome run(std::vector<std::string> arguments, const std::string& input = {}) {
        arguments.insert(arguments.begin(), "trailer");
        std::vector<const char*> argv;
        for (const auto& each : arguments) argv.push_back(each.c_str());
        std::istringstream stream(input);
        auto* const before = std::cin.rdbuf(stream.rdbuf());
        testing::internal::CaptureStdout();
        testing::internal::CaptureStderr();
        Outcome outcome;
        outcome.exit_code =
            run_command_line(static_cast<int>(argv.size()), argv.data(), [](CLI::App&, Chosen&) {});
        outcome.output = testing::internal::GetCapturedStdout();
        outcome.errors = testing::internal::GetCapturedStderr();
        std::cin.rdbuf(before);
        return outcome;
    }

    std::filesystem::path directory_ =
        std::filesystem::temp_directory_path() / ("trailer-verbs-" + new_id());
    ScriptedApi api;

  private:
    std::optional<std::string> config_home_;
};

}  // namespace trailer::client
