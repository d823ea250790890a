#include "client/arguments.h"

#include "client/failure.h"

namespace trailer::client {

Named parse_named(const std::string& kind, const std::vector<std::string>& names) {
    Named named{.names = names};
    auto word = kind;
    // "workspace/dev", as apply prints it.
    if (const auto slash = kind.find('/'); slash != kind.npos) {
        word = kind.substr(0, slash);
        named.names.insert(named.names.begin(), kind.substr(slash + 1));
    }
    const auto subject = parse_subject(word);
    if (!subject) {
        throw UsageError(
            fmt::format("there is no kind \"{}\"; expected hosts, groups, workspaces, networks, "
                        "volumes or images",
                        word));
    }
    named.subject = *subject;
    for (auto& name : named.names) {
        const auto slash = name.find('/');
        if (slash != name.npos && parse_subject(name.substr(0, slash)) == subject) {
            name.erase(0, slash + 1);
        }
        if (name.empty() || name.find('/') != name.npos) {
            throw UsageError(fmt::format("\"{}\" is no name of a {}", name, noun(*subject)));
        }
    }
    return named;
}

}  // namespace trailer::client
