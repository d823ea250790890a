#include "wire/json.h"

#include <cmath>

namespace trailer::wire {
namespace {

std::string_view kind_of(const json::value& value) {
    switch (value.kind()) {
        case json::kind::null:
            return "null";
        case json::kind::bool_:
            return "a boolean";
        case json::kind::int64:
        case json::kind::uint64:
        case json::kind::double_:
            return "a number";
        case json::kind::string:
            return "a string";
        case json::kind::array:
            return "a list";
        case json::kind::object:
            return "a map";
    }
    return "?";
}

}  // namespace

void Reader::expected(std::string_view what) {
    fail(fmt::format("expected {}, got {}", what, kind_of(value_)));
}

Reader Reader::member(std::string_view name, const json::value& value) const {
    return {value, unknown_, errors_, append_pointer(pointer_, name)};
}

Reader Reader::element(std::size_t index, const json::value& value) const {
    return {value, unknown_, errors_, append_pointer(pointer_, std::to_string(index))};
}

std::string append_pointer(std::string_view pointer, std::string_view name) {
    std::string result(pointer);
    result += '/';
    for (const char c : name) {
        if (c == '~') {
            result += "~0";
        } else if (c == '/') {
            result += "~1";
        } else {
            result += c;
        }
    }
    return result;
}

json::value parse(std::string_view text) {
    json::stream_parser parser;
    boost::system::error_code error;
    const auto consumed = parser.write_some(text.data(), text.size(), error);
    if (!error) parser.finish(error);
    if (!error && text.substr(consumed).find_first_not_of(" \t\r\n") != text.npos) {
        error = json::error::extra_data;
    }
    if (error) {
        const auto before = text.substr(0, std::min(consumed, text.size()));
        const auto line = 1 + std::ranges::count(before, '\n');
        const auto newline = before.rfind('\n');
        const auto column = newline == before.npos ? before.size() + 1 : before.size() - newline;
        throw InvalidInput(
            "", fmt::format("line {}, column {}: not JSON: {}", line, column, error.message()));
    }
    return parser.release();
}

void detail::read_integer(Reader& reader, std::int64_t least, std::uint64_t most, std::int64_t& out,
                          std::uint64_t& out_unsigned) {
    const auto& value = reader.value();
    bool fits = false;
    if (const auto* i = value.if_int64()) {
        fits = *i >= least && (*i < 0 || static_cast<std::uint64_t>(*i) <= most);
        out = *i;
        out_unsigned = static_cast<std::uint64_t>(*i);
    } else if (const auto* u = value.if_uint64()) {
        fits = *u <= most;
        out = static_cast<std::int64_t>(*u);
        out_unsigned = *u;
    } else if (const auto* d = value.if_double(); d != nullptr && std::trunc(*d) == *d) {
        fits = *d >= static_cast<double>(least) && *d < static_cast<double>(most);
        if (fits) {
            out = static_cast<std::int64_t>(*d);
            out_unsigned = *d < 0 ? 0 : static_cast<std::uint64_t>(*d);
        }
    } else {
        return reader.expected("a whole number");
    }
    if (!fits) reader.fail(fmt::format("expected a whole number from {} to {}", least, most));
}

void read(Reader& reader, bool& out) {
    const auto* value = reader.value().if_bool();
    if (value == nullptr) return reader.expected("true or false");
    out = *value;
}

void read(Reader& reader, double& out) {
    boost::system::error_code error;
    const auto value = reader.value().to_number<double>(error);
    if (error) return reader.expected("a number");
    out = value;
}

void read(Reader& reader, std::string& out) {
    const auto* value = reader.value().if_string();
    if (value == nullptr) return reader.expected("a string");
    out.assign(value->data(), value->size());
}

void read(Reader& reader, Timestamp& out) {
    const auto* value = reader.value().if_string();
    if (value == nullptr) return reader.expected("an RFC 3339 time");
    try {
        out = parse_rfc3339(*value);
    } catch (const InvalidInput& e) {
        reader.fail(e.errors().front().detail);
    }
}

void read(Reader& reader, json::value& out) {
    out = reader.value();
}

void read(Reader& reader, json::object& out) {
    const auto* value = reader.value().if_object();
    if (value == nullptr) return reader.expected("a map");
    out = *value;
}

namespace {

void pretty_to(std::string& out, const json::value& value, int depth) {
    const auto line = [&](int level) {
        out += '\n';
        out.append(static_cast<std::size_t>(level) * 2, ' ');
    };
    if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
        out += '{';
        bool first = true;
        for (const auto& [key, member] : *object) {
            if (!std::exchange(first, false)) out += ',';
            line(depth + 1);
            out += json::serialize(json::value(key));
            out += ": ";
            pretty_to(out, member, depth + 1);
        }
        line(depth);
        out += '}';
    } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
        out += '[';
        bool first = true;
        for (const auto& element : *array) {
            if (!std::exchange(first, false)) out += ',';
            line(depth + 1);
            pretty_to(out, element, depth + 1);
        }
        line(depth);
        out += ']';
    } else {
        out += json::serialize(value);
    }
}

}  // namespace

std::string pretty(const json::value& value) {
    std::string out;
    pretty_to(out, value, 0);
    return out;
}

void merge_patch(json::value& target, const json::value& patch) {
    const auto* members = patch.if_object();
    if (members == nullptr) {
        target = patch;
        return;
    }
    if (!target.is_object()) target = json::object{};
    auto& object = target.get_object();
    for (const auto& [key, value] : *members) {
        if (value.is_null()) {
            object.erase(key);
        } else {
            merge_patch(object[key], value);
        }
    }
}

}  // namespace trailer::wire
