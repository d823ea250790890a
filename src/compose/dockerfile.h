// What a Dockerfile needs beside itself.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trailer::compose {

struct ContextUse {
    int line = 0;
    std::string instruction;  // "COPY"
};

// The instructions that take files from the build's context: COPY and ADD (but those of another
// stage, of a URL, and of a text in place), and RUN with a bind mount of it.
std::vector<ContextUse> uses_of_context(std::string_view dockerfile);

}  // namespace trailer::compose
