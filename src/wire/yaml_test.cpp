#include "wire/yaml.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "wire/json.h"

namespace {

using namespace trailer::wire;
using trailer::InvalidInput;

TEST(Yaml, ResolvesScalarsByTheCoreSchema) {
    const auto documents =
        parse_yaml("a: no\nb: true\nc: 1.5\nd: '8'\ne: ~\nf: 0x10\ng: 1.2.3\nh: 22:22\n");
    ASSERT_EQ(documents.size(), 1U);
    EXPECT_EQ(
        documents[0].value,
        parse(R"({"a":"no","b":true,"c":1.5,"d":"8","e":null,"f":16,"g":"1.2.3","h":"22:22"})"));
}

TEST(Yaml, RemembersLinesAcrossDocuments) {
    const auto documents =
        parse_yaml("kind: Network\n---\nkind: Workspace\nspec:\n  ports:\n    - host: 80\n");
    ASSERT_EQ(documents.size(), 2U);
    EXPECT_EQ(documents[1].position_of("/spec/ports/0/host").line, 6);
    EXPECT_EQ(documents[1].position_of("/spec/ports/0/absent").line, 6);
}

TEST(Yaml, RefusesAKeyThatStandsTwiceAndSaysWhere) {
    try {
        parse_yaml("a: 1\nb: 2\na: 3\n");
        FAIL() << "parsed";
    } catch (const InvalidInput& e) {
        EXPECT_THAT(e.what(), testing::HasSubstr("line 3"));
    }
}

TEST(Yaml, RefusesAnAliasBomb) {
    std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 9; ++i) {
        text += fmt::format(
            "a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i,
            i - 1);
    }
    EXPECT_THROW(parse_yaml(text), InvalidInput);
}

TEST(Yaml, WritesWhatItReadsBack) {
    const auto value =
        parse(R"({"a":["1",1,true,"true",null],"b":{"c":"x: y","d":"l1\nl2\n"},"e":[]})");
    EXPECT_EQ(parse_yaml(to_yaml(value)).at(0).value, value);
}

TEST(Yaml, TextOfSeveralLinesReadsBackAsItWas) {
    for (const auto* text : {"a\nb", "a\nb\n", "a\n\n", "\na\n", " a\nb\n", "a\n\tb \n", "a\r\nb\n",
                             "\r", "a\tb", "\n"}) {
        const json::value value{{"first", text}, {"second", 2}};
        const auto documents = parse_yaml(to_yaml(value));
        ASSERT_EQ(documents.size(), 1U);
        EXPECT_EQ(documents.front().value, value) << to_yaml(value);
    }
}

TEST(Yaml, RefusesBytesThatAreNotUtf8AndSaysWhere) {
    for (const auto* bytes : {"\xff", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
        try {
            parse_yaml(fmt::format("a: 1\nb: {}\n", bytes));
            ADD_FAILURE() << "parsed";
        } catch (const InvalidInput& e) {
            EXPECT_THAT(e.what(), testing::HasSubstr("line 2"));
        }
    }
    EXPECT_EQ(parse_yaml("a: \"\u00e9\u20ac\U0001f600\"\n").at(0).value.at("a"),
              "\u00e9\u20ac\U0001f600");
}

TEST(Yaml, RefusesWhatCanNotBeginADocument) {
    for (const auto* text : {",a", " ,a7 ", "a: 1\n---\n, b\n", "]", "}"}) {
        EXPECT_THROW(parse_yaml(text), InvalidInput) << text;
    }
    EXPECT_EQ(parse_yaml("---\n---\n...\n---\na: 1\n").size(), 1U);
}

TEST(Yaml, RefusesControlCharactersButAsEscapes) {
    using namespace std::string_view_literals;
    for (const auto text : {"a: \b\n"sv, "a\0\0\0"sv, "\0a"sv}) {
        EXPECT_THROW(parse_yaml(text), InvalidInput);
    }
    const json::value value{{"bell", "\a\x1b[0m"}, {"nul", json::string(3, '\0')}};
    EXPECT_EQ(parse_yaml(to_yaml(value)).at(0).value, value);
}

}  // namespace
