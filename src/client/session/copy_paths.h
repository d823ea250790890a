// What `trailer cp SOURCE TARGET` means by its two paths.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace trailer::client {

// "dev:/etc/hosts". Nothing for a path of this machine: "C", "./a:b", "/a:b".
struct RemotePath {
    std::string workspace;
    std::string path;

    bool operator==(const RemotePath&) const = default;
};
std::optional<RemotePath> parse_remote_path(std::string_view text);

// A path's last part, and the directory that it is in: "/a/b" is "b" in "/a", "b" is "b" in ".",
// and what names a directory by itself ("/", "a/.", "..") is "." in it.
struct SplitPath {
    std::string directory;
    std::string name;

    bool operator==(const SplitPath&) const = default;
};
SplitPath split_path(std::string_view path);

}  // namespace trailer::client
