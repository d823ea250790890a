// Described struct <-> JSON. A struct opts in by BOOST_DESCRIBE_STRUCT, an enum by
// BOOST_DESCRIBE_ENUM; nobody writes field code.
//
//   struct Port { int host = 0; int container = 0; };
//   BOOST_DESCRIBE_STRUCT(Port, (), (host, container))
//
// Reading: a member that is missing keeps its default, but for those in the struct's
// `static constexpr std::array kRequired{std::string_view{"container"}}`. null reads as missing for
// std::optional only. Unknown members are ignored (our own clients reading answers) or refused (the
// server reading requests). Every fault is collected, not only the first, each with its RFC 6901
// pointer.
//
// Writing: an empty std::optional is left out; everything else is written.
//
// Enumerators are written as their names; a trailing '_' is dropped (`delete_`), and '_' becomes
// '-' where `constexpr bool kebab_case(EnumType)` is declared beside the enum (`unless_stopped` ->
// "unless-stopped").
//
// A type with another shape declares beside it, for argument-dependent lookup,
//   boost::json::value write_json(const T&);   void read_json(Reader&, T&);
#pragma once

#include <array>
#include <boost/describe.hpp>
#include <boost/json.hpp>
#include <boost/mp11.hpp>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace trailer::wire {

namespace json = boost::json;

enum class Unknown { ignore, refuse };

// One value that is being read, and where it stands. Faults go into a list that all readers of one
// document share.
class Reader {
  public:
    Reader(const json::value& value, Unknown unknown, std::vector<FieldError>& errors,
           std::string pointer = {})
        : value_(value), unknown_(unknown), errors_(errors), pointer_(std::move(pointer)) {}

    const json::value& value() const { return value_; }
    const std::string& pointer() const { return pointer_; }
    bool refuses_unknown() const { return unknown_ == Unknown::refuse; }

    void fail(std::string detail) { errors_.push_back({pointer_, std::move(detail)}); }
    // "expected a number, got a string"; the value itself is not shown, for it may be a secret.
    void expected(std::string_view what);

    Reader member(std::string_view name, const json::value& value) const;
    Reader element(std::size_t index, const json::value& value) const;

  private:
    const json::value& value_;
    Unknown unknown_;
    std::vector<FieldError>& errors_;
    std::string pointer_;
};

// RFC 6901: '~' and '/' inside a name are escaped.
std::string append_pointer(std::string_view pointer, std::string_view name);

// Parses text as one JSON value. Throws InvalidInput with line and column.
json::value parse(std::string_view text);

namespace detail {

template <typename T>
concept Described = boost::describe::has_describe_members<T>::value && !std::is_union_v<T>;
template <typename T>
concept DescribedEnum = boost::describe::has_describe_enumerators<T>::value;
template <typename T>
concept CustomRead = requires(Reader& reader, T& out) { read_json(reader, out); };
template <typename T>
concept CustomWrite = requires(const T& value) {
    { write_json(value) } -> std::convertible_to<json::value>;
};
template <typename T>
struct is_optional : std::false_type {};
template <typename T>
struct is_optional<std::optional<T>> : std::true_type {};

template <typename E>
std::string enum_text(const char* name) {
    std::string text = name;
    if (text.ends_with('_')) text.pop_back();
    if constexpr (requires { kebab_case(E{}); }) std::ranges::replace(text, '_', '-');
    return text;
}

void read_integer(Reader& reader, std::int64_t least, std::uint64_t most, std::int64_t& out,
                  std::uint64_t& out_unsigned);

}  // namespace detail

// The enumerator's text on the wire.
template <detail::DescribedEnum E>
std::string to_text(E value) {
    std::string text = "?";
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<E>>([&](auto d) {
        if (d.value == value) text = detail::enum_text<E>(d.name);
    });
    return text;
}

template <detail::DescribedEnum E>
std::optional<E> from_text(std::string_view text) {
    std::optional<E> value;
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<E>>([&](auto d) {
        if (detail::enum_text<E>(d.name) == text) value = d.value;
    });
    return value;
}

// "running, stopped, error"
template <detail::DescribedEnum E>
std::string all_texts() {
    std::string text;
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<E>>([&](auto d) {
        if (!text.empty()) text += ", ";
        text += detail::enum_text<E>(d.name);
    });
    return text;
}

template <typename T>
void read(Reader& reader, T& out);

template <typename T>
void read(Reader& reader, std::optional<T>& out) {
    if (reader.value().is_null()) {
        out.reset();
    } else {
        read(reader, out.emplace());
    }
}

template <typename T>
void read(Reader& reader, std::vector<T>& out) {
    const auto* array = reader.value().if_array();
    if (array == nullptr) return reader.expected("a list");
    out.clear();
    out.reserve(array->size());
    for (std::size_t i = 0; i < array->size(); ++i) {
        auto element = reader.element(i, (*array)[i]);
        read(element, out.emplace_back());
    }
}

template <typename T>
void read(Reader& reader, std::map<std::string, T>& out) {
    const auto* object = reader.value().if_object();
    if (object == nullptr) return reader.expected("a map");
    out.clear();
    for (const auto& [key, value] : *object) {
        auto member = reader.member(key, value);
        read(member, out[std::string(key)]);
    }
}

void read(Reader& reader, bool& out);
void read(Reader& reader, double& out);
void read(Reader& reader, std::string& out);
void read(Reader& reader, Timestamp& out);
void read(Reader& reader, json::value& out);
void read(Reader& reader, json::object& out);

template <std::integral T>
void read_number(Reader& reader, T& out) {
    std::int64_t value = 0;
    std::uint64_t value_unsigned = 0;
    detail::read_integer(reader, static_cast<std::int64_t>(std::numeric_limits<T>::min()),
                         static_cast<std::uint64_t>(std::numeric_limits<T>::max()), value,
                         value_unsigned);
    out = std::is_signed_v<T> ? static_cast<T>(value) : static_cast<T>(value_unsigned);
}

template <detail::Described T>
void read_struct(Reader& reader, T& out) {
    namespace d = boost::describe;
    const auto* object = reader.value().if_object();
    if (object == nullptr) return reader.expected("a map");
    std::size_t known = 0;
    boost::mp11::mp_for_each<d::describe_members<T, d::mod_public | d::mod_inherited>>([&](auto m) {
        if (const auto* value = object->if_contains(m.name)) {
            ++known;
            auto member = reader.member(m.name, *value);
            read(member, out.*m.pointer);
        } else if constexpr (requires { T::kRequired; }) {
            if (std::ranges::find(T::kRequired, m.name) != T::kRequired.end()) {
                auto member = reader.member(m.name, reader.value());
                member.fail("is required");
            }
        }
    });
    if (!reader.refuses_unknown() || known == object->size()) return;
    for (const auto& [key, value] : *object) {
        bool found = false;
        boost::mp11::mp_for_each<d::describe_members<T, d::mod_public | d::mod_inherited>>(
            [&](auto m) { found = found || key == m.name; });
        if (found) continue;
        std::string names;
        boost::mp11::mp_for_each<d::describe_members<T, d::mod_public | d::mod_inherited>>(
            [&](auto m) { names += (names.empty() ? "" : ", ") + std::string(m.name); });
        auto member = reader.member(key, value);
        member.fail("is unknown here; expected one of: " + names);
    }
}

template <typename T>
void read(Reader& reader, T& out) {
    if constexpr (detail::CustomRead<T>) {
        read_json(reader, out);
    } else if constexpr (detail::DescribedEnum<T>) {
        const auto* text = reader.value().if_string();
        const auto value = text != nullptr ? from_text<T>(*text) : std::nullopt;
        if (!value) return reader.expected("one of: " + all_texts<T>());
        out = *value;
    } else if constexpr (std::is_integral_v<T>) {
        read_number(reader, out);
    } else {
        static_assert(detail::Described<T>, "describe the struct, or give it read_json");
        read_struct(reader, out);
    }
}

// Throws InvalidInput with every fault. `pointer` is where `value` stands in a larger document.
template <typename T>
T from_json(const json::value& value, Unknown unknown = Unknown::ignore, std::string pointer = {}) {
    std::vector<FieldError> errors;
    T out{};
    Reader reader(value, unknown, errors, std::move(pointer));
    read(reader, out);
    if (!errors.empty()) throw InvalidInput(std::move(errors));
    return out;
}

template <typename T>
json::value to_json(const T& value);

namespace detail {
template <typename T>
json::value write(const T& value) {
    if constexpr (CustomWrite<T>) {
        return write_json(value);
    } else if constexpr (DescribedEnum<T>) {
        return json::value(to_text(value));
    } else if constexpr (std::is_same_v<T, Timestamp>) {
        return json::value(format_rfc3339(value));
    } else if constexpr (std::is_same_v<T, json::value> || std::is_same_v<T, json::object> ||
                         std::is_arithmetic_v<T>) {
        return value;
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
        return json::value(json::string(std::string_view(value)));
    } else if constexpr (is_optional<T>::value) {
        return value ? to_json(*value) : json::value(nullptr);
    } else if constexpr (requires { typename T::mapped_type; }) {
        json::object object;
        for (const auto& [key, each] : value) object.emplace(key, to_json(each));
        return object;
    } else if constexpr (std::ranges::range<T>) {
        json::array array;
        for (const auto& each : value) array.push_back(to_json(each));
        return array;
    } else {
        static_assert(Described<T>, "describe the struct, or give it write_json");
        namespace d = boost::describe;
        json::object object;
        boost::mp11::mp_for_each<d::describe_members<T, d::mod_public | d::mod_inherited>>(
            [&](auto m) {
                const auto& member = value.*m.pointer;
                if constexpr (is_optional<std::remove_cvref_t<decltype(member)>>::value) {
                    if (!member) return;
                }
                object.emplace(m.name, to_json(member));
            });
        return object;
    }
}
}  // namespace detail

template <typename T>
json::value to_json(const T& value) {
    return detail::write(value);
}

template <typename T>
std::string to_json_text(const T& value) {
    return json::serialize(to_json(value));
}

template <typename T>
T from_json_text(std::string_view text, Unknown unknown = Unknown::ignore) {
    return from_json<T>(parse(text), unknown);
}

// For people: two spaces of indentation, members in their order.
std::string pretty(const json::value& value);

// JSON merge patch (RFC 7396).
void merge_patch(json::value& target, const json::value& patch);

}  // namespace trailer::wire
