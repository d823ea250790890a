// The roles of the program: `trailer server`, `trailer agent`, `trailer standalone`.
#pragma once

namespace CLI {
class App;
}
namespace trailer::client {
struct Chosen;
}

namespace trailer {

// Adds them to the command line, with the flags of config's table.
void add_roles(CLI::App& app, client::Chosen& chosen);

}  // namespace trailer
