// The audit log on a real database: what is on the disk, and when.
#include "server/service/audit.h"

#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>

#include "base/error.h"
#include "base/id.h"

namespace {

using namespace trailer;
using namespace trailer::server;
using namespace std::chrono_literals;
using protocol::AuditEntry;
using protocol::AuditKind;

// A server's part of it, from its start to its death: what is not on the disk then is lost.
struct Life {
    explicit Life(const std::filesystem::path& directory)
        : core(context.get_executor(), store::open_sqlite(directory.string())), log(core, 24h) {}

    asio::io_context context;
    Core core;
    AuditLog log;
};

class AuditTest : public testing::Test {
  protected:
    void live(Task<> (*script)(Life*)) {
        Life life(directory_);
        std::exception_ptr failure;
        bool ended = false;
        asio::co_spawn(life.context, script(&life), [&](std::exception_ptr error) {
            failure = std::move(error);
            ended = true;
        });
        life.context.run_for(20s);
        ASSERT_TRUE(ended) << "the script did not end";
        if (failure) FAIL() << describe(failure);
    }

    void TearDown() override { std::filesystem::remove_all(directory_); }

    std::filesystem::path directory_ =
        std::filesystem::temp_directory_path() / ("trailer-audit-" + new_id());
};

AuditEntry some(AuditKind kind = AuditKind::exec) {
    AuditEntry entry;
    entry.kind = kind;
    entry.user = "eve";
    entry.user_id = "u1";
    entry.workspace = "dev";
    entry.workspace_id = "w1";
    entry.host_id = "h1";
    entry.port = 80;
    return entry;
}

Task<> dies_under_way(Life* life) {
    const auto session = co_await life->log.begin(some());
    const auto kept = co_await life->log.read({});
    EXPECT_EQ(kept.size(), 1U);
    EXPECT_EQ(kept.at(0).user, "eve");
    EXPECT_EQ(kept.at(0).connections, 1);
    EXPECT_FALSE(kept.at(0).ended);
}

Task<> sees_it_ended(Life* life) {
    const auto kept = co_await life->log.read({});
    EXPECT_EQ(kept.size(), 1U);
    EXPECT_TRUE(kept.at(0).ended);
}

TEST_F(AuditTest, ASessionIsOnTheDiskBeforeItBeginsAndEndsWithADeadServer) {
    live(dies_under_way);
    live(sees_it_ended);
}

Task<> cut_once(Life* life) {
    {
        const auto first = co_await life->log.begin(some());
        first->opened("the session's id");
        first->report().bytes_in = 10;
    }
    const auto again = co_await life->log.resume("the session's id", some());
    again->report().bytes_in = 5;
    co_await life->log.flush();
    const auto kept = co_await life->log.read({});
    EXPECT_EQ(kept.size(), 1U);
    EXPECT_EQ(kept.at(0).bytes_in, 15);
    EXPECT_FALSE(kept.at(0).ended) << "it is under way again";
}

Task<> cut_twice(Life* life) {
    const auto found = co_await life->log.find("the session's id");
    EXPECT_TRUE(found && found->kind == AuditKind::exec);
    EXPECT_FALSE(co_await life->log.find("another"));
    {
        // Two connections of it at once: the former is not known to be dead yet.
        const auto one = co_await life->log.resume("the session's id", some());
        const auto other = co_await life->log.resume("the session's id", some());
        one->report().bytes_out = 1;
        other->report().bytes_out = 2;
        other->report().exit_code = 7;
    }
    co_await life->log.flush();
    const auto kept = co_await life->log.read({});
    EXPECT_EQ(kept.size(), 1U);
    EXPECT_EQ(kept.at(0).bytes_in, 15);
    EXPECT_EQ(kept.at(0).bytes_out, 3);
    EXPECT_EQ(kept.at(0).connections, 4);
    EXPECT_EQ(kept.at(0).exit_code, 7);
    EXPECT_TRUE(kept.at(0).ended);
}

TEST_F(AuditTest, ASessionThatIsTakenUpAgainIsOneEntryOverRestartsToo) {
    live(cut_once);
    live(cut_twice);
}

Task<> visits(Life* life) {
    const auto first = co_await life->log.visit(some(AuditKind::proxy));
    const auto second = co_await life->log.visit(some(AuditKind::proxy));
    EXPECT_EQ(first, second);
    auto elsewhere = some(AuditKind::proxy);
    elsewhere.port = 81;
    const auto other = co_await life->log.visit(std::move(elsewhere));
    EXPECT_NE(first, other);
    co_await life->log.flush();
    store::AuditQuery query;
    query.limit = 1;
    const auto newest = co_await life->log.read(query);
    EXPECT_EQ(newest.at(0).port, 81);
    query.before = newest.at(0).id;
    const auto older = co_await life->log.read(query);
    EXPECT_EQ(older.at(0).port, 80);
    EXPECT_EQ(older.at(0).connections, 2);
}

TEST_F(AuditTest, RequestsToOnePortAreOneVisit) {
    live(visits);
}

Task<> narrows_and_forgets(Life* life) {
    {
        const auto exec = co_await life->log.begin(some());
        auto logs = some(AuditKind::logs);
        logs.user_id = "u2";
        const auto other = co_await life->log.begin(std::move(logs));
        other->failed("the host is not connected");
    }
    co_await life->log.flush();
    const auto ids = [&](store::AuditQuery query) { return life->log.read(std::move(query)); };
    EXPECT_EQ((co_await ids({.user_id = "u1"})).size(), 1U);
    EXPECT_EQ((co_await ids({.workspace_id = "w1"})).size(), 2U);
    EXPECT_EQ((co_await ids({.host_id = "elsewhere"})).size(), 0U);
    const auto failed = co_await ids({.kind = AuditKind::logs});
    EXPECT_EQ(failed.at(0).failure, "the host is not connected");
    EXPECT_EQ((co_await ids({.from = now() + 1min})).size(), 0U);
    EXPECT_EQ((co_await ids({.to = now() + 1min})).size(), 2U);
    co_await life->core.prune_audit(now() + 1min);
    EXPECT_EQ((co_await ids({})).size(), 0U);
}

TEST_F(AuditTest, IsReadByWhoWhereAndWhenAndForgetsWhatIsOld) {
    live(narrows_and_forgets);
}

}  // namespace
