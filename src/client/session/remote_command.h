// A command in a workspace whose input and output are another coroutine's, not the process's own.
#pragma once

#include <functional>
#include <string>

#include "client/session/session_client.h"

namespace trailer::client {

struct RemoteCommand {
    std::string subject;  // "/api/workspaces/dev"
    std::vector<std::string> command;
    std::function<Task<std::string>()> input;        // "" at the end; absent: no input
    std::function<Task<>(std::string_view)> output;  // absent: dropped. The view is good until it
                                                     // returns
    std::function<void(LinkNews)> news;
};

struct RemoteResult {
    int exit_code = 0;
    std::string output;  // its beginning, where there is no `output`
    std::string errors;  // the beginning of what it wrote on its standard error
    int signal = 0;      // that ended it here: Ctrl-C
};

// Throws what the session ends with, and what `input` and `output` throw: the command ends then
// too.
Task<RemoteResult> run_remote(Api& api, RemoteCommand command);

}  // namespace trailer::client
