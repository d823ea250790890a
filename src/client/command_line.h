// The command line as a whole: the verbs of this folder, and the roles that main/ adds.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace trailer::client {

// What the command line chose; runs it and returns its exit code.
struct Chosen {
    std::string what;  // "get workspaces": begins its error messages
    std::function<int()> run;
    std::vector<std::string> after_mark;  // what stands after "--", where a verb takes it as it is
};

// Reads the command line and runs what it asks for. Returns the exit code: 0 done, 1 failed, 2 bad
// usage. `add_roles` adds further subcommands, whose callbacks fill Chosen.
int run_command_line(int argc, const char* const* argv,
                     const std::function<void(CLI::App&, Chosen&)>& add_roles);

}  // namespace trailer::client
