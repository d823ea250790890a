#include "compose/tree.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "base/error.h"

namespace trailer::compose {
namespace {

// Aliases let a small text stand for a huge tree: no honest file comes near this.
constexpr std::size_t kMostNodes = 50'000;
constexpr int kDeepest = 64;

[[noreturn]] void fail(const YAML::Mark& mark, std::string_view what) {
    throw InvalidInput("", mark.is_null() ? std::string(what)
                                          : fmt::format("line {}, column {}: {}", mark.line + 1,
                                                        mark.column + 1, what));
}

bool is_null_text(const std::string& text) {
    return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

Node::Tag tag_of(const YAML::Node& node) {
    if (node.Tag() == "!reset") return Node::Tag::reset;
    if (node.Tag() == "!override") return Node::Tag::override;
    return Node::Tag::none;
}

class Converter {
  public:
    explicit Converter(const std::string& file) : file_(file) {}

    Node convert(const YAML::Node& node, std::string path, int depth) {
        if (++count_ > kMostNodes || depth > kDeepest) {
            fail(node.Mark(), "the file is too large or nested too deeply");
        }
        Node made{.tag = tag_of(node), .place = place_of(node.Mark()), .path = std::move(path)};
        switch (node.Type()) {
            case YAML::NodeType::Undefined:
            case YAML::NodeType::Null:
                break;
            case YAML::NodeType::Scalar:
                // "?" is the tag of what stands without quotes.
                if (node.Tag() == "?" && is_null_text(node.Scalar())) break;
                made.type = Node::Type::scalar;
                made.text = node.Scalar();
                break;
            case YAML::NodeType::Sequence:
                made.type = Node::Type::list;
                for (std::size_t i = 0; i < node.size(); ++i) {
                    made.items.push_back(
                        convert(node[i], fmt::format("{}[{}]", made.path, i), depth + 1));
                }
                break;
            case YAML::NodeType::Map:
                made.type = Node::Type::map;
                read_members(node, made, depth);
                break;
        }
        return made;
    }

  private:
    Place place_of(const YAML::Mark& mark) const {
        return {file_, std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1};
    }

    void read_members(const YAML::Node& node, Node& made, int depth) {
        std::vector<std::pair<YAML::Mark, YAML::Node>> merged;
        for (const auto& entry : node) {
            const auto& key = entry.first;
            const auto& value = entry.second;
            if (!key.IsScalar()) fail(key.Mark(), "a key must be a plain word");
            const auto& name = key.Scalar();
            if (name == "<<" && key.Tag() == "?") {
                merged.emplace_back(key.Mark(), value);
                continue;
            }
            if (made.find(name) != nullptr) {
                fail(key.Mark(), fmt::format("the key \"{}\" stands here twice", name));
            }
            auto member = convert(value, join_path(made.path, name), depth + 1);
            member.place = place_of(key.Mark());
            made.members.emplace_back(name, std::move(member));
        }
        // What stands in the map itself wins, then the first of those that are merged.
        for (const auto& [mark, value] : merged) merge(mark, value, made, depth);
    }

    void merge(const YAML::Mark& mark, const YAML::Node& value, Node& made, int depth) {
        if (value.IsSequence()) {
            for (const auto& each : value) merge(mark, each, made, depth + 1);
            return;
        }
        if (!value.IsMap()) fail(mark, "expected a map, or a list of maps, to merge");
        auto other = convert(value, made.path, depth + 1);
        for (auto& [name, member] : other.members) {
            if (made.find(name) == nullptr) made.members.emplace_back(name, std::move(member));
        }
    }

    const std::string& file_;
    std::size_t count_ = 0;
};

}  // namespace

std::string Place::text() const {
    return fmt::format("{}:{}:{}", file, line, column);
}

const Node* Node::find(std::string_view name) const {
    const auto found = std::ranges::find(members, name, &Member::name);
    return found == members.end() ? nullptr : &found->node;
}

Node* Node::find(std::string_view name) {
    const auto found = std::ranges::find(members, name, &Member::name);
    return found == members.end() ? nullptr : &found->node;
}

std::vector<Node> parse_tree(const std::string& file, std::string_view text) {
    std::vector<YAML::Node> nodes;
    try {
        nodes = YAML::LoadAll(std::string(text));
    } catch (const YAML::Exception& e) {
        fail(e.mark, e.msg);
    }
    std::vector<Node> documents;
    for (const auto& node : nodes) {
        if (node.IsNull() || !node.IsDefined()) continue;
        documents.push_back(Converter(file).convert(node, "", 0));
    }
    return documents;
}

bool is_compose(const Node& document) {
    if (!document.is_map() || document.find("kind") != nullptr) return false;
    return std::ranges::any_of(document.members, [](const Member& member) {
        const auto& name = member.name;
        return name == "services" || name == "include" || name == "volumes" || name == "networks" ||
               name == "configs" || name == "secrets";
    });
}

std::string join_path(const std::string& path, std::string_view name) {
    return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

}  // namespace trailer::compose
