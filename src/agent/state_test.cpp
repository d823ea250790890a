#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/host_tree.h"
#include "agent/oom.h"
#include "agent/state_directory.h"
#include "agent/status_queue.h"
#include "base/error.h"
#include "base/file.h"

namespace {

using namespace trailer;
using namespace trailer::agent;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

mode_t mode_of(const std::filesystem::path& file) {
    struct stat status{};
    EXPECT_EQ(::stat(file.c_str(), &status), 0) << file;
    return status.st_mode & 07777;
}

TEST(StateDirectoryTest, ServesOneAgentAtATime) {
    HostTree host;
    const auto directory = host.root() / "a/state";
    {
        const StateDirectory first(directory);
        EXPECT_EQ(mode_of(directory), 0700U);
        try {
            const StateDirectory second(directory);
            FAIL() << "two agents share a state directory";
        } catch (const Error& e) {
            EXPECT_EQ(e.kind(), ErrorKind::conflict);
            EXPECT_THAT(e.what(), HasSubstr(std::to_string(::getpid())));
            EXPECT_THAT(e.what(), HasSubstr("--state-directory"));
        }
    }
    EXPECT_NO_THROW(StateDirectory{directory}) << "the lock goes with its holder";
}

TEST(StateDirectoryTest, KeepsOneKey) {
    HostTree host;
    const auto directory = host.root() / "state";
    std::string first;
    {
        first = StateDirectory(directory).key().public_key();
    }
    EXPECT_EQ(StateDirectory(directory).key().public_key(), first);
    EXPECT_EQ(mode_of(directory / "agent_key"), 0600U);
}

TEST(StateDirectoryTest, KeepsWhatTheServerToldForNoOtherEyes) {
    HostTree host;
    const StateDirectory state(host.root() / "state");
    EXPECT_FALSE(state.load_host());
    EXPECT_FALSE(state.load_desired());
    HostRecord record;
    record.host_id = "h";
    record.enabled = false;
    record.settings.heartbeat_interval_ms = 77;
    protocol::DesiredState desired;
    desired.revision = 5;
    desired.workspaces.emplace_back().spec.env["SECRET"] = "hunter2";
    state.save_host(wire::to_json_text(record));
    state.save_desired(wire::to_json_text(desired));
    EXPECT_EQ(state.load_host(), record);
    EXPECT_EQ(state.load_desired(), desired);
    EXPECT_EQ(mode_of(host.root() / "state/desired_state.json"), 0600U);
    EXPECT_EQ(mode_of(host.root() / "state/host.json"), 0600U);
}

TEST(StateDirectoryTest, PassesOverWhatIsDamaged) {
    HostTree host;
    const StateDirectory state(host.root() / "state");
    state.save_desired(R"({"revision": 5, "workspaces": [)");
    state.save_host("7");
    EXPECT_FALSE(state.load_desired());
    EXPECT_FALSE(state.load_host());
}

protocol::StatusReport report(const std::string& id, protocol::State status,
                              protocol::Kind kind = protocol::Kind::workspace) {
    protocol::StatusReport report;
    report.kind = kind;
    report.id = id;
    report.status = status;
    return report;
}

std::vector<std::string> ids(const std::vector<protocol::StatusReport>& reports) {
    std::vector<std::string> ids;
    for (const auto& each : reports) ids.push_back(each.id + ":" + wire::to_text(each.status));
    return ids;
}

using protocol::State;

TEST(StatusQueueTest, KeepsTheNewestOfEachResource) {
    StatusQueue queue;
    for (int i = 0; i < 1000; ++i) {
        queue.push(report("a", State::deploying));
        queue.push(report("b", State::starting));
    }
    queue.push(report("a", State::running));
    queue.push(report("a", State::created, protocol::Kind::network));
    EXPECT_EQ(queue.size(), 3U);
    EXPECT_THAT(ids(queue.take(10)), ElementsAre("a:running", "b:starting", "a:created"));
    EXPECT_TRUE(queue.empty());
}

TEST(StatusQueueTest, GivesTheOldestFirstInBatches) {
    StatusQueue queue;
    for (const auto* id : {"a", "b", "c"}) queue.push(report(id, State::running));
    EXPECT_THAT(ids(queue.take(2)), ElementsAre("a:running", "b:running"));
    queue.delivered();
    EXPECT_THAT(ids(queue.take(2)), ElementsAre("c:running"));
}

TEST(StatusQueueTest, WhatWasNotDeliveredGoesAgainUnlessNewerNewsCame) {
    StatusQueue queue;
    for (const auto* id : {"a", "b", "c"}) queue.push(report(id, State::starting));
    queue.take(2);
    queue.push(report("a", State::running));
    queue.returned();
    EXPECT_EQ(queue.size(), 3U);
    EXPECT_THAT(ids(queue.take(3)), ElementsAre("b:starting", "c:starting", "a:running"));
    queue.delivered();
    EXPECT_THAT(queue.take(3), IsEmpty());
}

TEST(OomTest, ARunawayAgentFailsToAllocateInsteadOfTakingTheHostsMemory) {
#if defined(__has_feature) && (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
    GTEST_SKIP() << "a sanitizer's shadow memory counts too";
#endif
    const auto child = ::fork();
    if (child == 0) {
        bound_memory(64 << 20);
        try {
            const std::vector<char> fits(16 << 20, 'x');
            const std::vector<char> greedy(128 << 20, 'x');
            ::_exit(1);
        } catch (const std::bad_alloc&) {
            ::_exit(0);
        }
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(OomTest, LowersTheScoreAndKeepsOneThatIsLowerAlready) {
    HostTree host;
    host.put("proc/self/oom_score_adj", "0\n");
    lower_oom_score(host.root() / "proc");
    EXPECT_EQ(read_file(host.root() / "proc/self/oom_score_adj"), "-900");
    host.put("proc/self/oom_score_adj", "-1000\n");
    lower_oom_score(host.root() / "proc");
    EXPECT_EQ(read_file(host.root() / "proc/self/oom_score_adj"), "-1000\n");
    lower_oom_score("/nowhere");  // told in the log, and nothing else
}

}  // namespace
