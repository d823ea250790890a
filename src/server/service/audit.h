// The audit log: every session that a person opens, from its beginning to its end. Never what was
// said in it.
//
// A session is on the disk before it begins; what goes through it is written down now and then, and
// at its end. One that is taken up again, after a cut of the connection or a restart of the server,
// is the same entry. One thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "aio/signal.h"
#include "server/hub/relay.h"
#include "server/service/core.h"

namespace trailer::server {

class AuditLog {
    struct Record;

  public:
    // `retention`: how long entries are kept.
    AuditLog(Core& core, std::chrono::milliseconds retention);
    ~AuditLog();

    // One connection of a session. The session has ended when its last connection goes.
    class Session {
      public:
        Session(AuditLog& log, std::shared_ptr<Record> record);
        ~Session();
        Session(const Session&) = delete;
        Session& operator=(const Session&) = delete;

        // What goes through: whoever passes it on counts here.
        RelayReport& report() { return report_; }
        // The session's id, by which it is taken up again; only its hash is kept.
        void opened(const std::string& session_id);
        void failed(std::string why);
        // One more request, or connection.
        void count_connection();

      private:
        friend class AuditLog;
        AuditLog& log_;
        std::shared_ptr<Record> record_;  // shared with the log, and with the session's others
        RelayReport report_;
    };

    // Both return when the disk has it. Throw Error(unavailable) when it can't be written: then the
    // session must not begin.
    Task<std::unique_ptr<Session>> begin(protocol::AuditEntry entry);
    // Of a session that is taken up again: its entry, or a new one like `entry` where it is not
    // known (any more).
    Task<std::unique_ptr<Session>> resume(std::string session_id, protocol::AuditEntry entry);
    // What is known of a session that somebody wants to take up again.
    Task<std::optional<protocol::AuditEntry>> find(std::string session_id);

    // A look through the proxy: one entry for a person's requests to a port, until none came for
    // five minutes. Held for as long as something is under way.
    struct Visitor {
        std::string user_id;
        std::string workspace_id;
        std::uint16_t port = 0;
        std::string address;

        auto operator<=>(const Visitor&) const = default;
    };
    // Nothing where the visit has yet to begin.
    std::shared_ptr<Session> visit_of(const Visitor& visitor);
    Task<std::shared_ptr<Session>> visit(protocol::AuditEntry entry);

    // The newest first, as they are at this moment.
    Task<std::vector<protocol::AuditEntry>> read(store::AuditQuery query);

    // Writes down what has changed, and forgets what is older than the retention. Until cancelled.
    Task<> keep();
    // The last word, when everything else has ended.
    Task<> flush();

  private:
    struct Record {
        store::AuditRecord kept;
        std::vector<const Session*> sessions;  // those under way
        bool changed = false;                  // since it was written, beyond the counts

        // The entry with what goes through right now.
        store::AuditRecord current() const;
    };
    struct Visit {
        std::shared_ptr<Session> session;
        Timestamp last;
    };

    std::unique_ptr<Session> attach(std::shared_ptr<Record> record);
    std::shared_ptr<Record> in_memory(const std::string& session) const;
    void changed(Record& record);
    void sweep_visits();
    Task<> prune();

    Core& core_;
    std::chrono::milliseconds retention_;
    aio::Signal wake_;
    std::map<std::string, std::shared_ptr<Record>>
        records_;  // by id: under way, or not yet written
    std::map<Visitor, Visit> visits_;
    std::chrono::steady_clock::time_point pruned_{};
};

// Who does what where, as the log has it; what only one kind has, the caller adds.
protocol::AuditEntry audit_entry(const State& state, protocol::AuditKind kind,
                                 const std::string& user_id, const store::Resource& workspace,
                                 std::string address);
protocol::AuditEntry audit_entry(const State& state, protocol::AuditKind kind,
                                 const std::string& user_id, const store::Host& host,
                                 std::string address);

}  // namespace trailer::server
