// A process in a container, as a session: a command of its own (exec), or the container's (attach).
#pragma once

#include <filesystem>

#include "runtime/runtime.h"
#include "sessions/endpoint.h"
#include "sessions/open_commands.h"

namespace trailer::sessions {

// What is left to be ended when a session of a command is over.
struct CommandMark {
    std::string session;       // in the environment of all that the command starts
    std::string container_id;  // where it runs
    std::filesystem::path proc;
    OpenCommands* noted;  // where it is noted as running
};

class ProcessEndpoint : public Endpoint {
  public:
    // `mark`: of a command; nothing for the container's own process, which outlives the session.
    ProcessEndpoint(runtime::ContainerRuntime& runtime,
                    std::unique_ptr<runtime::ProcessStream> stream,
                    std::optional<CommandMark> mark);

    Task<std::string> read() override;
    Task<> take(std::string message) override;
    Task<> terminate() override;
    bool tty() const override { return stream_->tty(); }
    void let_go() override;

  private:
    Task<std::optional<int>> wait_for_exit_code();
    Task<> end_command();

    runtime::ContainerRuntime& runtime_;
    std::unique_ptr<runtime::ProcessStream> stream_;
    std::optional<CommandMark> mark_;
    bool ended_ = false;
};

}  // namespace trailer::sessions
