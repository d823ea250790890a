#include "client/session/log_selection.h"

#include <boost/json.hpp>

#include "client/arguments.h"
#include "client/failure.h"
#include "protocol/api.h"
#include "wire/json.h"

namespace trailer::client {

namespace json = boost::json;

namespace {

const json::value* member(const json::value& value, std::string_view name) {
    const auto* object = value.if_object();
    return object == nullptr ? nullptr : object->if_contains(name);
}

bool is_text(const json::value* value, std::string_view text) {
    return value != nullptr && value->is_string() && value->get_string() == text;
}

bool matches_one(const json::value& workspace, const Selector& selector) {
    if (selector.key == "group" && is_text(member(workspace, "group"), selector.value)) return true;
    const auto* spec = member(workspace, "spec");
    const auto* labels = spec == nullptr ? nullptr : member(*spec, "labels");
    return labels != nullptr && is_text(member(*labels, selector.key), selector.value);
}

}  // namespace

std::vector<Selector> parse_selectors(const std::vector<std::string>& texts) {
    std::vector<Selector> selectors;
    for (const auto& text : texts) {
        const auto equals = text.find('=');
        if (equals == text.npos || equals == 0) {
            throw UsageError(fmt::format("-l: expected KEY=VALUE, got \"{}\"", text));
        }
        selectors.push_back({text.substr(0, equals), text.substr(equals + 1)});
    }
    return selectors;
}

bool matches(const json::value& workspace, const std::vector<Selector>& selectors) {
    return std::ranges::all_of(selectors,
                               [&](const Selector& each) { return matches_one(workspace, each); });
}

void Selection::take(const json::value& workspace) {
    const auto view = wire::from_json<protocol::ResourceView>(workspace);
    if (matches(workspace, selectors_)) {
        names_[view.id] = view.name;
        others_.erase(view.id);
    } else {
        names_.erase(view.id);
        others_.insert(view.id);
    }
}

Task<> Selection::next() {
    for (;;) {
        const auto event = co_await feed_.next();
        if (!event) {
            const auto all = co_await api_.list_all(Subject::workspace);
            names_.clear();
            others_.clear();
            for (const auto& each : all) take(each);
            co_return;
        }
        if (event->kind != title(Subject::workspace)) continue;
        if (event->type == protocol::EventType::deleted) {
            names_.erase(event->id);
            others_.erase(event->id);
        } else {
            take(event->resource);
        }
        co_return;
    }
}

}  // namespace trailer::client
