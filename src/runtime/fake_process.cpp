#include "runtime/fake_process.h"

#include "base/error.h"

namespace trailer::runtime {
namespace {

constexpr std::size_t kPipe = 64 << 10;  // bytes that wait between a process and its reader
constexpr std::size_t kPiece = 32 << 10;

}  // namespace

FakeProcess::FakeProcess(const asio::any_io_executor& executor, std::vector<std::string> command,
                         bool tty)
    : changed_(executor), taken_(executor), command_(std::move(command)), tty_(tty) {
    const auto& verb = command_.at(0);
    if (verb == "echo") {
        for (std::size_t i = 1; i < command_.size(); ++i) {
            output_ += (i > 1 ? " " : "") + command_[i];
        }
        output_ += "\n";
        exit_code_ = 0;
    } else if (verb == "exit") {
        exit_code_ = std::stoi(command_.at(1));
    } else if (verb != "cat" && verb != "yes" && verb != "wait") {
        output_ = verb + ": not found\n";
        exit_code_ = 127;
    }
}

Task<Output> FakeProcess::read() {
    for (;;) {
        if (command_[0] == "yes") {
            while (output_.size() < kPiece) output_ += "y\n";
        }
        if (!output_.empty()) {
            Output piece{.errors = false, .data = output_.substr(0, kPiece)};
            output_.erase(0, piece.data.size());
            taken_.notify();
            co_return piece;
        }
        if (exit_code_) co_return Output{};
        co_await changed_.wait();
    }
}

Task<> FakeProcess::write(std::string data) {
    if (command_[0] != "cat") co_return;
    while (output_.size() > kPipe) co_await taken_.wait();
    output_ += data;
    changed_.notify();
}

void FakeProcess::close_input() {
    if (command_[0] == "cat") exit_code_ = 0;
    changed_.notify();
}

Task<> FakeProcess::resize(protocol::TerminalSize wanted) {
    size = wanted;
    co_return;
}

}  // namespace trailer::runtime
