// A Compose file as a tree that remembers where each part stood, and how it was written.
//
// Scalars keep their text: whether `1.10` is a number or a version is for the member that reads it
// to say. Aliases and merge keys (`<<`) are resolved.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trailer::compose {

struct Place {
    std::string file;
    int line = 1;
    int column = 1;

    std::string text() const;  // "compose.yaml:12:5"
    bool operator==(const Place&) const = default;
};

struct Member;

struct Node {
    enum class Type { null, scalar, list, map };
    // What an override file asks for with `!reset` and `!override`.
    enum class Tag { none, reset, override };

    Type type = Type::null;
    Tag tag = Tag::none;
    std::string text;             // of a scalar
    std::vector<Node> items;      // of a list
    std::vector<Member> members;  // of a map, in the file's order
    Place place;                  // of a map's member: its key
    std::string path;             // "services.web.ports[0]"

    bool is_null() const { return type == Type::null; }
    bool is_scalar() const { return type == Type::scalar; }
    bool is_list() const { return type == Type::list; }
    bool is_map() const { return type == Type::map; }

    // Null where there is no such member.
    const Node* find(std::string_view name) const;
    Node* find(std::string_view name);
};

struct Member {
    std::string name;
    Node node;
};

// Every document of a file but the empty ones, in their order. Throws InvalidInput that tells line
// and column, for what is no YAML, for a key that stands twice, and for an alias bomb.
std::vector<Node> parse_tree(const std::string& file, std::string_view text);

// Whether a document is of a Compose file, and not one of Trailer's own.
bool is_compose(const Node& document);

// "services.web" and "image" -> "services.web.image".
std::string join_path(const std::string& path, std::string_view name);

}  // namespace trailer::compose
