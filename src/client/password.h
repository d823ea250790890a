// Passwords as people give them: in a file, on standard input, or asked for on the terminal.
#pragma once

#include <string>

namespace trailer::client {

// The first line of `file` ("-": standard input). Without a file: asked for with `question` where
// there is a terminal, else read from standard input. Throws CommandFailure for an empty one.
std::string read_password(const std::string& file, const std::string& question);

}  // namespace trailer::client
