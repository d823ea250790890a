#include "protocol/log_mark.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <vector>

namespace trailer::protocol {
namespace {

std::string at(std::int64_t microsecond) {
    return fmt::format("2026-11-24T01:02:{:02}.{:06}000Z", microsecond / 1'000'000,
                       microsecond % 1'000'000);
}

// What an engine gives: of its lines, in its order, those that are not older; the first `skip` are
// then passed over.
std::vector<std::size_t> lines_from(const std::vector<std::string>& log, const LogMark& mark) {
    std::vector<std::size_t> lines;
    for (std::size_t i = 0; i < log.size(); ++i) {
        if (log[i] >= mark.since()) lines.push_back(i);
    }
    const auto known = std::min(lines.size(), static_cast<std::size_t>(mark.skip()));
    lines.erase(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(known));
    return lines;
}

TEST(LogMarkTest, BeginsWithWhatIsAsked) {
    EXPECT_EQ(LogMark().since(), "");
    const LogMark mark(LogQuery{.since = "2026-11-24T01:02:03Z", .skip = 5});
    EXPECT_EQ(mark.since(), "2026-11-24T01:02:03Z");
    EXPECT_EQ(mark.skip(), 5);
    LogMark last(LogQuery{.tail = 2, .since = at(1)});
    EXPECT_EQ(last.since(), at(1));
    last.pass(at(7));
    last.pass(at(7));
    EXPECT_EQ(last.since(), at(7)) << "and not what was left out";
    EXPECT_EQ(last.skip(), 2);
}

TEST(LogMarkTest, IsMoreThanASecondOldWhereTheLogIs) {
    LogMark mark;
    for (int i = 0; i < 100; ++i) mark.pass(at(i * 100'000));
    EXPECT_EQ(mark.newest(), at(9'900'000));
    EXPECT_EQ(mark.since(), at(7'000'000));
    EXPECT_EQ(mark.skip(), 30);
}

// Two streams of a container: each in its order, the two of them by up to a second out of theirs.
TEST(LogMarkProperties, WhereverALogIsCutOffItGoesOnWithTheNextLine) {
    EXPECT_TRUE(rc::check([] {
        std::vector<std::string> log;
        std::int64_t time = 0;
        const auto steps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 300'000));
        for (const auto step : steps) {
            time += step % 3 == 0 ? 0 : step;
            const auto late = *rc::gen::element(0, 0, 0, 3, 70'000, 999'999);
            log.push_back(at(std::max<std::int64_t>(time - late, 0) % 60'000'000));
        }
        RC_PRE(time < 60'000'000);
        const auto known = *rc::gen::inRange<std::size_t>(0, log.size() + 1);
        LogMark mark(LogQuery{});
        for (std::size_t i = 0; i < known; ++i) mark.pass(log[i]);
        std::vector<std::size_t> rest;
        for (auto i = known; i < log.size(); ++i) rest.push_back(i);
        RC_ASSERT(lines_from(log, mark) == rest);

        // And again, by who was told that much only.
        if (known == log.size()) return;
        LogMark again(LogQuery{.since = mark.since(), .skip = mark.skip()});
        again.pass(log[known]);
        rest.erase(rest.begin());
        RC_ASSERT(lines_from(log, again) == rest);
    }));
}

}  // namespace
}  // namespace trailer::protocol
