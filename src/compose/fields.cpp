#include "compose/fields.h"

#include <algorithm>

#include "base/text.h"
#include "compose/units.h"
#include "compose/words.h"

namespace trailer::compose {
namespace {

// Reads a scalar by `parse`, and tells what was expected where it gives nothing.
template <typename Parse>
auto read_by(const Node& node, Findings& findings, std::string_view expected, Parse parse)
    -> decltype(parse(node.text)) {
    if (node.is_scalar()) {
        if (auto value = parse(node.text)) return value;
    }
    findings.fault(node, fmt::format("expected {}", expected));
    return std::nullopt;
}

std::optional<bool> parse_bool(std::string_view text) {
    const auto word = lower(text);
    if (word == "true" || word == "yes" || word == "on" || word == "y") return true;
    if (word == "false" || word == "no" || word == "off" || word == "n") return false;
    return std::nullopt;
}

}  // namespace

Fields::Fields(const Node& node, Findings& findings) : node_(node), findings_(findings) {
    if (!node.is_map() && !node.is_null()) findings.fault(node, "expected a map");
}

const Node* Fields::take(std::string_view name) {
    taken_.emplace(name);
    const auto* found = node_.find(name);
    return found == nullptr || found->is_null() ? nullptr : found;
}

void Fields::accept(std::initializer_list<std::string_view> names) {
    for (const auto name : names) take(name);
}

void Fields::leave_out(std::initializer_list<std::string_view> names, std::string_view why) {
    for (const auto name : names) {
        if (const auto* found = take(name)) findings_.leave_out(*found, why);
    }
}

void Fields::finish() {
    for (const auto& [name, member] : node_.members) {
        if (taken_.contains(name) || name.starts_with("x-")) continue;
        findings_.fault(member, "is not known to the Compose Specification");
    }
}

std::string read_text(const Node& node, Findings& findings) {
    if (node.is_scalar()) return node.text;
    findings.fault(node, "expected text");
    return {};
}

std::optional<bool> read_bool(const Node& node, Findings& findings) {
    return read_by(node, findings, "true or false", parse_bool);
}

std::optional<std::int64_t> read_integer(const Node& node, Findings& findings) {
    return read_by(node, findings, "a whole number", parse_integer);
}

std::optional<double> read_number(const Node& node, Findings& findings) {
    return read_by(node, findings, "a number", parse_number);
}

std::optional<std::int64_t> read_bytes(const Node& node, Findings& findings) {
    return read_by(node, findings, "a size such as 512m", parse_bytes);
}

std::optional<std::int64_t> read_duration_ms(const Node& node, Findings& findings) {
    return read_by(node, findings, "a duration such as 1m30s", parse_duration_ms);
}

std::vector<std::string> read_texts(const Node& node, Findings& findings) {
    std::vector<std::string> texts;
    if (!node.is_list()) {
        findings.fault(node, "expected a list");
        return texts;
    }
    for (const auto& item : node.items) texts.push_back(read_text(item, findings));
    return texts;
}

std::vector<std::string> read_text_or_texts(const Node& node, Findings& findings) {
    if (node.is_scalar()) return {node.text};
    return read_texts(node, findings);
}

std::vector<std::string> read_words(const Node& node, Findings& findings) {
    if (!node.is_scalar()) return read_texts(node, findings);
    auto words = split_words(node.text);
    if (!words) findings.fault(node, "has a quote that is not closed");
    return std::move(words).value_or(std::vector<std::string>());
}

std::vector<Pair> read_pairs(const Node& node, Findings& findings) {
    std::vector<Pair> pairs;
    const auto put = [&](Pair pair) {
        const auto known = std::ranges::find(pairs, pair.name, &Pair::name);
        if (known == pairs.end()) {
            pairs.push_back(std::move(pair));
        } else {
            *known = std::move(pair);
        }
    };
    if (node.is_map()) {
        for (const auto& [name, member] : node.members) {
            std::optional<std::string> value;
            if (!member.is_null()) value = read_text(member, findings);
            put({name, std::move(value), &member});
        }
    } else if (node.is_list()) {
        for (const auto& item : node.items) {
            const auto text = read_text(item, findings);
            const auto equals = text.find('=');
            std::optional<std::string> value;
            if (equals != text.npos) value = text.substr(equals + 1);
            put({text.substr(0, equals), std::move(value), &item});
        }
    } else {
        findings.fault(node, "expected a map, or a list of NAME=VALUE");
    }
    return pairs;
}

std::map<std::string, std::string> read_map(const Node& node, Findings& findings) {
    std::map<std::string, std::string> map;
    for (auto& pair : read_pairs(node, findings)) {
        map[pair.name] = std::move(pair.value).value_or("");
    }
    return map;
}

}  // namespace trailer::compose
