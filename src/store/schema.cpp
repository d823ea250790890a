#include "store/schema.h"

#include <array>

namespace trailer::store {
namespace {

// Times are milliseconds since 1970. What the server only shows, or reads whole, is JSON.
constexpr std::array<std::string_view, 3> kMigrations{
    R"sql(
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    username      TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    role          TEXT NOT NULL,
    created       INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
    id        TEXT PRIMARY KEY,
    user_id   TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind      TEXT NOT NULL,
    name      TEXT NOT NULL,
    hash      TEXT NOT NULL UNIQUE,
    created   INTEGER NOT NULL,
    expires   INTEGER,
    last_used INTEGER
) STRICT;

CREATE TABLE hosts (
    id                 TEXT PRIMARY KEY,
    name               TEXT NOT NULL UNIQUE,
    registration_token TEXT NOT NULL UNIQUE,
    public_key         TEXT NOT NULL,
    approved           INTEGER NOT NULL,
    enabled            INTEGER NOT NULL,
    settings           TEXT NOT NULL,
    version            TEXT NOT NULL,
    os                 TEXT NOT NULL,
    architecture       TEXT NOT NULL,
    capabilities       TEXT NOT NULL,
    address            TEXT NOT NULL,
    conflict           TEXT,
    conflict_key       TEXT NOT NULL,
    revision           INTEGER NOT NULL,
    created            INTEGER NOT NULL,
    updated            INTEGER NOT NULL
) STRICT;

CREATE TABLE resources (
    id             TEXT PRIMARY KEY,
    kind           TEXT NOT NULL,
    name           TEXT NOT NULL,
    host_id        TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    running        INTEGER NOT NULL,
    spec           TEXT NOT NULL,
    status         TEXT NOT NULL,
    messages       TEXT NOT NULL,
    observed       TEXT NOT NULL,
    revision       INTEGER NOT NULL,
    deleting       INTEGER NOT NULL,
    restart_before INTEGER,
    rebuilds       INTEGER NOT NULL,
    created        INTEGER NOT NULL,
    updated        INTEGER NOT NULL,
    UNIQUE (kind, name)
) STRICT;
CREATE INDEX resources_by_host ON resources (host_id);
)sql",
    // `group` is a word of SQL.
    R"sql(
ALTER TABLE resources ADD COLUMN group_name TEXT NOT NULL DEFAULT '';
)sql",
    // A grant's subject is a resource or a host. `written` of an entry of the audit log is when it
    // was last seen under way.
    R"sql(
ALTER TABLE resources ADD COLUMN owner_id TEXT NOT NULL DEFAULT '';

CREATE TABLE grants (
    user_id     TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    subject_id  TEXT NOT NULL,
    role        TEXT,
    permissions TEXT NOT NULL,
    created     INTEGER NOT NULL,
    PRIMARY KEY (user_id, subject_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_by_subject ON grants (subject_id);
CREATE TRIGGER grants_of_resources AFTER DELETE ON resources
    BEGIN DELETE FROM grants WHERE subject_id = OLD.id; END;
CREATE TRIGGER grants_of_hosts AFTER DELETE ON hosts
    BEGIN DELETE FROM grants WHERE subject_id = OLD.id; END;

CREATE TABLE audit (
    id           TEXT PRIMARY KEY,
    kind         TEXT NOT NULL,
    user         TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    workspace    TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    host         TEXT NOT NULL,
    host_id      TEXT NOT NULL,
    address      TEXT NOT NULL,
    program      TEXT NOT NULL,
    port         INTEGER,
    began        INTEGER NOT NULL,
    ended        INTEGER,
    written      INTEGER NOT NULL,
    bytes_in     INTEGER NOT NULL,
    bytes_out    INTEGER NOT NULL,
    connections  INTEGER NOT NULL,
    exit_code    INTEGER,
    failure      TEXT NOT NULL,
    session      TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_user ON audit (user_id, id);
CREATE INDEX audit_by_workspace ON audit (workspace_id, id);
CREATE INDEX audit_by_host ON audit (host_id, id);
CREATE INDEX audit_by_session ON audit (session) WHERE session <> '';
)sql"};

}  // namespace

std::span<const std::string_view> migrations() {
    return kMigrations;
}

}  // namespace trailer::store
