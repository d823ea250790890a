// A process in a container in memory: `cat`, `echo WORDS`, `yes` (for ever), `exit N`, and `wait`
// (until it is dropped). Its output waits until it is read, as a pipe's does.
#pragma once

#include <string>
#include <vector>

#include "aio/signal.h"
#include "runtime/runtime.h"

namespace trailer::runtime {

class FakeProcess : public ProcessStream {
  public:
    FakeProcess(const asio::any_io_executor& executor, std::vector<std::string> command, bool tty);

    Task<Output> read() override;
    Task<> write(std::string data) override;
    void close_input() override;
    Task<> resize(protocol::TerminalSize wanted) override;
    Task<std::optional<int>> exit_code() override { co_return exit_code_; }
    Task<std::int64_t> process_id() override { co_return 0; }
    bool tty() const override { return tty_; }

    protocol::TerminalSize size;

  private:
    aio::Signal changed_;
    aio::Signal taken_;
    std::vector<std::string> command_;
    bool tty_;
    std::string output_;
    std::optional<int> exit_code_;
};

}  // namespace trailer::runtime
