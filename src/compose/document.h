// What a Compose file becomes: documents as `trailer apply` sends them, with the places of what
// they were made from.
#pragma once

#include <boost/json/object.hpp>
#include <map>
#include <string>

#include "compose/tree.h"
#include "protocol/api.h"
#include "wire/json.h"

namespace trailer::compose {

// By RFC 6901 pointers into the document: "/spec/ports/0".
using Places = std::map<std::string, Place>;

struct Document {
    protocol::Kind kind = protocol::Kind::workspace;
    std::string name;
    boost::json::object value;
    Places places;
};

// Members that have their default are left out: what a person reads of it is what the file says.
template <typename Spec>
boost::json::object spec_json(const Spec& spec) {
    auto made = wire::to_json(spec).as_object();
    const auto plain = wire::to_json(Spec{}).as_object();
    for (const auto& [name, value] : plain) {
        if (const auto* member = made.if_contains(name); member != nullptr && *member == value) {
            made.erase(name);
        }
    }
    return made;
}

}  // namespace trailer::compose
