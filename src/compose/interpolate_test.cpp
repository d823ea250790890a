#include "compose/interpolate.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "compose/dotenv.h"

namespace {

using namespace trailer;
using namespace trailer::compose;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Variables kVariables{{"NAME", "web"}, {"EMPTY", ""}, {"TAG", "1.2"}};

std::string expanded(std::string_view text) {
    std::set<std::string> unset;
    return interpolate(text, kVariables, unset);
}

std::string fault_of(std::string_view text) {
    try {
        expanded(text);
    } catch (const Error& e) {
        return e.what();
    }
    return "";
}

TEST(Interpolate, KnowsEachForm) {
    EXPECT_EQ(expanded("plain"), "plain");
    EXPECT_EQ(expanded("$NAME/${NAME}:${TAG}x"), "web/web:1.2x");
    EXPECT_EQ(expanded("${NO:-d}${EMPTY:-d}${NAME:-d}"), "ddweb");
    EXPECT_EQ(expanded("[${NO-d}${EMPTY-d}]"), "[d]");
    EXPECT_EQ(expanded("[${NO:+a}${EMPTY:+a}${NAME:+a}]"), "[a]");
    EXPECT_EQ(expanded("[${NO+a}${EMPTY+a}]"), "[a]");
    EXPECT_EQ(expanded("${NAME:?needed}${EMPTY?needed}"), "web");
    EXPECT_EQ(expanded("$$NAME $${NAME} $$$NAME"), "$NAME ${NAME} $web");
    EXPECT_EQ(expanded("${NO:-}"), "");
}

TEST(Interpolate, DefaultsHoldVariablesInTurn) {
    EXPECT_EQ(expanded("${NO:-${ALSO_NO:-${NAME}-x}}/y"), "web-x/y");
    EXPECT_EQ(expanded("${NO:-http://{a}}"), "http://{a}");
    EXPECT_EQ(expanded("${NAME:-${NEVER:?not looked at}}"), "web");
    EXPECT_EQ(expanded("${NO-a$$b}"), "a$b");
}

TEST(Interpolate, TellsOfWhatIsMissingOrMalformed) {
    std::set<std::string> unset;
    EXPECT_EQ(interpolate("[$NO${ALSO}${NAME}]", kVariables, unset), "[web]");
    EXPECT_THAT(unset, ElementsAre("ALSO", "NO"));
    EXPECT_EQ(fault_of("${NO:?set it in .env}"), "the variable NO is required: set it in .env");
    EXPECT_EQ(fault_of("${EMPTY:?}"), "the variable EMPTY is required");
    EXPECT_THAT(fault_of("costs 5$"), HasSubstr("lone '$'"));
    EXPECT_THAT(fault_of("$1"), HasSubstr("lone '$'"));
    EXPECT_THAT(fault_of("${NAME"), HasSubstr("without its }"));
    EXPECT_THAT(fault_of("${}"), HasSubstr("expected a variable's name"));
    EXPECT_THAT(fault_of("${NAME!x}"), HasSubstr("expected one of"));
}

std::map<std::string, std::string> entries_of(std::string_view text) {
    std::map<std::string, std::string> map;
    for (const auto& [name, value] : parse_env_file(text, kVariables).entries) {
        map[name] = value.value_or("(none)");
    }
    return map;
}

TEST(EnvFile, ReadsWhatPeopleWrite) {
    const auto entries = entries_of(
        "\xEF\xBB\xBF# a comment\n"
        "A=1\r\n"
        "  export B = two words  # why\n"
        "C='$NAME # as it is'\n"
        "D=\"line\\nnext ${NAME} \\$x \\\"q\\\"\"   # said\n"
        "E=\n"
        "F\n"
        "G=${A}${NAME}${NO:-d}\n"
        "H=a#b\n"
        "I=\"two\nlines\"\n"
        "J=#nothing\n"
        "URL=postgres://u:p@h/d?x=1&y=2\n");
    EXPECT_EQ(entries.at("A"), "1");
    EXPECT_EQ(entries.at("B"), "two words");
    EXPECT_EQ(entries.at("C"), "$NAME # as it is");
    EXPECT_EQ(entries.at("D"), "line\nnext web $x \"q\"");
    EXPECT_EQ(entries.at("E"), "");
    EXPECT_EQ(entries.at("F"), "(none)");
    EXPECT_EQ(entries.at("G"), "1webd");
    EXPECT_EQ(entries.at("H"), "a#b");
    EXPECT_EQ(entries.at("I"), "two\nlines");
    EXPECT_EQ(entries.at("J"), "");
    EXPECT_EQ(entries.at("URL"), "postgres://u:p@h/d?x=1&y=2");
}

TEST(EnvFile, TellsTheLineOfWhatItCantRead) {
    const auto made = parse_env_file("A=1\n=x\nB='open\n", {});
    ASSERT_EQ(made.faults.size(), 2U);
    EXPECT_EQ(made.faults[0].line, 2);
    EXPECT_EQ(made.faults[1].line, 3);
    EXPECT_THAT(made.faults[1].what, HasSubstr("not closed"));
    EXPECT_THAT(parse_env_file("A=\"x\" y\n", {}).faults.at(0).what, HasSubstr("behind"));
    EXPECT_THAT(parse_env_file("A=${X:?secret s3cr3t}\n", {}).faults.at(0).what,
                HasSubstr("X is required"));
}

TEST(EnvFile, TheSurroundingsWinOverLinesBefore) {
    const auto made = parse_env_file("NAME=other\nB=$NAME\n", kVariables);
    EXPECT_EQ(made.entries.at(1).second, "web");
}

TEST(EnvFile, RawTakesValuesAsTheyAre) {
    const auto made = parse_raw_env_file("A='q' # $x\n# no\nB\n");
    ASSERT_EQ(made.entries.size(), 2U);
    EXPECT_EQ(made.entries[0].second, "'q' # $x");
    EXPECT_FALSE(made.entries[1].second.has_value());
    EXPECT_THAT(made.faults, IsEmpty());
}

}  // namespace
