#include "compose/units.h"

#include <gmock/gmock.h>

#include "compose/dockerfile.h"
#include "compose/words.h"

namespace {

using namespace trailer::compose;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

TEST(Units, ReadsDurations) {
    EXPECT_THAT(parse_duration_ms("1m30s"), Optional(90'000));
    EXPECT_THAT(parse_duration_ms("1.5h"), Optional(5'400'000));
    EXPECT_THAT(parse_duration_ms("500ms"), Optional(500));
    EXPECT_THAT(parse_duration_ms("2h3m4s5ms"), Optional(7'384'005));
    EXPECT_THAT(parse_duration_ms("1d"), Optional(86'400'000));
    EXPECT_THAT(parse_duration_ms("0"), Optional(0));
    EXPECT_THAT(parse_duration_ms("10us"), Optional(1)) << "never none";
    for (const auto* bad : {"", "10", "s", "1x", "-1s", "1s ", "1e3s", "99999999999999w"}) {
        EXPECT_EQ(parse_duration_ms(bad), std::nullopt) << bad;
    }
}

TEST(Units, ReadsSizes) {
    EXPECT_THAT(parse_bytes("512m"), Optional(512LL << 20));
    EXPECT_THAT(parse_bytes("1.5g"), Optional(3LL << 29));
    EXPECT_THAT(parse_bytes("64kb"), Optional(65'536));
    EXPECT_THAT(parse_bytes("1GiB"), Optional(1LL << 30));
    EXPECT_THAT(parse_bytes("2 MB"), Optional(2LL << 20));
    EXPECT_THAT(parse_bytes("1024"), Optional(1024));
    EXPECT_THAT(parse_bytes("10b"), Optional(10));
    for (const auto* bad : {"", "m", "-1", "1x", "1mm", "1e3", "9999999t", "nan"}) {
        EXPECT_EQ(parse_bytes(bad), std::nullopt) << bad;
    }
}

TEST(Words, AreSplitAsAShellWould) {
    EXPECT_THAT(split_words("sleep  infinity"), Optional(ElementsAre("sleep", "infinity")));
    EXPECT_THAT(split_words(R"(sh -c "echo \"$HOME\" \n" 'it''s' a\ b '')"),
                Optional(ElementsAre("sh", "-c", R"(echo "$HOME" \n)", "its", "a b", "")));
    EXPECT_THAT(split_words("a \\\n  b"), Optional(ElementsAre("a", "b")));
    EXPECT_THAT(split_words("  "), Optional(IsEmpty()));
    EXPECT_EQ(split_words("echo 'open"), std::nullopt);
    EXPECT_EQ(split_words("echo \\"), std::nullopt);
}

std::vector<int> lines(std::string_view dockerfile) {
    std::vector<int> found;
    for (const auto& use : uses_of_context(dockerfile)) found.push_back(use.line);
    return found;
}

TEST(Dockerfile, TellsWhatTakesFilesFromTheContext) {
    EXPECT_THAT(lines("FROM a\nRUN echo COPY x /y\nCMD [\"COPY\"]\n"), IsEmpty());
    EXPECT_THAT(lines("FROM a\n# COPY no /x\ncopy . /app\nADD --chown=1 x /y\n"),
                ElementsAre(3, 4));
    EXPECT_THAT(lines("FROM a AS b\nFROM c\nCOPY --from=b /x /x\n"), IsEmpty());
    EXPECT_THAT(lines("FROM a\nADD https://example.com/x.tgz /x\nADD http://a b /x\n"),
                ElementsAre(3));
    EXPECT_THAT(lines("FROM a\nRUN apt-get install \\\n  # why\n\n  COPY \\\n  x\nCOPY \\\n a b\n"),
                ElementsAre(7));
    EXPECT_THAT(lines("FROM a\nCOPY <<EOF /x\nCOPY . /in/the/text\nEOF\nCOPY . /y\n"),
                ElementsAre(5));
    EXPECT_THAT(lines("FROM a\nRUN --mount=type=bind,target=/s make\n"
                      "RUN --mount=type=bind,from=b,target=/s make\n"
                      "RUN --mount=type=cache,target=/s make\n"),
                ElementsAre(2));
    EXPECT_THAT(lines("# escape=`\nFROM a\nRUN dir `\n COPY\nCOPY a b\n"), ElementsAre(5));
}

}  // namespace
