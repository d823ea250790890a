#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/error.h"
#include "store/schema.h"
#include "store/store.h"

namespace trailer::store {
namespace {

std::int64_t to_ms(Timestamp time) {
    return time.time_since_epoch().count();
}
Timestamp from_ms(std::int64_t ms) {
    return Timestamp{std::chrono::milliseconds{ms}};
}

std::optional<Timestamp> optional_time(const SQLite::Column& column) {
    if (column.isNull()) return std::nullopt;
    return from_ms(column.getInt64());
}

// Binds values in their order.
class Binder {
  public:
    explicit Binder(SQLite::Statement& statement) : statement_(statement) {}

    Binder& operator<<(const std::string& value) {
        statement_.bind(++index_, value);
        return *this;
    }
    Binder& operator<<(bool value) {
        statement_.bind(++index_, value ? 1 : 0);
        return *this;
    }
    Binder& operator<<(std::int64_t value) {
        statement_.bind(++index_, value);
        return *this;
    }
    Binder& operator<<(Timestamp value) { return *this << to_ms(value); }
    Binder& operator<<(int value) { return *this << std::int64_t{value}; }
    Binder& operator<<(std::uint16_t value) { return *this << std::int64_t{value}; }
    template <typename T>
    Binder& operator<<(const std::optional<T>& value) {
        if (value) return *this << *value;
        statement_.bind(++index_);  // NULL
        return *this;
    }

  private:
    SQLite::Statement& statement_;
    int index_ = 0;
};

// "INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET a = excluded.a, …"
std::string upsert(std::string_view table, std::string_view key,
                   std::initializer_list<std::string_view> columns) {
    std::string names, marks, sets;
    for (const auto column : columns) {
        names += fmt::format("{}{}", names.empty() ? "" : ", ", column);
        marks += marks.empty() ? "?" : ", ?";
        if (column != key)
            sets += fmt::format("{}{} = excluded.{}", sets.empty() ? "" : ", ", column, column);
    }
    return fmt::format("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}", table,
                       names, marks, key, sets);
}

class SqliteStore : public Store {
  public:
    explicit SqliteStore(const std::string& file)
        : database_(file, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 10'000) {
        // WAL with FULL: a commit that returned survives a loss of power.
        database_.exec(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
            "PRAGMA cache_size = -2000;");
        migrate(file);
        prepare();
        database_.exec("UPDATE audit SET ended = written WHERE ended IS NULL");
    }

    Snapshot load() override {
        Snapshot snapshot;
        SQLite::Statement meta(database_, "SELECT key, value FROM meta");
        while (meta.executeStep()) snapshot.meta[meta.getColumn(0)] = meta.getColumn(1).getString();
        load_users(snapshot);
        load_tokens(snapshot);
        load_grants(snapshot);
        load_hosts(snapshot);
        load_resources(snapshot);
        return snapshot;
    }

    void commit(const Changes& changes) override {
        try {
            SQLite::Transaction transaction(database_);
            for (const auto& user : changes.put_users) put(user);
            for (const auto& id : changes.remove_users) run("DELETE FROM users WHERE id = ?", id);
            for (const auto& token : changes.put_tokens) put(token);
            for (const auto& id : changes.remove_tokens) run("DELETE FROM tokens WHERE id = ?", id);
            for (const auto& id : changes.remove_resources)
                run("DELETE FROM resources WHERE id = ?", id);
            for (const auto& id : changes.remove_hosts) run("DELETE FROM hosts WHERE id = ?", id);
            for (const auto& host : changes.put_hosts) put(host);
            for (const auto& resource : changes.put_resources) put(resource);
            for (const auto& [user, subject] : changes.remove_grants) {
                run("DELETE FROM grants WHERE user_id = ? AND subject_id = ?", user, subject);
            }
            for (const auto& grant : changes.put_grants) put(grant);
            for (const auto& [key, value] : changes.put_meta) {
                auto& statement = *put_meta_;
                statement.reset();
                Binder(statement) << key << value;
                statement.exec();
            }
            transaction.commit();
        } catch (const SQLite::Exception& e) {
            throw Error(ErrorKind::unavailable, "writing to the database: {}", e.what());
        }
    }

    void check() override {
        try {
            database_.exec("SELECT count(*) FROM meta");
        } catch (const SQLite::Exception& e) {
            throw Error(ErrorKind::unavailable, "the database does not answer: {}", e.what());
        }
    }

    void put_audit(const std::vector<AuditRecord>& records) override {
        try {
            SQLite::Transaction transaction(database_);
            for (const auto& each : records) put(each);
            transaction.commit();
        } catch (const SQLite::Exception& e) {
            throw Error(ErrorKind::unavailable, "writing the audit log: {}", e.what());
        }
    }

    std::vector<protocol::AuditEntry> audit(const AuditQuery& query) override {
        // Ids grow with time (UUIDv7), so the index that narrows also sorts.
        std::string sql = fmt::format("SELECT {} FROM audit WHERE 1", kAuditColumns);
        if (!query.user_id.empty()) sql += " AND user_id = :user";
        if (!query.workspace_id.empty()) sql += " AND workspace_id = :workspace";
        if (!query.host_id.empty()) sql += " AND host_id = :host";
        if (query.kind) sql += " AND kind = :kind";
        if (query.from) sql += " AND began >= :from";
        if (query.to) sql += " AND began < :to";
        if (!query.before.empty()) sql += " AND id < :before";
        SQLite::Statement row(database_, sql + " ORDER BY id DESC LIMIT :limit");
        if (!query.user_id.empty()) row.bind(":user", query.user_id);
        if (!query.workspace_id.empty()) row.bind(":workspace", query.workspace_id);
        if (!query.host_id.empty()) row.bind(":host", query.host_id);
        if (query.kind) row.bind(":kind", wire::to_text(*query.kind));
        if (query.from) row.bind(":from", to_ms(*query.from));
        if (query.to) row.bind(":to", to_ms(*query.to));
        if (!query.before.empty()) row.bind(":before", query.before);
        row.bind(":limit", query.limit);
        std::vector<protocol::AuditEntry> entries;
        while (row.executeStep()) entries.push_back(audit_in(row).entry);
        return entries;
    }

    std::optional<AuditRecord> audit_of_session(const std::string& session) override {
        SQLite::Statement row(
            database_,
            fmt::format("SELECT {} FROM audit WHERE session = ? AND session <> ''", kAuditColumns));
        row.bind(1, session);
        if (!row.executeStep()) return std::nullopt;
        return audit_in(row);
    }

    void prune_audit(Timestamp oldest) override {
        SQLite::Statement statement(database_, "DELETE FROM audit WHERE began < ?");
        statement.bind(1, to_ms(oldest));
        statement.exec();
    }

  private:
    static constexpr std::string_view kAuditColumns =
        "id, kind, user, user_id, workspace, workspace_id, host, host_id, address, program, port, "
        "began, ended, bytes_in, bytes_out, connections, exit_code, failure, session";

    static AuditRecord audit_in(SQLite::Statement& row) {
        AuditRecord record;
        auto& entry = record.entry;
        entry.id = row.getColumn(0).getString();
        entry.kind = wire::from_text<protocol::AuditKind>(row.getColumn(1).getString())
                         .value_or(protocol::AuditKind::logs);
        entry.user = row.getColumn(2).getString();
        entry.user_id = row.getColumn(3).getString();
        entry.workspace = row.getColumn(4).getString();
        entry.workspace_id = row.getColumn(5).getString();
        entry.host = row.getColumn(6).getString();
        entry.host_id = row.getColumn(7).getString();
        entry.address = row.getColumn(8).getString();
        entry.program = row.getColumn(9).getString();
        if (const auto port = row.getColumn(10); !port.isNull()) {
            entry.port = static_cast<std::uint16_t>(port.getInt());
        }
        entry.began = from_ms(row.getColumn(11).getInt64());
        entry.ended = optional_time(row.getColumn(12));
        entry.bytes_in = row.getColumn(13).getInt64();
        entry.bytes_out = row.getColumn(14).getInt64();
        entry.connections = row.getColumn(15).getInt64();
        if (const auto code = row.getColumn(16); !code.isNull()) entry.exit_code = code.getInt();
        entry.failure = row.getColumn(17).getString();
        record.session = row.getColumn(18).getString();
        return record;
    }

    void put(const AuditRecord& record) {
        const auto& [entry, session] = record;
        put_audit_->reset();
        Binder(*put_audit_) << entry.id << wire::to_text(entry.kind) << entry.user << entry.user_id
                            << entry.workspace << entry.workspace_id << entry.host << entry.host_id
                            << entry.address << entry.program << entry.port << entry.began
                            << entry.ended << now() << entry.bytes_in << entry.bytes_out
                            << entry.connections << entry.exit_code << entry.failure << session;
        put_audit_->exec();
    }

    void put(const Grant& grant) {
        put_grant_->reset();
        Binder(*put_grant_) << grant.user_id << grant.subject_id
                            << (grant.role ? std::optional(wire::to_text(*grant.role))
                                           : std::nullopt)
                            << wire::to_json_text(grant.permissions) << grant.created;
        put_grant_->exec();
    }

    void load_grants(Snapshot& snapshot) {
        SQLite::Statement row(database_,
                              "SELECT user_id, subject_id, role, permissions, created FROM grants");
        while (row.executeStep()) {
            Grant grant{.user_id = row.getColumn(0),
                        .subject_id = row.getColumn(1),
                        .permissions = wire::from_json_text<std::vector<protocol::HostPermission>>(
                            row.getColumn(3).getString()),
                        .created = from_ms(row.getColumn(4).getInt64())};
            if (const auto role = row.getColumn(2); !role.isNull()) {
                grant.role = wire::from_text<protocol::ResourceRole>(role.getString());
            }
            snapshot.grants.push_back(std::move(grant));
        }
    }

    void migrate(const std::string& file) {
        const auto version = database_.execAndGet("PRAGMA user_version").getInt();
        const auto all = migrations();
        if (version > static_cast<int>(all.size())) {
            throw Error(
                ErrorKind::conflict,
                "{} was written by a newer Trailer (schema {}, this one knows {}): install that "
                "version again, or restore a backup",
                file, version, all.size());
        }
        for (auto i = static_cast<std::size_t>(version); i < all.size(); ++i) {
            SQLite::Transaction transaction(database_);
            database_.exec(std::string(all[i]));
            database_.exec(fmt::format("PRAGMA user_version = {}", i + 1));
            transaction.commit();
        }
    }

    void prepare() {
        const auto make = [&](const std::string& sql) {
            return std::make_unique<SQLite::Statement>(database_, sql);
        };
        put_meta_ = make(upsert("meta", "key", {"key", "value"}));
        put_user_ =
            make(upsert("users", "id", {"id", "username", "password_hash", "role", "created"}));
        put_token_ = make(
            upsert("tokens", "id",
                   {"id", "user_id", "kind", "name", "hash", "created", "expires", "last_used"}));
        put_host_ =
            make(upsert("hosts", "id",
                        {"id", "name", "registration_token", "public_key", "approved", "enabled",
                         "settings", "version", "os", "architecture", "capabilities", "address",
                         "conflict", "conflict_key", "revision", "created", "updated"}));
        put_resource_ =
            make(upsert("resources", "id",
                        {"id", "kind", "name", "host_id", "running", "spec", "status", "messages",
                         "observed", "revision", "deleting", "restart_before", "rebuilds",
                         "created", "updated", "group_name", "owner_id"}));
        put_audit_ = make(upsert(
            "audit", "id", {"id",           "kind",        "user",      "user_id", "workspace",
                            "workspace_id", "host",        "host_id",   "address", "program",
                            "port",         "began",       "ended",     "written", "bytes_in",
                            "bytes_out",    "connections", "exit_code", "failure", "session"}));
        put_grant_ = make(upsert("grants", "user_id, subject_id",
                                 {"user_id", "subject_id", "role", "permissions", "created"}));
    }

    template <typename... Values>
    void run(const char* sql, const Values&... values) {
        SQLite::Statement statement(database_, sql);
        Binder binder(statement);
        (binder << ... << values);
        statement.exec();
    }

    void put(const User& user) {
        put_user_->reset();
        Binder(*put_user_) << user.id << user.username << user.password_hash
                           << wire::to_text(user.role) << user.created;
        put_user_->exec();
    }

    void put(const Token& token) {
        put_token_->reset();
        Binder(*put_token_) << token.id << token.user_id << wire::to_text(token.kind) << token.name
                            << token.hash << token.created << token.expires << token.last_used;
        put_token_->exec();
    }

    void put(const Host& host) {
        put_host_->reset();
        Binder binder(*put_host_);
        binder << host.id << host.name << host.registration_token << host.public_key
               << host.approved << host.enabled << wire::to_json_text(host.settings) << host.version
               << host.os << host.architecture << wire::to_json_text(host.capabilities)
               << host.address << wire::to_json_text(host.conflict) << host.conflict_key
               << host.revision << host.created << host.updated;
        put_host_->exec();
    }

    void put(const Resource& resource) {
        put_resource_->reset();
        Binder binder(*put_resource_);
        binder << resource.id << std::string(title(resource.kind)) << resource.name
               << resource.host_id << resource.running << json::serialize(resource.spec)
               << wire::to_text(resource.status) << wire::to_json_text(resource.messages)
               << json::serialize(resource.observed) << resource.revision << resource.deleting
               << resource.restart_before << resource.rebuilds << resource.created
               << resource.updated << resource.group << resource.owner_id;
        put_resource_->exec();
    }

    void load_users(Snapshot& snapshot) {
        SQLite::Statement row(database_,
                              "SELECT id, username, password_hash, role, created FROM users");
        while (row.executeStep()) {
            snapshot.users.push_back(
                {.id = row.getColumn(0),
                 .username = row.getColumn(1),
                 .password_hash = row.getColumn(2),
                 .role = wire::from_text<protocol::Role>(row.getColumn(3).getString())
                             .value_or(protocol::Role::user),
                 .created = from_ms(row.getColumn(4).getInt64())});
        }
    }

    void load_tokens(Snapshot& snapshot) {
        SQLite::Statement row(
            database_,
            "SELECT id, user_id, kind, name, hash, created, expires, last_used FROM tokens");
        while (row.executeStep()) {
            snapshot.tokens.push_back(
                {.id = row.getColumn(0),
                 .user_id = row.getColumn(1),
                 .kind = wire::from_text<TokenKind>(row.getColumn(2).getString())
                             .value_or(TokenKind::session),
                 .name = row.getColumn(3),
                 .hash = row.getColumn(4),
                 .created = from_ms(row.getColumn(5).getInt64()),
                 .expires = optional_time(row.getColumn(6)),
                 .last_used = optional_time(row.getColumn(7))});
        }
    }

    void load_hosts(Snapshot& snapshot) {
        SQLite::Statement row(
            database_,
            "SELECT id, name, registration_token, public_key, approved, enabled, settings, "
            "version, os, architecture, capabilities, address, conflict, conflict_key, "
            "revision, created, updated FROM hosts");
        while (row.executeStep()) {
            Host host{.id = row.getColumn(0),
                      .name = row.getColumn(1),
                      .registration_token = row.getColumn(2),
                      .public_key = row.getColumn(3),
                      .approved = row.getColumn(4).getInt() != 0,
                      .enabled = row.getColumn(5).getInt() != 0,
                      .version = row.getColumn(7),
                      .os = row.getColumn(8),
                      .architecture = row.getColumn(9),
                      .address = row.getColumn(11),
                      .conflict_key = row.getColumn(13),
                      .revision = row.getColumn(14).getInt64(),
                      .created = from_ms(row.getColumn(15).getInt64()),
                      .updated = from_ms(row.getColumn(16).getInt64())};
            host.settings =
                wire::from_json_text<protocol::HostSettings>(row.getColumn(6).getString());
            host.capabilities =
                wire::from_json_text<protocol::Capabilities>(row.getColumn(10).getString());
            host.conflict = wire::from_json_text<std::optional<protocol::IdentityConflict>>(
                row.getColumn(12).getString());
            snapshot.hosts.push_back(std::move(host));
        }
    }

    void load_resources(Snapshot& snapshot) {
        SQLite::Statement row(
            database_,
            "SELECT id, kind, name, host_id, running, spec, status, messages, observed, "
            "revision, deleting, restart_before, rebuilds, created, updated, group_name, "
            "owner_id FROM resources");
        while (row.executeStep()) {
            Resource resource{.id = row.getColumn(0),
                              .name = row.getColumn(2),
                              .host_id = row.getColumn(3),
                              .group = row.getColumn(15),
                              .owner_id = row.getColumn(16),
                              .running = row.getColumn(4).getInt() != 0,
                              .spec = wire::parse(row.getColumn(5).getString()).as_object(),
                              .messages = wire::from_json_text<std::vector<protocol::Message>>(
                                  row.getColumn(7).getString()),
                              .observed = wire::parse(row.getColumn(8).getString()).as_object(),
                              .revision = row.getColumn(9).getInt64(),
                              .deleting = row.getColumn(10).getInt() != 0,
                              .restart_before = optional_time(row.getColumn(11)),
                              .rebuilds = row.getColumn(12).getInt64(),
                              .created = from_ms(row.getColumn(13).getInt64()),
                              .updated = from_ms(row.getColumn(14).getInt64())};
            const auto kind = protocol::kind_from_title(row.getColumn(1).getString());
            const auto status = wire::from_text<protocol::State>(row.getColumn(6).getString());
            if (!kind || !status) {
                throw Error(ErrorKind::internal,
                            "the database has a resource {} of kind {} in state {}", resource.id,
                            row.getColumn(1).getString(), row.getColumn(6).getString());
            }
            resource.kind = *kind;
            resource.status = *status;
            snapshot.resources.push_back(std::move(resource));
        }
    }

    SQLite::Database database_;
    std::unique_ptr<SQLite::Statement> put_meta_, put_user_, put_token_, put_host_, put_resource_,
        put_audit_, put_grant_;
};

}  // namespace

std::unique_ptr<Store> open_sqlite(const std::string& directory) {
    namespace fs = std::filesystem;
    std::error_code error;
    fs::create_directories(directory, error);
    if (error) {
        throw Error(ErrorKind::unavailable, "creating the data directory {}: {}", directory,
                    error.message());
    }
    fs::permissions(directory, fs::perms::owner_all, error);
    const auto file = (fs::path(directory) / "trailer.db").string();
    const auto before = ::umask(077);  // also for the files that SQLite makes beside it
    try {
        auto store = std::make_unique<SqliteStore>(file);
        ::umask(before);
        return store;
    } catch (const SQLite::Exception& e) {
        ::umask(before);
        throw Error(ErrorKind::unavailable, "opening the database {}: {}", file, e.what());
    } catch (...) {
        ::umask(before);
        throw;
    }
}

}  // namespace trailer::store
