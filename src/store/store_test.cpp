#include "store/store.h"

#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/error.h"
#include "base/id.h"
#include "store/schema.h"

namespace {

using namespace trailer;
using namespace trailer::store;
namespace fs = std::filesystem;

// The same cases for each kind of database; SQLite is the first.
class StoreTest : public testing::Test {
  protected:
    fs::path directory_ = fs::temp_directory_path() / ("trailer-store-" + new_id());
    void TearDown() override { fs::remove_all(directory_); }
    std::unique_ptr<Store> open() const { return open_sqlite(directory_.string()); }
};

Changes everything() {
    Changes changes;
    const auto time = parse_rfc3339("2026-11-23T09:30:00.125Z");
    changes.put_users.push_back({"u1", "admin", "hash", protocol::Role::admin, time});
    changes.put_tokens.push_back(
        {"t1", "u1", TokenKind::api, "ci", "aa", time, time, std::nullopt});
    Host host{.id = "h1",
              .name = "host",
              .registration_token = "r1",
              .public_key = "k1",
              .approved = true};
    host.capabilities.cpus = 4;
    host.settings.heartbeat_interval_ms = 77;
    host.conflict = protocol::IdentityConflict{"SHA256:x", "1.2.3.4", time, time};
    host.created = host.updated = time;
    changes.put_hosts.push_back(host);
    Resource resource{
        .kind = protocol::Kind::workspace, .id = "w1", .name = "dev", .host_id = "h1"};
    resource.group = "shop";
    resource.spec = {{"image", "x"}};
    resource.status = protocol::State::running;
    resource.messages = {{protocol::Severity::warning, "careful", time}};
    resource.observed = {{"container_id", "c1"}};
    resource.restart_before = time;
    resource.created = resource.updated = time;
    changes.put_resources.push_back(resource);
    changes.put_meta["key"] = "value";
    return changes;
}

TEST_F(StoreTest, KeepsEverythingAcrossAReopening) {
    const auto changes = everything();
    open()->commit(changes);
    const auto snapshot = open()->load();
    EXPECT_EQ(snapshot.users, changes.put_users);
    EXPECT_EQ(snapshot.tokens, changes.put_tokens);
    EXPECT_EQ(snapshot.hosts, changes.put_hosts);
    EXPECT_EQ(snapshot.resources, changes.put_resources);
    EXPECT_EQ(snapshot.meta, changes.put_meta);
}

TEST_F(StoreTest, ReplacesById) {
    const auto store = open();
    auto changes = everything();
    store->commit(changes);
    changes.put_resources[0].status = protocol::State::stopped;
    changes.put_resources[0].restart_before.reset();
    changes.put_hosts[0].conflict.reset();
    store->commit(changes);
    EXPECT_EQ(store->load().resources, changes.put_resources);
    EXPECT_EQ(store->load().hosts, changes.put_hosts);
}

TEST_F(StoreTest, ChangesNothingWhenAPartFails) {
    const auto store = open();
    store->commit(everything());
    const auto before = store->load();
    Changes changes;
    changes.put_meta["key"] = "other";
    changes.put_resources.push_back(before.resources[0]);
    changes.put_resources[0].id = "w2";  // the same kind and name
    EXPECT_THROW(store->commit(changes), Error);
    EXPECT_EQ(store->load(), before);
}

TEST_F(StoreTest, RemovingAHostRemovesItsResources) {
    const auto store = open();
    store->commit(everything());
    Changes changes;
    changes.remove_hosts = {"h1"};
    changes.remove_tokens = {"t1"};
    store->commit(changes);
    EXPECT_THAT(store->load().hosts, testing::IsEmpty());
    EXPECT_THAT(store->load().resources, testing::IsEmpty());
    EXPECT_THAT(store->load().tokens, testing::IsEmpty());
}

TEST_F(StoreTest, IsPrivate) {
    open()->commit(everything());
    for (const auto& entry : fs::directory_iterator(directory_)) {
        struct stat status{};
        ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 077, 0U) << entry.path();
    }
}

TEST_F(StoreTest, RefusesTheDatabaseOfANewerVersion) {
    open();
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open((directory_ / "trailer.db").c_str(), &raw), SQLITE_OK);
    const auto sql = fmt::format("PRAGMA user_version = {}", migrations().size() + 1);
    sqlite3_exec(raw, sql.c_str(), nullptr, nullptr, nullptr);
    sqlite3_close(raw);
    try {
        open();
        FAIL() << "opened";
    } catch (const Error& e) {
        EXPECT_THAT(e.what(), testing::HasSubstr("newer"));
    }
}

}  // namespace
