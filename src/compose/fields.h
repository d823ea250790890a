// Reading the members of a map, so that none is overlooked: what was neither taken nor named as
// unsupported is a fault when reading ends.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compose/findings.h"
#include "compose/tree.h"

namespace trailer::compose {

class Fields {
  public:
    // Another type of node than a map is a fault; it then has no members.
    Fields(const Node& node, Findings& findings);

    // Null where the member is missing, or null.
    const Node* take(std::string_view name);
    // Members that need nothing done.
    void accept(std::initializer_list<std::string_view> names);
    // Members that Trailer does not know how to do.
    void leave_out(std::initializer_list<std::string_view> names,
                   std::string_view why = "is not supported");
    // Tells of what is left. Members that begin with "x-" are for others.
    void finish();

  private:
    const Node& node_;
    Findings& findings_;
    std::set<std::string, std::less<>> taken_;
};

// Each reads one value; a value of another shape is a fault, and reads as nothing.
std::string read_text(const Node& node, Findings& findings);
std::optional<bool> read_bool(const Node& node, Findings& findings);
std::optional<std::int64_t> read_integer(const Node& node, Findings& findings);
std::optional<double> read_number(const Node& node, Findings& findings);
std::optional<std::int64_t> read_bytes(const Node& node, Findings& findings);
std::optional<std::int64_t> read_duration_ms(const Node& node, Findings& findings);
// A list of scalars.
std::vector<std::string> read_texts(const Node& node, Findings& findings);
// The same, or one scalar.
std::vector<std::string> read_text_or_texts(const Node& node, Findings& findings);
// A command line, split into words, or a list of words.
std::vector<std::string> read_words(const Node& node, Findings& findings);

// One of "NAME=VALUE", or of a map; no value where there is none, or where it is null.
struct Pair {
    std::string name;
    std::optional<std::string> value;
    const Node* node = nullptr;
};
// A map of scalars, or a list of NAME=VALUE. Where a name stands twice the last is taken.
std::vector<Pair> read_pairs(const Node& node, Findings& findings);
// The same as a map; a missing value is an empty one.
std::map<std::string, std::string> read_map(const Node& node, Findings& findings);

}  // namespace trailer::compose
