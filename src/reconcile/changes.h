// How two specs differ, in words for people.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace trailer::reconcile {

namespace json = boost::json;

// A member that differs. Secrets are not shown.
struct Change {
    std::string field;  // "image", "env/EDITOR", "resources/memory"
    std::string from;
    std::string to;

    bool operator==(const Change&) const = default;
};
std::string to_string(const Change& change);  // "image: a -> b"
std::string join(const std::vector<Change>& changes);

// Members of `to` that differ from `from`. A level deep where both are objects: "env/EDITOR".
std::vector<Change> compare(const json::object& from, const json::object& to);

// "none" for 0.
std::string amount(std::int64_t value);

}  // namespace trailer::reconcile
