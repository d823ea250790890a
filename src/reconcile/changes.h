// How two specs differ, and why a step is to be done, in words for people.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "protocol/agent.h"

namespace trailer::reconcile {

namespace json = boost::json;

using Change = protocol::FieldChange;
std::string to_string(const Change& change);  // "image: a -> b"
std::string join(const std::vector<Change>& changes);

// Members of `to` that differ from `from`. A level deep where both are objects: "env/EDITOR".
std::vector<Change> compare(const json::object& from, const json::object& to);

// Why a step is done: words, or the fields that differ.
struct Reason {
    Reason(const char* words) : text(words) {}
    Reason(std::string words) : text(std::move(words)) {}
    Reason(std::vector<Change> fields) : text(join(fields)), changes(std::move(fields)) {}

    std::string text;
    std::vector<Change> changes;
};

// "none" for 0.
std::string amount(std::int64_t value);

}  // namespace trailer::reconcile
