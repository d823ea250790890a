#include "wire/json.h"

#include <gmock/gmock.h>

namespace {

enum class Policy { no, unless_stopped };
BOOST_DESCRIBE_ENUM(Policy, no, unless_stopped)
[[maybe_unused]] constexpr bool kebab_case(Policy) {
    return true;
}

struct Port {
    int host = 0;
    std::uint16_t container = 0;
    static constexpr std::array kRequired{std::string_view{"container"}};
    bool operator==(const Port&) const = default;
};
BOOST_DESCRIBE_STRUCT(Port, (), (host, container))

struct Spec {
    std::string image;
    std::vector<Port> ports;
    std::map<std::string, std::string> env;
    std::optional<double> cpus;
    Policy restart = Policy::no;
    bool operator==(const Spec&) const = default;
};
BOOST_DESCRIBE_STRUCT(Spec, (), (image, ports, env, cpus, restart))

using trailer::FieldError;
using trailer::InvalidInput;
using namespace trailer::wire;

std::vector<FieldError> faults(std::string_view text) {
    try {
        from_json_text<Spec>(text, Unknown::refuse);
    } catch (const InvalidInput& e) {
        return e.errors();
    }
    return {};
}

TEST(Json, ReadsWhatItWrote) {
    const Spec spec{"a:1", {{80, 8080}}, {{"A", "b"}}, 1.5, Policy::unless_stopped};
    EXPECT_EQ(from_json_text<Spec>(to_json_text(spec), Unknown::refuse), spec);
    EXPECT_EQ(to_json_text(spec), R"({"image":"a:1","ports":[{"host":80,"container":8080}],)"
                                  R"("env":{"A":"b"},"cpus":1.5E0,"restart":"unless-stopped"})");
}

TEST(Json, LeavesOutAnEmptyOptionalAndKeepsDefaultsOfMissingMembers) {
    EXPECT_FALSE(to_json(Spec{}).as_object().contains("cpus"));
    EXPECT_EQ(from_json_text<Spec>("{}"), Spec{});
    EXPECT_EQ(from_json_text<Spec>(R"({"cpus": null})"), Spec{});
}

TEST(Json, NamesEveryFaultByItsPointer) {
    const auto errors = faults(
        R"({"image": 1, "ports": [{"host": "x"}, {"container": 70000}], "restart": "maybe", "immage": 1})");
    EXPECT_THAT(
        errors,
        testing::ElementsAre(
            FieldError{"/image", "expected a string, got a number"},
            FieldError{"/ports/0/host", "expected a whole number, got a string"},
            FieldError{"/ports/0/container", "is required"},
            FieldError{"/ports/1/container", "expected a whole number from 0 to 65535"},
            FieldError{"/restart", "expected one of: no, unless-stopped, got a string"},
            FieldError{"/immage",
                       "is unknown here; expected one of: image, ports, env, cpus, restart"}));
}

TEST(Json, IgnoresUnknownMembersWhenAsked) {
    EXPECT_EQ(from_json_text<Spec>(R"({"later": {"x": 1}})", Unknown::ignore), Spec{});
}

TEST(Json, EscapesPointers) {
    EXPECT_EQ(append_pointer("/env", "a/b~c"), "/env/a~1b~0c");
}

TEST(Json, SaysWhereTheTextIsBroken) {
    try {
        parse("{\n  \"a\": 1,\n  oops\n}");
        FAIL() << "parsed";
    } catch (const InvalidInput& e) {
        EXPECT_THAT(e.what(), testing::HasSubstr("line 3"));
    }
    EXPECT_THROW(parse("{} {}"), InvalidInput);
    EXPECT_THROW(parse("{"), InvalidInput);
}

TEST(Json, MergesPatchesAsRfc7396Says) {
    auto target = parse(R"({"a": {"b": 1, "c": 2}, "d": 3})");
    merge_patch(target, parse(R"({"a": {"b": null, "e": 4}, "d": [5]})"));
    EXPECT_EQ(target, parse(R"({"a": {"c": 2, "e": 4}, "d": [5]})"));
}

}  // namespace
