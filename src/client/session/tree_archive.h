// A local file or directory as a tar archive, made piece by piece.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace trailer::client {

// Follows no symbolic link. Blocks on the disk: for a thread of its own. Throws Error.
class TreeArchive {
  public:
    // Its entries are `name` and, of a directory, "name/…". Throws Error where `source` is not
    // there.
    TreeArchive(std::filesystem::path source, std::string name);
    ~TreeArchive();
    TreeArchive(const TreeArchive&) = delete;
    TreeArchive& operator=(const TreeArchive&) = delete;

    // The next bytes; "" at the end.
    std::string next();
    // What is neither a file nor a directory nor a symbolic link, and is not in the archive.
    const std::vector<std::string>& left_out() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace trailer::client
