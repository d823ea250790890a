// YAML documents as JSON values that remember where each member stood.
#pragma once

#include <boost/json/value.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace trailer::wire {

struct Position {
    int line = 0;    // from 1
    int column = 0;  // from 1
};

struct YamlDocument {
    boost::json::value value;
    std::map<std::string, Position> positions;  // by RFC 6901 pointer; "" is the document itself

    // The position of `pointer`, or of the nearest parent that is known.
    Position position_of(std::string_view pointer) const;
};

// Reads every document of a file (YAML 1.2 core schema: yes, no, on and off are strings; JSON is
// YAML too). Empty documents are left out. Throws InvalidInput with line and column, for a key that
// stands twice and for an alias bomb too.
std::vector<YamlDocument> parse_yaml(std::string_view text);

// YAML for people, of any JSON value.
std::string to_yaml(const boost::json::value& value);

}  // namespace trailer::wire
