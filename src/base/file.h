// Files that are read and written whole.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace trailer {

// Throws Error (not_found, or internal with the cause).
std::string read_file(const std::filesystem::path& file);

// Writes beside the target, syncs, and renames over it: a reader sees the old content or the new,
// after a crash too. The file has exactly `mode`; missing parent directories are made with 0700.
void write_file_atomically(const std::filesystem::path& file, std::string_view content,
                           mode_t mode);

}  // namespace trailer
