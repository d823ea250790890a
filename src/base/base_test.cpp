#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/buffer.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/file.h"
#include "base/id.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"

namespace {

using namespace trailer;
namespace fs = std::filesystem;

class InDirectory : public testing::Test {
  protected:
    fs::path directory_ = fs::temp_directory_path() / ("trailer-base-" + to_hex(random_bytes(6)));
    void SetUp() override { fs::create_directories(directory_); }
    void TearDown() override { fs::remove_all(directory_); }
};

TEST(Time, ReadsWhatItWritesAndAnyOffset) {
    const auto time = parse_rfc3339("2026-11-23T09:30:00.125Z");
    EXPECT_EQ(format_rfc3339(time), "2026-11-23T09:30:00.125Z");
    EXPECT_EQ(parse_rfc3339("2026-11-23T11:30:00.1254567+02:00"), time);
    for (const auto* bad : {"", "2026-13-01T00:00:00Z", "2026-11-23", "2026-11-23T09:30:00",
                            "2026-11-23T09:30:00.Z", "2026-11-23T09:30:00Zx"}) {
        EXPECT_THROW(parse_rfc3339(bad), InvalidInput) << bad;
    }
}

TEST(Id, IsAVersion7UuidAndSortsByTime) {
    auto previous = new_id();
    EXPECT_TRUE(is_uuid(previous)) << previous;
    EXPECT_EQ(previous[14], '7');
    for (int i = 0; i < 10'000; ++i) {
        const auto next = new_id();
        ASSERT_LT(previous, next);
        previous = next;
    }
    EXPECT_FALSE(is_uuid("gpu-box-1"));
}

TEST(Crypto, MatchesKnownAnswers) {
    EXPECT_EQ(to_hex(sha256("abc")),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    // RFC 4231, test case 2.
    EXPECT_EQ(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(from_base64url(to_base64url("\xff\xfe\x00z")), "\xff\xfe\x00z");
    EXPECT_THROW(from_base64("a b"), InvalidInput);
}

TEST(Crypto, VerifiesOnlyTheRightPasswordAndSignature) {
    const auto hash = hash_password("secret");
    EXPECT_TRUE(hash.starts_with("$argon2id$"));
    EXPECT_TRUE(verify_password(hash, "secret"));
    EXPECT_FALSE(verify_password(hash, "Secret"));
    const auto key = SigningKey::generate();
    const auto signature = key.sign("challenge");
    EXPECT_TRUE(verify_signature(key.public_key(), "challenge", signature));
    EXPECT_FALSE(verify_signature(key.public_key(), "challenge2", signature));
    EXPECT_FALSE(verify_signature(SigningKey::generate().public_key(), "challenge", signature));
    EXPECT_FALSE(verify_signature("nonsense!", "challenge", signature));
}

TEST_F(InDirectory, SigningKeyIsPrivateAndKept) {
    const auto file = directory_ / "deep" / "key";
    const auto made = SigningKey::load_or_create(file);
    struct stat status{};
    ASSERT_EQ(::stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
    EXPECT_EQ(SigningKey::load_or_create(file).public_key(), made.public_key());
    ::chmod(file.c_str(), 0644);
    EXPECT_THROW(SigningKey::load_or_create(file), Error);
}

TEST_F(InDirectory, WritesFilesWholeAndLeavesNothingBeside) {
    const auto file = directory_ / "f";
    write_file_atomically(file, "one", 0600);
    write_file_atomically(file, "two", 0640);
    EXPECT_EQ(read_file(file), "two");
    EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 1);
    EXPECT_THROW(read_file(directory_ / "absent"), Error);
}

TEST_F(InDirectory, LogFilesStayWithinTheirTotalAcrossRestarts) {
    constexpr std::uint64_t kBound = 40'000;
    std::ofstream(directory_ / "t.9.log") << std::string(30'000, 'x');  // from another time
    for (int restart = 0; restart < 5; ++restart) {
        log::set_stderr(false);
        log::open(directory_, "t", kBound);
        for (int i = 0; i < 2'000; ++i) log::info("line {} of restart {}", i, restart);
    }
    std::uint64_t total = 0;
    for (const auto& entry : fs::directory_iterator(directory_)) total += entry.file_size();
    EXPECT_LE(total, kBound);
    EXPECT_GT(total, kBound / 2);
    EXPECT_THAT(read_file(directory_ / "t.log"), testing::HasSubstr("line 1999 of restart 4"));
    fs::rename(directory_ / "t.log", directory_ / "moved.log");
    log::reopen();
    log::info("after reopening");
    EXPECT_THAT(read_file(directory_ / "t.log"), testing::HasSubstr("after reopening"));
    log::set_stderr(true);
}

TEST(Error, TellsTheWholeChain) {
    try {
        try {
            throw Error(ErrorKind::unavailable, "connecting to {}: refused", "x");
        } catch (...) {
            std::throw_with_nested(std::runtime_error("heartbeat"));
        }
    } catch (const std::exception& e) {
        EXPECT_EQ(describe(e), "heartbeat: connecting to x: refused");
    }
}

TEST(Buffer, RoomIsOfTheSizeThatWasAskedFor) {
    for (std::size_t size = 0; size < 100; ++size) {
        EXPECT_EQ(raw_string(size).size(), size);
        std::string data = "abc";
        resize_raw(data, size + 3);
        EXPECT_EQ(data.size(), size + 3);
        EXPECT_EQ(data.substr(0, 3), "abc");
    }
}

TEST(Text, IsAsciiWhateverTheLocale) {
    EXPECT_EQ(lower("AbZ-\xC3\x84"), "abz-\xC3\x84");
    EXPECT_EQ(upper("aBz-\xC3\xA4"), "ABZ-\xC3\xA4");
    EXPECT_EQ(trimmed(" \ta b\t", " \t"), "a b");
    EXPECT_EQ(trimmed(" \t ", " \t"), "");
    EXPECT_THAT(split("a,,b,", ','), testing::ElementsAre("a", "", "b", ""));
    EXPECT_THAT(split("", ','), testing::ElementsAre(""));
}

}  // namespace
