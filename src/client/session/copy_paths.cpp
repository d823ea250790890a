#include "client/session/copy_paths.h"

namespace trailer::client {

std::optional<RemotePath> parse_remote_path(std::string_view text) {
    const auto colon = text.find(':');
    const auto slash = text.find('/');
    if (colon == text.npos || colon == 0) return std::nullopt;
    // "workspace/dev:/x", as apply prints it, is one too; "./a:b" and "/a:b" are not.
    const auto before = text.substr(0, colon);
    if (slash < colon && !before.starts_with("workspace/")) return std::nullopt;
    auto path = text.substr(colon + 1);
    return RemotePath{std::string(before), path.empty() ? "." : std::string(path)};
}

SplitPath split_path(std::string_view path) {
    auto rest = path;
    while (rest.size() > 1 && rest.ends_with('/')) rest.remove_suffix(1);
    const auto slash = rest.rfind('/');
    const auto name = slash == rest.npos ? rest : rest.substr(slash + 1);
    if (name.empty() || name == "." || name == "..") {
        return {rest.empty() ? "." : std::string(rest), "."};
    }
    if (slash == rest.npos) return {".", std::string(name)};
    return {slash == 0 ? "/" : std::string(rest.substr(0, slash)), std::string(name)};
}

}  // namespace trailer::client
