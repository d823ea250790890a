#include "client/connection.h"

#include <sys/stat.h>

#include <boost/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "client/failure.h"
#include "config/config.h"
#include "net/http.h"
#include "wire/json.h"
#include "wire/yaml.h"

namespace trailer::client {
namespace {

// client.yml, as it is written.
struct Saved {
    std::string server;
    std::string token;

    static constexpr std::array kRequired{std::string_view{"server"}, std::string_view{"token"}};
};
BOOST_DESCRIBE_STRUCT(Saved, (), (server, token))

std::optional<net::Endpoint> parse_endpoint(const std::string& url) {
    try {
        return net::Endpoint::parse(url);
    } catch (const InvalidInput&) {
        return std::nullopt;
    }
}

void check_server(const std::string& url) {
    const auto endpoint = parse_endpoint(url);
    if (!endpoint || endpoint->transport == net::Endpoint::Transport::unix_socket ||
        url.starts_with("tcp://")) {
        throw UsageError(fmt::format(
            "--server: expected http://HOST:PORT or https://HOST:PORT, got \"{}\"", url));
    }
}

bool same_server(const std::string& a, const std::string& b) {
    return net::Endpoint::parse(a) == net::Endpoint::parse(b);
}

std::string trimmed(std::string text) {
    const auto last = text.find_last_not_of(" \t\r\n");
    text.erase(last == text.npos ? 0 : last + 1);
    return text;
}

// A pipe (<(pass show trailer)) has no mode that matters.
void refuse_shared(const std::filesystem::path& file) {
    struct stat status{};
    if (::stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
    const auto mode = status.st_mode & 07777U;
    if ((mode & 077U) != 0) {
        throw Error(ErrorKind::invalid,
                    "{} has mode {:04o}: others may use the token in it; chmod 600 {}",
                    file.string(), mode, file.string());
    }
}

std::string read_token(const std::string& file) {
    refuse_shared(file);
    auto token = trimmed(read_file(file));
    const auto printable = [](char c) { return c > 0x20 && c < 0x7F; };
    if (token.empty() || !std::ranges::all_of(token, printable)) {
        throw Error(ErrorKind::invalid, "{} does not hold a token: expected one word on one line",
                    file);
    }
    return token;
}

}  // namespace

std::filesystem::path credentials_file() {
    return config::config_directory() / "client.yml";
}

std::optional<Target> load_target(const std::filesystem::path& file) {
    refuse_shared(file);
    std::string text;
    try {
        text = read_file(file);
    } catch (const Error& e) {
        if (e.kind() == ErrorKind::not_found) return std::nullopt;
        throw;
    }
    try {
        const auto documents = wire::parse_yaml(text);
        if (documents.size() != 1) throw InvalidInput("", "expected one document");
        auto saved = wire::from_json<Saved>(documents.front().value);
        net::Endpoint::parse(saved.server);
        return Target{std::move(saved.server), std::move(saved.token)};
    } catch (const InvalidInput& e) {
        throw Error(ErrorKind::invalid, "{}: {}; `trailer login --server URL` writes it anew",
                    file.string(), e.what());
    }
}

void save_target(const std::filesystem::path& file, const Target& target) {
    write_file_atomically(file, wire::to_yaml(wire::to_json(Saved{target.server, target.token})),
                          0600);
}

Target login_target(const std::filesystem::path& file, const std::optional<std::string>& server) {
    if (server) {
        check_server(*server);
        return {.server = *server};
    }
    const auto saved = load_target(file);
    return {.server = saved ? saved->server : kDefaultServer};
}

Target resolve_target(const std::filesystem::path& file, const ConnectionFlags& flags) {
    if (flags.server) check_server(*flags.server);
    Target target;
    // Nothing of the file is needed where flags say everything: it may even be broken.
    if (!flags.server || !flags.token_file) {
        const auto saved = load_target(file);
        if (saved && (!flags.server || same_server(*flags.server, saved->server))) target = *saved;
    }
    if (flags.server) target.server = *flags.server;
    if (flags.token_file) target.token = read_token(*flags.token_file);
    return target;
}

}  // namespace trailer::client
