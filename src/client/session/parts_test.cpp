#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/file.h"
#include "base/id.h"
#include "base/time.h"
#include "client/failure.h"
#include "client/session/copy_paths.h"
#include "client/session/copy_progress.h"
#include "client/session/detach_keys.h"
#include "client/session/forwarding.h"
#include "client/session/log_lines.h"
#include "client/session/query.h"
#include "client/session/since.h"
#include "client/session/ssh_entries.h"
#include "client/session/tree_archive.h"
#include "client/session/tree_extraction.h"

namespace {

using namespace trailer;
using namespace trailer::client;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

// --- detach keys

TEST(DetachKeysTest, LeaveOnTheirSequenceAndPassOnAllElse) {
    DetachKeys keys(DetachKeys::kDefault);
    EXPECT_EQ(keys.feed("ls\r").pass, "ls\r");
    EXPECT_EQ(keys.feed("\x10").pass, "");  // held back
    EXPECT_EQ(keys.feed("x").pass, "\x10x");
    const auto typed = keys.feed("a\x10\x10\x11z");
    EXPECT_EQ(typed.pass, "a\x10");
    EXPECT_TRUE(typed.detach);
}

TEST(DetachKeysTest, NoKeysNeverLeave) {
    DetachKeys keys("");
    EXPECT_EQ(keys.feed("\x10\x11").pass, "\x10\x11");
}

TEST(DetachKeysTest, AreReadAsPeopleWriteThem) {
    EXPECT_TRUE(DetachKeys("ctrl-],q").feed("\x1dq").detach);
    EXPECT_TRUE(DetachKeys("~,.").feed("~.").detach);
    for (const char* bad : {"ctrl-", "ctrl-1", "control-p", "ctrl-p,,q"}) {
        EXPECT_THROW(DetachKeys{bad}, UsageError) << bad;
    }
}

// --- logs

TEST(LogLinesTest, EntriesHaveTheirTimes) {
    EXPECT_THAT(entries_of("T1 one\nT2 two words\nT3 rest"),
                ElementsAre(LogEntry{"T1", "one\n"}, LogEntry{"T2", "two words\n"},
                            LogEntry{"T3", "rest"}));
    const std::string line = "2026-11-24T01:02:03.123Z info one\n";
    EXPECT_THAT(entries_of(line + "and two\n", LogTimes::own),
                ElementsAre(LogEntry{"2026-11-24T01:02:03.123Z", line}, LogEntry{"", "and two\n"}));
}

TEST(LogLinesTest, ThePlaceAsksForTheLastEntryAgain) {
    LogPlace place;
    EXPECT_FALSE(place.known());
    place.pass({"T1", "a\n"});
    place.pass({"T2", "b\n"});
    place.pass({"T2", "c\n"});
    EXPECT_EQ(place.time(), "T2");
    EXPECT_EQ(place.since(), "T1");
    EXPECT_EQ(place.skip(), 2);
    EXPECT_TRUE(place.is({"T2", "c\n"}));
    EXPECT_FALSE(place.is({"T2", "b\n"}));
    EXPECT_TRUE(place.may_have({"T2", "b\n"}));
    EXPECT_FALSE(place.may_have({"T3", "d\n"}));
}

TEST(LogLinesTest, AlongLineInSeveralEntriesHasOneTimeAndOnePrefix) {
    const auto shown = [](LogFormat& format, bool errors, const LogEntry& entry) {
        std::string out;
        format.add(errors, entry, out);
        return out;
    };
    LogFormat plain("", true);
    EXPECT_EQ(shown(plain, false, {"T1", "long"}), "T1 long");
    EXPECT_EQ(shown(plain, true, {"T2", "other\n"}), "T2 other\n");
    EXPECT_EQ(shown(plain, false, {"T3", " line\n"}), " line\n");
    LogFormat several("dev | ", false);
    EXPECT_EQ(shown(several, false, {"T1", "long"}), "");
    EXPECT_EQ(shown(several, false, {"T3", " line\n"}), "dev | long line\n");
    EXPECT_EQ(shown(several, false, {"T4", "whole\n"}), "dev | whole\n");
    EXPECT_EQ(shown(several, false, {"T5", "cut"}), "");
    EXPECT_EQ(several.finish(false), "dev | cut\n");
    EXPECT_EQ(several.finish(true), "");
}

TEST(SinceTest, ReadsTimesAndHowLongAgo) {
    EXPECT_EQ(read_moment("--since", ""), "");
    EXPECT_EQ(read_moment("--since", "2026-11-24T09:30:00.123456789Z"),
              "2026-11-24T09:30:00.123456789Z");
    const auto moment = parse_rfc3339(read_moment("--since", "1h30m"));
    const auto ago = now() - moment;
    EXPECT_GE(ago, std::chrono::minutes(90));
    EXPECT_LT(ago, std::chrono::minutes(91));
    for (const char* bad : {"yesterday", "5", "5x", "-5m", "m", "5m5", "99999999999d"}) {
        EXPECT_THROW(read_moment("--since", bad), UsageError) << bad;
    }
}

TEST(QueryTest, SaysWhatIsAskedForAndNoMore) {
    EXPECT_EQ(exec_address({.command = {"sh", "-c", "a & b"},
                            .env = {"K=V"},
                            .tty = true,
                            .size = {.cols = 80, .rows = 24}}),
              "exec?cmd=sh&cmd=-c&cmd=a%20%26%20b&env=K%3DV&tty=true&cols=80&rows=24");
    EXPECT_EQ(logs_address({}), "logs");
    EXPECT_EQ(logs_address({.follow = true, .tail = 0, .since = "T", .skip = 2}),
              "logs?follow=true&tail=0&since=T&skip=2");
    EXPECT_EQ(attach_address({}), "attach");
}

// --- ports and ssh

TEST(PortPairTest, ReadsTheUsualForms) {
    EXPECT_EQ(parse_port_pair("8080:80"), (PortPair{8080, 80}));
    EXPECT_EQ(parse_port_pair("80"), (PortPair{80, 80}));
    EXPECT_EQ(parse_port_pair("0:80"), (PortPair{0, 80}));
    EXPECT_EQ(parse_port_pair(":80"), (PortPair{0, 80}));
    for (const char* bad : {"", ":", "80:", "0", "80:0", "65536", "-1:80", "80:http", "1:2:3"}) {
        EXPECT_THROW(parse_port_pair(bad), UsageError) << bad;
    }
}

TEST(SshEntriesTest, QuoteWhatTheShellAndSshWouldRead) {
    const auto text = ssh_entry({.workspace = "dev",
                                 .id = "id-1",
                                 .user = "me",
                                 .port = 2222,
                                 .command = {"/opt/it's 100%/trailer", "ssh-proxy"}});
    EXPECT_THAT(text, HasSubstr("Host trailer.dev\n"));
    EXPECT_THAT(text,
                HasSubstr("ProxyCommand '/opt/it'\\''s 100%%/trailer' 'ssh-proxy' 'dev' 2222"));
    EXPECT_THAT(text, HasSubstr("    User me\n"));
    EXPECT_THAT(text, HasSubstr("HostKeyAlias trailer.id-1\n"));
    EXPECT_THROW(ssh_entry({.workspace = "a b", .id = "1"}), InvalidInput);
    EXPECT_THROW(ssh_entry({.workspace = "dev", .id = "1", .user = "a\nb"}), InvalidInput);
}

TEST(SshEntriesTest, TheIncludeIsWrittenOnce) {
    const std::string before = "Host other\n    User me\n";
    const auto once = with_include(before, "/home/me/.ssh/trailer_config");
    EXPECT_THAT(once, testing::EndsWith("\n\n" + before));
    EXPECT_THAT(once, HasSubstr("Include \"/home/me/.ssh/trailer_config\"\n"));
    EXPECT_EQ(with_include(once, "/home/me/.ssh/trailer_config"), once);
    EXPECT_EQ(with_include(with_include("", "/a"), "/a"), with_include("", "/a"));
    EXPECT_THROW(with_include("# >>> trailer ssh-config >>>\n", "/a"), Error);
}

// --- cp

TEST(CopyPathsTest, TellTheWorkspaceFromThisMachine) {
    EXPECT_EQ(parse_remote_path("dev:/etc/hosts"), (RemotePath{"dev", "/etc/hosts"}));
    EXPECT_EQ(parse_remote_path("workspace/dev:a:b"), (RemotePath{"workspace/dev", "a:b"}));
    EXPECT_EQ(parse_remote_path("dev:"), (RemotePath{"dev", "."}));
    for (const char* local : {"file", "./a:b", "/a:b", ":x", "dir/a:b"}) {
        EXPECT_EQ(parse_remote_path(local), std::nullopt) << local;
    }
    EXPECT_EQ(split_path("/a/b/"), (SplitPath{"/a", "b"}));
    EXPECT_EQ(split_path("/b"), (SplitPath{"/", "b"}));
    EXPECT_EQ(split_path("b"), (SplitPath{".", "b"}));
    EXPECT_EQ(split_path("/"), (SplitPath{"/", "."}));
    EXPECT_EQ(split_path("a/."), (SplitPath{"a/.", "."}));
    EXPECT_EQ(split_path(".."), (SplitPath{"..", "."}));
    EXPECT_EQ(split_path("."), (SplitPath{".", "."}));
}

TEST(CopyProgressTest, SizesAreShort) {
    EXPECT_EQ(size_text(812), "812 B");
    EXPECT_EQ(size_text(1'440'000), "1.4 MB");
    EXPECT_EQ(size_text(999'999), "1.0 MB");
}

class TreeTest : public testing::Test {
  protected:
    TreeTest() { fs::create_directories(root_); }

  public:
    ~TreeTest() override { fs::remove_all(root_); }

  protected:
    static std::string pack(const fs::path& source, const std::string& name) {
        TreeArchive archive(source, name);
        std::string all;
        for (auto piece = archive.next(); !piece.empty(); piece = archive.next()) all += piece;
        return all;
    }
    static Extracted unpack(std::string archive, const ExtractionTarget& target,
                            std::size_t piece = 1000) {
        std::size_t at = 0;
        return extract_tree(
            [&] {
                auto some = archive.substr(at, piece);
                at += some.size();
                return some;
            },
            target);
    }
    static std::time_t time_of(const fs::path& path) {
        struct stat status{};
        EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
        return status.st_mtim.tv_sec;
    }
    static mode_t mode_of(const fs::path& path) {
        struct stat status{};
        EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
        return status.st_mode & 07777U;
    }
    // A tar of one entry, made by hand: what nobody's tar would make.
    static std::string entry(const std::string& name, char type, const std::string& link = {},
                             const std::string& data = {}) {
        std::string head(512, '\0');
        const auto put = [&](std::size_t at, const std::string& text) {
            head.replace(at, text.size(), text);
        };
        put(0, name);
        put(100, "0000644");
        put(108, "0000000");
        put(116, "0000000");
        put(124, fmt::format("{:011o}", data.size()));
        put(136, "00000000000");
        put(148, "        ");
        head[156] = type;
        put(157, link);
        put(257, std::string("ustar\00000", 8));
        unsigned sum = 0;
        for (const char c : head) sum += static_cast<unsigned char>(c);
        put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
        auto body = data;
        body.resize((data.size() + 511) / 512 * 512);
        return head + body;
    }
    static std::string end() { return std::string(1024, '\0'); }

    fs::path root_ = fs::temp_directory_path() / ("trailer-tree-" + new_id());
};

TEST_F(TreeTest, IsTheSameAfterTheJourney) {
    const auto source = root_ / "source";
    const std::string long_name(200, 'n');
    fs::create_directories(source / "deep" / long_name);
    fs::create_directories(source / "empty");
    std::string large(300'000, '\0');
    for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7);
    write_file_atomically(source / "deep" / long_name / "large", large, 0640);
    write_file_atomically(source / "run me", "#!/bin/sh\n", 0755);
    write_file_atomically(source / "nothing", "", 0400);
    fs::create_symlink("/etc/passwd", source / "link");
    fs::create_symlink("no/where", source / "broken");
    ::chmod((source / "empty").c_str(), 0500);

    const auto target = root_ / "target";
    fs::create_directories(target);
    const auto done =
        unpack(pack(source, "kept"), {.directory = target, .expected = "kept", .name = "new"}, 77);
    EXPECT_THAT(done.left_out, IsEmpty());
    EXPECT_EQ(done.entries, 9U);
    const auto made = target / "new";
    EXPECT_EQ(read_file(made / "deep" / long_name / "large"), large);
    EXPECT_EQ(mode_of(made / "deep" / long_name / "large"), 0640U);
    EXPECT_EQ(mode_of(made / "run me"), 0755U);
    EXPECT_EQ(mode_of(made / "nothing"), 0400U);
    EXPECT_EQ(mode_of(made / "empty"), 0500U);
    EXPECT_EQ(fs::read_symlink(made / "link"), "/etc/passwd");
    EXPECT_EQ(fs::read_symlink(made / "broken"), "no/where");
    EXPECT_EQ(time_of(made / "run me"), time_of(source / "run me"));
    // Once more over what is there.
    EXPECT_NO_THROW(
        unpack(pack(source, "kept"), {.directory = target, .expected = "kept", .name = "new"}));
}

TEST_F(TreeTest, OneFileKeepsItsContentUnderAnotherName) {
    write_file_atomically(root_ / "a", "content", 0600);
    unpack(pack(root_ / "a", "b"), {.directory = root_, .expected = "b", .name = "c"});
    EXPECT_EQ(read_file(root_ / "c"), "content");
}

TEST_F(TreeTest, WhatLeadsElsewhereIsRefused) {
    const auto target = root_ / "target";
    const auto outside = root_ / "outside";
    fs::create_directories(target);
    fs::create_directories(outside);
    const ExtractionTarget into{.directory = target, .expected = ".", .name = "."};
    for (const std::string bad : {"../outside/x", "/outside/x", "a/../../outside/x", ".."}) {
        try {
            unpack(entry(bad, '0', "", "bad") + end(), into);
            ADD_FAILURE() << bad << " was not refused";
        } catch (const Error& e) {
            EXPECT_THAT(e.what(), HasSubstr("refused")) << bad;
        }
    }
    // Through a link that comes from the archive itself.
    EXPECT_THROW(
        unpack(entry("l", '2', outside.string()) + entry("l/x", '0', "", "bad") + end(), into),
        Error);
    EXPECT_THROW(unpack(entry("h", '1', "../outside/y") + end(), into), Error);
    // A name that was not asked for.
    EXPECT_THROW(unpack(entry("other", '0') + end(),
                        {.directory = target, .expected = "name", .name = "name"}),
                 Error);
    EXPECT_TRUE(fs::is_empty(outside));
    // A link that is in the way is replaced, not written through.
    fs::create_symlink(outside / "x", target / "f");
    unpack(entry("f", '0', "", "good") + end(), into);
    EXPECT_EQ(read_file(target / "f"), "good");
    EXPECT_TRUE(fs::is_empty(outside));
}

TEST_F(TreeTest, AnArchiveThatEndsEarlyIsAFailure) {
    write_file_atomically(root_ / "a", std::string(5000, 'x'), 0600);
    const auto archive = pack(root_ / "a", "b");
    EXPECT_THROW(
        unpack(archive.substr(0, 3000), {.directory = root_, .expected = "b", .name = "c"}), Error);
}

TEST_F(TreeTest, DevicesAreLeftOutAndTold) {
    const auto done = unpack(entry("dev", '3') + entry("file", '0') + end(),
                             {.directory = root_, .expected = ".", .name = "."});
    EXPECT_THAT(done.left_out, ElementsAre("dev"));
    EXPECT_TRUE(fs::exists(root_ / "file"));
}

}  // namespace
