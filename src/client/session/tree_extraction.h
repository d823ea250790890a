// Unpacks a tar archive that someone else made beneath a directory, and nowhere else: an entry
// whose path is absolute, has "..", or leads through a symbolic link is refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace trailer::client {

struct ExtractionTarget {
    std::filesystem::path directory;  // is there
    std::string expected;             // the first part of each entry's path; ".": none
    std::string name;                 // that stands for it
};

struct Extracted {
    std::size_t entries = 0;
    std::vector<std::string> left_out;  // devices and the like
};

// `source` gives the archive's next bytes, "" at the end. Modes (without setuid and setgid),
// symbolic links and times are kept; what was there is replaced, directories are merged. Blocks on
// the disk and the source: for a thread of its own. Throws Error.
Extracted extract_tree(const std::function<std::string()>& source, const ExtractionTarget& target);

}  // namespace trailer::client
