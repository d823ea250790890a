#include "compose/merge.h"

#include <algorithm>
#include <array>

namespace trailer::compose {
namespace {

std::string_view last_part(std::string_view path) {
    const auto dot = path.rfind('.');
    return dot == path.npos ? path : path.substr(dot + 1);
}

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) {
    return std::ranges::find(words, word) != words.end();
}

// Of a service, or of its build or health check.
constexpr std::array<std::string_view, 3> kReplaced{"command", "entrypoint", "test"};
constexpr std::array<std::string_view, 5> kPairs{"environment", "labels", "sysctls", "args",
                                                 "extra_hosts"};
constexpr std::array<std::string_view, 4> kNames{"depends_on", "networks", "configs", "secrets"};
constexpr std::array<std::string_view, 5> kOneOrMany{"env_file", "dns", "tmpfs", "dns_search",
                                                     "profiles"};

bool in_service(std::string_view path) {
    return path.starts_with("services.");
}

Node scalar_like(const Node& like, std::string text) {
    return {.type = Node::Type::scalar,
            .text = std::move(text),
            .place = like.place,
            .path = like.path};
}

// "A=1" -> the member A of value 1.
Node map_of_pairs(const Node& list) {
    Node map{.type = Node::Type::map, .tag = list.tag, .place = list.place, .path = list.path};
    for (const auto& item : list.items) {
        const auto equals = item.text.find('=');
        auto name = item.text.substr(0, equals);
        Node value{.place = item.place, .path = join_path(list.path, name)};
        if (equals != item.text.npos) {
            value.type = Node::Type::scalar;
            value.text = item.text.substr(equals + 1);
        }
        if (auto* known = map.find(name)) {
            *known = std::move(value);
        } else {
            map.members.emplace_back(std::move(name), std::move(value));
        }
    }
    return map;
}

Node map_of_names(const Node& list, std::string_view member) {
    Node map{.type = Node::Type::map, .tag = list.tag, .place = list.place, .path = list.path};
    for (const auto& item : list.items) {
        Node value{.place = item.place, .path = join_path(list.path, item.text)};
        if (member == "depends_on") {
            value.type = Node::Type::map;
            value.members.emplace_back("condition", scalar_like(item, "service_started"));
        }
        map.members.emplace_back(item.text, std::move(value));
    }
    return map;
}

bool all_scalars(const Node& list) {
    return std::ranges::all_of(list.items, [](const Node& each) { return each.is_scalar(); });
}

// What can be written in a short and a long way, in the one that merges.
Node mergeable(const Node& node) {
    if (!in_service(node.path)) return node;
    const auto name = last_part(node.path);
    if (node.is_list() && all_scalars(node)) {
        const bool pairs =
            is_one_of(name, kPairs) && std::ranges::all_of(node.items, [](const Node& each) {
                return each.text.find('=') != std::string::npos ||
                       each.text.find(':') == std::string::npos;
            });
        if (pairs) return map_of_pairs(node);
        if (is_one_of(name, kNames)) return map_of_names(node, name);
    }
    if (node.is_scalar() && name == "build") {
        Node map{.type = Node::Type::map, .tag = node.tag, .place = node.place, .path = node.path};
        map.members.emplace_back("context", scalar_like(node, node.text));
        return map;
    }
    if (node.is_scalar() && is_one_of(name, kOneOrMany)) {
        Node list{
            .type = Node::Type::list, .tag = node.tag, .place = node.place, .path = node.path};
        list.items.push_back(scalar_like(node, node.text));
        return list;
    }
    return node;
}

// By what an entry of a list stands for another: a mount's target, or all of it.
std::string identity_of(const Node& item, std::string_view list) {
    if (item.is_map()) {
        std::string text;
        for (const auto* name : {"target", "published", "protocol", "host_ip"}) {
            const auto* member = item.find(name);
            if (list == "volumes" && std::string_view(name) != "target") continue;
            text += "|" + (member == nullptr ? std::string() : member->text);
        }
        return text;
    }
    if (list != "volumes") return item.text;
    const auto first = item.text.find(':');
    if (first == item.text.npos) return "|" + item.text;
    const auto second = item.text.find(':', first + 1);
    return "|" +
           item.text.substr(first + 1, second == item.text.npos ? second : second - first - 1);
}

void append(Node& base, const Node& over) {
    const auto list = last_part(over.path);
    for (const auto& item : over.items) {
        const auto same = std::ranges::find_if(base.items, [&](const Node& each) {
            return identity_of(each, list) == identity_of(item, list);
        });
        if (same == base.items.end()) {
            base.items.push_back(item);
        } else {
            *same = item;
        }
    }
}

}  // namespace

Node merge(Node base, const Node& over) {
    if (over.tag != Node::Tag::none) return over;
    if (over.is_null()) return base;
    base = mergeable(base);
    const auto other = mergeable(over);
    if (base.is_list() && other.is_list() && !is_one_of(last_part(over.path), kReplaced)) {
        append(base, other);
        return base;
    }
    if (!base.is_map() || !other.is_map()) return other;
    for (const auto& [name, member] : other.members) {
        if (auto* known = base.find(name)) {
            *known = merge(std::move(*known), member);
        } else {
            base.members.emplace_back(name, member);
        }
    }
    return base;
}

void drop_resets(Node& node) {
    std::erase_if(node.members,
                  [](const Member& each) { return each.node.tag == Node::Tag::reset; });
    std::erase_if(node.items, [](const Node& each) { return each.tag == Node::Tag::reset; });
    for (auto& [name, member] : node.members) drop_resets(member);
    for (auto& item : node.items) drop_resets(item);
}

}  // namespace trailer::compose
