// A Compose project: the file, or the files that are merged to one, as documents of one group.
//
// Reads the `.env` beside the first file, the env_files and the Dockerfiles that it names. What is
// wrong is collected, all of it, in `findings`; only a file that is named by a flag and can't be
// read throws.
#pragma once

#include <string>
#include <vector>

#include "compose/document.h"
#include "compose/findings.h"
#include "compose/interpolate.h"

namespace trailer::compose {

struct Options {
    std::string group;                  // the project's name; empty: as the file says
    std::string host;                   // where it is to run; empty: the server's choice
    std::vector<std::string> profiles;  // "*": all
    std::string env_file;               // in place of `.env`
    Variables environment;              // of the process; it wins over `.env`
    std::string working_directory;      // absolute
};

struct Project {
    std::string name;
    std::vector<Document> documents;  // what others need comes first
    Findings findings;
};

// `first_file` is the path of the first file: relative paths begin where it is. Empty: standard
// input, which is in the working directory.
Project read_project(std::vector<Node> files, const std::string& first_file,
                     const Options& options);

}  // namespace trailer::compose
