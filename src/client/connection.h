// Which server the client talks to, and with which token: what `login` saved, or what flags say.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace trailer::client {

inline constexpr const char* kDefaultServer = "http://localhost:8090";

struct Target {
    std::string server = kDefaultServer;
    std::string token;  // empty: not logged in

    bool operator==(const Target&) const = default;
};

struct ConnectionFlags {
    std::optional<std::string> server;
    std::optional<std::string> token_file;
};

// $XDG_CONFIG_HOME/trailer.dev/client.yml
std::filesystem::path credentials_file();

// Nothing where nobody has logged in. Throws Error for a file that holds something else, and for
// one that others may read or write.
std::optional<Target> load_target(const std::filesystem::path& file);
void save_target(const std::filesystem::path& file, const Target& target);

// The server to log in to, without a token. Where `server` is given, a broken file does not matter:
// logging in writes it anew.
Target login_target(const std::filesystem::path& file, const std::optional<std::string>& server);

// Flags win over the file. A saved token goes to the server that gave it and to no other.
// Throws as load_target does, and for a token file that others may read or write.
Target resolve_target(const std::filesystem::path& file, const ConnectionFlags& flags);

}  // namespace trailer::client
