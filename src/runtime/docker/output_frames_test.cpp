#include "runtime/docker/output_frames.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace trailer::runtime::docker {
namespace {

std::string frame(char stream, std::string_view data) {
    std::string bytes{stream,
                      0,
                      0,
                      0,
                      0,
                      0,
                      static_cast<char>(data.size() >> 8U),
                      static_cast<char>(data.size() & 0xFFU)};
    return bytes.append(data);
}

TEST(OutputFramesTest, TellsTheStreamsApartWhereverTheBytesBreak) {
    const auto bytes = frame(1, "out1") + frame(2, "err") + frame(1, "") + frame(1, "out2");
    for (std::size_t size = 1; size <= bytes.size(); ++size) {
        OutputFrames frames(false);
        std::string output;
        std::string errors;
        for (std::size_t at = 0; at < bytes.size(); at += size) {
            for (const auto& piece : frames.feed(bytes.substr(at, size))) {
                (piece.errors ? errors : output) += piece.data;
            }
        }
        EXPECT_EQ(output, "out1out2") << size;
        EXPECT_EQ(errors, "err") << size;
    }
}

TEST(OutputFramesTest, PassesATerminalsBytesAsTheyAre) {
    OutputFrames frames(true);
    const auto pieces = frames.feed("\x01\x02 hello");
    ASSERT_EQ(pieces.size(), 1U);
    EXPECT_EQ(pieces[0].data, "\x01\x02 hello");
    EXPECT_TRUE(frames.feed("").empty());
}

TEST(OutputFramesTest, RefusesWhatIsNotInFrames) {
    OutputFrames frames(false);
    EXPECT_THROW(frames.feed("plain text"), Error);
}

TEST(LogEntriesTest, MakesAnEntryOfEachFrame) {
    LogEntries entries(false);
    const auto bytes = frame(1, "2026-01-01T00:00:00.000000001Z one two\n") +
                       frame(2, "2026-01-01T00:00:00.000000002Z \n");
    auto list = entries.feed(bytes.substr(0, 11));
    EXPECT_TRUE(list.empty());
    list = entries.feed(bytes.substr(11));
    ASSERT_EQ(list.size(), 2U);
    EXPECT_EQ(list[0].time, "2026-01-01T00:00:00.000000001Z");
    EXPECT_EQ(list[0].text, "one two\n");
    EXPECT_FALSE(list[0].errors);
    EXPECT_EQ(list[1].text, "\n");
    EXPECT_TRUE(list[1].errors);
}

TEST(LogEntriesTest, MakesAnEntryOfEachLineOfATerminal) {
    LogEntries entries(true);
    EXPECT_TRUE(entries.feed("2026-01-01T00:00:00Z on").empty());
    const auto list = entries.feed("e\r\n2026-01-01T00:00:01Z $ ");
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].text, "one\r\n");
    const auto last = entries.finish();
    ASSERT_EQ(last.size(), 1U);
    EXPECT_EQ(last[0].text, "$ ");
    EXPECT_TRUE(entries.finish().empty());
}

TEST(LogEntriesTest, MakesAnEntryOfEachPartOfATerminalsLongLine) {
    const std::string first(16 << 10, 'a');
    const std::string second(16 << 10, 'b');
    const std::string log = "2026-01-01T00:00:00.000000001Z " + first +
                            "2026-01-01T00:00:00.000000002Z " + second +
                            "2026-01-01T00:00:00.000000003Z \r\n";
    for (const std::size_t piece : {std::size_t{1000}, log.size()}) {
        LogEntries entries(true);
        std::vector<std::string> texts;
        for (std::size_t at = 0; at < log.size(); at += piece) {
            for (const auto& each : entries.feed(log.substr(at, piece))) {
                texts.emplace_back(each.text);
            }
        }
        EXPECT_THAT(texts, testing::ElementsAre(first, second, "\r\n"));
    }
    // A line that is no longer than it looks, from an engine that keeps it whole.
    LogEntries whole(true);
    const auto line = "2026-01-01T00:00:00Z " + std::string(40'000, 'c') + "\n";
    EXPECT_EQ(whole.feed(line).size(), 1U);
}

}  // namespace
}  // namespace trailer::runtime::docker
