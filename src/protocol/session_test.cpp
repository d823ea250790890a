#include "protocol/session.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace trailer::protocol {
namespace {

TEST(SessionMessage, CarriesItsChannelAndAnyBytes) {
    const std::string data("a\0\xFF\n", 4);
    const auto message = session_message(Channel::errors, data);
    EXPECT_EQ(message.size(), 5U);
    EXPECT_EQ(channel_of(message), Channel::errors);
    EXPECT_EQ(data_of(message), data);
}

TEST(SessionMessage, WithoutAKnownChannelIsRefused) {
    EXPECT_THROW(channel_of(""), InvalidInput);
    EXPECT_THROW(channel_of("\x09hello"), InvalidInput);
}

TEST(Acknowledgement, IsEightBytesBigEndian) {
    const auto message = ack_message(0x0102030405060708);
    EXPECT_EQ(message, std::string("\xFE\x01\x02\x03\x04\x05\x06\x07\x08"));
    EXPECT_EQ(ack_count(message), 0x0102030405060708U);
    EXPECT_THROW(ack_count("\xFE\x01"), InvalidInput);
}

TEST(SessionEnd, SaysTheExitCodeAsTheContractHasIt) {
    EXPECT_EQ(end_message({.exit_code = 7, .problem = {}}), "\x03{\"exit_code\":7}");
    const auto end = read_end(R"({"exit_code":7})");
    EXPECT_EQ(end.exit_code, 7);
    EXPECT_FALSE(end.problem);
}

TEST(SessionEnd, SaysAProblem) {
    Problem problem{.title = "Conflict", .status = 409, .detail = "dev does not run"};
    const auto end = read_end(data_of(end_message({.exit_code = {}, .problem = problem})));
    ASSERT_TRUE(end.problem);
    EXPECT_EQ(end.problem->status, 409);
    EXPECT_EQ(end.problem->detail, "dev does not run");
    EXPECT_FALSE(end.exit_code);
}

TEST(SessionEnd, RefusesWhatIsNoObject) {
    EXPECT_THROW(read_end("[1]"), InvalidInput);
    EXPECT_THROW(read_end(R"({"exit_code":"one"})"), InvalidInput);
}

TEST(OutboxTest, KeepsWhatIsNotAcknowledgedUnderItsNumber) {
    Outbox outbox;
    outbox.push("a");
    outbox.push("bc");
    outbox.push("def");
    EXPECT_EQ(outbox.bytes(), 6U);
    outbox.acknowledge(2);
    EXPECT_EQ(outbox.begin(), 2U);
    EXPECT_EQ(outbox.end(), 3U);
    EXPECT_EQ(*outbox.at(2), "def");
    EXPECT_EQ(outbox.bytes(), 3U);
    outbox.acknowledge(1);  // an old one
    EXPECT_EQ(outbox.begin(), 2U);
    EXPECT_THROW(outbox.acknowledge(4), InvalidInput);
    outbox.acknowledge(3);
    EXPECT_TRUE(outbox.empty());
    EXPECT_EQ(outbox.bytes(), 0U);
}

TEST(OutboxTest, IsFullAtTheWindow) {
    Outbox outbox;
    outbox.push(std::string(kWindow - 1 - 2 * kMessageCost, 'x'));
    EXPECT_FALSE(outbox.full());
    outbox.push("y");
    EXPECT_TRUE(outbox.full());
}

}  // namespace
}  // namespace trailer::protocol
