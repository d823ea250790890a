#include "reconcile/changes.h"

#include <set>

namespace trailer::reconcile {
namespace {

std::string text_of(const json::value& value) {
    if (const auto* text = value.if_string()) return std::string(*text);
    return value.is_null() ? "none" : json::serialize(value);
}

void compare_members(const std::string& prefix, const json::object& from, const json::object& to,
                     std::vector<Change>& changes) {
    std::set<std::string> names;
    for (const auto& [name, value] : from) names.emplace(name);
    for (const auto& [name, value] : to) names.emplace(name);
    const json::value none;
    for (const auto& name : names) {
        const auto* was = from.if_contains(name);
        const auto* is = to.if_contains(name);
        if (was == nullptr) was = &none;
        if (is == nullptr) is = &none;
        if (*was == *is) continue;
        if (prefix.empty() && (name == "env" || name == "labels")) {
            const json::object empty;
            compare_members(name + "/", was->is_object() ? was->get_object() : empty,
                            is->is_object() ? is->get_object() : empty, changes);
        } else if (prefix == "env/") {  // their hashes say nothing to people
            changes.push_back({prefix + name, was->is_null() ? "none" : "set",
                               is->is_null() ? "none" : "another value"});
        } else {
            changes.push_back({prefix + name, text_of(*was), text_of(*is)});
        }
    }
}

}  // namespace

std::string to_string(const Change& change) {
    return fmt::format("{}: {} -> {}", change.field, change.from, change.to);
}

std::vector<Change> compare(const json::object& from, const json::object& to) {
    std::vector<Change> changes;
    compare_members("", from, to, changes);
    return changes;
}

std::string join(const std::vector<Change>& changes) {
    std::string text;
    for (const auto& each : changes) text += (text.empty() ? "" : ", ") + to_string(each);
    return text;
}

std::string amount(std::int64_t value) {
    return value == 0 ? "none" : std::to_string(value);
}

}  // namespace trailer::reconcile
