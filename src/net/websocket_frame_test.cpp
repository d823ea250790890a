#include "net/websocket_frame.h"

#include <gtest/gtest.h>

namespace {

using namespace trailer;
using namespace trailer::net;
using namespace std::string_literals;

constexpr MaskKey kKey{0x12, 0x34, 0x56, 0x78};

TEST(WebSocketFrame, AHeadIsReadAsItWasWritten) {
    for (const std::uint64_t length :
         {0ULL, 1ULL, 125ULL, 126ULL, 65535ULL, 65536ULL, 1ULL << 40U}) {
        for (const auto& key : {std::optional<MaskKey>(), std::optional<MaskKey>(kKey)}) {
            const auto bytes = frame_head(Opcode::binary, length, key);
            ASSERT_LE(bytes.size(), kMostHead);
            for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
                EXPECT_FALSE(read_frame_head(bytes.substr(0, cut))) << length << " cut at " << cut;
            }
            const auto head = read_frame_head(bytes + "payload");
            ASSERT_TRUE(head);
            EXPECT_TRUE(head->last);
            EXPECT_EQ(head->opcode, Opcode::binary);
            EXPECT_EQ(head->length, length);
            EXPECT_EQ(head->key, key);
            EXPECT_EQ(head->size, bytes.size());
        }
    }
}

// RFC 6455, section 5.7.
TEST(WebSocketFrame, ReadsTheExamplesOfTheSpecification) {
    const auto hello = read_frame_head("\x81\x05Hello");
    ASSERT_TRUE(hello);
    EXPECT_EQ(hello->opcode, Opcode::text);
    EXPECT_EQ(hello->length, 5U);
    const auto masked = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s;
    const auto head = read_frame_head(masked);
    ASSERT_TRUE(head && head->key);
    auto payload = masked.substr(head->size);
    apply_mask(payload.data(), payload.size(), *head->key);
    EXPECT_EQ(payload, "Hello");
    const auto part = read_frame_head("\x01\x03Hel");
    ASSERT_TRUE(part);
    EXPECT_FALSE(part->last);
}

TEST(WebSocketFrame, RefusesWhatMayNotBe) {
    for (const auto& bytes : {"\xc2\x00"s, "\x83\x00"s, "\x8b\x00"s, "\x09\x00"s,
                              "\x89\x7e\x00\x7e"s, "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"s}) {
        EXPECT_THROW(read_frame_head(bytes), FrameFault) << testing::PrintToString(bytes);
    }
}

TEST(WebSocketFrame, AMaskOfAnyLengthUndoesItself) {
    for (std::size_t size = 0; size < 40; ++size) {
        std::string text(size, 'x');
        apply_mask(text.data(), size, kKey);
        for (std::size_t i = 0; i < size; ++i) {
            EXPECT_EQ(static_cast<unsigned char>(text[i]), 'x' ^ kKey[i % 4])
                << size << " at " << i;
        }
        apply_mask(text.data(), size, kKey);
        EXPECT_EQ(text, std::string(size, 'x'));
    }
}

TEST(WebSocketFrame, ACopyIsMaskedLikeTheWholeWhereverItIsCut) {
    for (const std::size_t size : {0UL, 1UL, 8191UL, 8192UL, 8193UL, 40'001UL}) {
        std::string text(size, '\0');
        for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31);
        std::string copy(size, '\0');
        copy_masked(text, copy.data(), kKey);
        apply_mask(text.data(), text.size(), kKey);
        EXPECT_EQ(copy, text) << size;
    }
}

TEST(WebSocketFrame, KnowsUtf8) {
    for (const auto& good : {""s, "plain"s, "\xc3\xa9"s, "\xe2\x82\xac"s, "\xf0\x9f\x98\x80"s,
                             "\xed\x9f\xbf"s, "\xee\x80\x80"s, "\xf4\x8f\xbf\xbf"s, "\0"s}) {
        EXPECT_TRUE(is_utf8(good)) << testing::PrintToString(good);
    }
    for (const auto& bad :
         {"\x80"s, "\xc0\xaf"s, "\xc3"s, "\xe2\x82"s, "\xe0\x9f\xbf"s, "\xed\xa0\x80"s,
          "\xf0\x8f\xbf\xbf"s, "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s, "\xffx"s, "\xc3\x28"s}) {
        EXPECT_FALSE(is_utf8(bad)) << testing::PrintToString(bad);
    }
}

TEST(WebSocketFrame, ReadsACloseAndRefusesCodesThatMayNotBeSent) {
    EXPECT_EQ(read_close(""), 1005);
    EXPECT_EQ(read_close("\x03\xe8"), 1000);
    EXPECT_EQ(read_close("\x03\xf4 come back"), 1012);
    EXPECT_EQ(read_close("\x0f\xa0"), 4000);
    for (const auto& bad : {"\x03"s, "\x03\xe7"s, "\x03\xec"s, "\x03\xed"s, "\x03\xee"s,
                            "\x03\xf7"s, "\x13\x88"s, "\x03\xe8\xff"s}) {
        EXPECT_THROW(read_close(bad), FrameFault) << testing::PrintToString(bad);
    }
}

}  // namespace
