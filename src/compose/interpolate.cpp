#include "compose/interpolate.h"

#include "base/error.h"

namespace trailer::compose {
namespace {

constexpr int kDeepest = 16;  // defaults in defaults

bool begins_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool in_name(char c) {
    return begins_name(c) || (c >= '0' && c <= '9');
}

class Interpolation {
  public:
    Interpolation(const Variables& variables, std::set<std::string>& unset)
        : variables_(variables), unset_(unset) {}

    std::string run(std::string_view text, int depth) {
        if (depth > kDeepest) throw Error(ErrorKind::invalid, "has too many ${…} in each other");
        std::string made;
        while (!text.empty()) {
            const auto dollar = text.find('$');
            made += text.substr(0, dollar);
            if (dollar == text.npos) break;
            text.remove_prefix(dollar + 1);
            made += one(text, depth);
        }
        return made;
    }

  private:
    // Takes what follows a dollar sign off `text`.
    std::string one(std::string_view& text, int depth) {
        if (text.starts_with('$')) {
            text.remove_prefix(1);
            return "$";
        }
        if (text.starts_with('{')) {
            const auto length = length_in_braces(text);
            const auto inner = text.substr(1, length - 2);
            text.remove_prefix(length);
            return braced(inner, depth);
        }
        const auto name = take_name(text);
        if (name.empty()) {
            throw Error(ErrorKind::invalid, "has a lone '$': write $$ for a dollar sign");
        }
        return value_or_empty(name);
    }

    // From '{' to the '}' that closes it.
    static std::size_t length_in_braces(std::string_view text) {
        int open = 0;
        for (std::size_t i = 0; i < text.size(); ++i) {
            const bool begins = text[i] == '{' && (i == 0 || text[i - 1] == '$');
            if (begins) ++open;
            if (text[i] == '}' && --open == 0) return i + 1;
        }
        throw Error(ErrorKind::invalid, "has a ${ without its }");
    }

    static std::string take_name(std::string_view& text) {
        std::size_t length = 0;
        while (length < text.size() && (length == 0 ? begins_name(text[0]) : in_name(text[length])))
            ++length;
        std::string name(text.substr(0, length));
        text.remove_prefix(length);
        return name;
    }

    std::string braced(std::string_view text, int depth) {
        const auto whole = text;
        const auto name = take_name(text);
        if (name.empty()) {
            throw Error(ErrorKind::invalid, "has ${{{}}}: expected a variable's name", whole);
        }
        if (text.empty()) return value_or_empty(name);
        const bool empty_is_unset = text.starts_with(':');
        if (empty_is_unset) text.remove_prefix(1);
        const char how = text.empty() ? '\0' : text.front();
        const auto found = variables_.find(name);
        const bool has = found != variables_.end() && !(empty_is_unset && found->second.empty());
        if (how == '-') return has ? found->second : run(text.substr(1), depth + 1);
        if (how == '+') return has ? run(text.substr(1), depth + 1) : std::string();
        if (how != '?') {
            throw Error(ErrorKind::invalid,
                        "has ${{{}}}: expected one of :- - :? ? :+ + behind the name", whole);
        }
        if (has) return found->second;
        const auto reason = run(text.substr(1), depth + 1);
        throw Error(ErrorKind::invalid, "the variable {} is required{}{}", name,
                    reason.empty() ? "" : ": ", reason);
    }

    std::string value_or_empty(const std::string& name) {
        const auto found = variables_.find(name);
        if (found != variables_.end()) return found->second;
        unset_.insert(name);
        return {};
    }

    const Variables& variables_;
    std::set<std::string>& unset_;
};

void interpolate_scalar(Node& node, const Variables& variables, std::set<std::string>& unset,
                        Findings& findings) {
    if (node.text.find('$') == node.text.npos) return;
    std::set<std::string> missing;
    try {
        node.text = interpolate(node.text, variables, missing);
    } catch (const Error& e) {
        findings.fault(node, e.what());
    }
    for (const auto& name : missing) {
        if (!unset.insert(name).second) continue;
        findings.warn(node, fmt::format("the variable {} is not set: it is taken as empty", name));
    }
}

}  // namespace

std::string interpolate(std::string_view text, const Variables& variables,
                        std::set<std::string>& unset) {
    return Interpolation(variables, unset).run(text, 0);
}

void interpolate(Node& node, const Variables& variables, std::set<std::string>& unset,
                 Findings& findings) {
    if (node.is_scalar()) interpolate_scalar(node, variables, unset, findings);
    for (auto& item : node.items) interpolate(item, variables, unset, findings);
    for (auto& [name, member] : node.members) interpolate(member, variables, unset, findings);
}

}  // namespace trailer::compose
