#include "server/service/audit.h"

#include "base/crypto.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"

namespace trailer::server {
namespace {

using namespace std::chrono_literals;
using protocol::AuditEntry;

constexpr auto kWriteEvery = 5s;  // the counts of what is under way
constexpr auto kGather = 200ms;   // what ends together is written together
constexpr auto kPruneEvery = 1h;
constexpr auto kVisitPause = 5min;

std::string hash_of(const std::string& session_id) {
    return to_hex(sha256(session_id));
}

}  // namespace

AuditEntry audit_entry(const State& state, protocol::AuditKind kind, const std::string& user_id,
                       const store::Host& host, std::string address) {
    AuditEntry entry;
    entry.kind = kind;
    entry.user_id = user_id;
    if (const auto* user = state.user(user_id)) entry.user = user->username;
    entry.host = host.name;
    entry.host_id = host.id;
    entry.address = std::move(address);
    return entry;
}

AuditEntry audit_entry(const State& state, protocol::AuditKind kind, const std::string& user_id,
                       const store::Resource& workspace, std::string address) {
    auto entry = audit_entry(state, kind, user_id, state.host(workspace.host_id)->record,
                             std::move(address));
    entry.workspace = workspace.name;
    entry.workspace_id = workspace.id;
    return entry;
}

store::AuditRecord AuditLog::Record::current() const {
    auto record = kept;
    auto& entry = record.entry;
    for (const auto* each : sessions) {
        entry.bytes_in += static_cast<std::int64_t>(each->report_.bytes_in);
        entry.bytes_out += static_cast<std::int64_t>(each->report_.bytes_out);
        if (each->report_.exit_code) entry.exit_code = each->report_.exit_code;
    }
    return record;
}

AuditLog::Session::Session(AuditLog& log, std::shared_ptr<Record> record)
    : log_(log), record_(std::move(record)) {
    record_->sessions.push_back(this);
}

AuditLog::Session::~Session() {
    auto last = record_->current();
    std::erase(record_->sessions, this);
    // What the others have counted is theirs to add.
    auto& entry = record_->kept.entry;
    entry.bytes_in += static_cast<std::int64_t>(report_.bytes_in);
    entry.bytes_out += static_cast<std::int64_t>(report_.bytes_out);
    entry.exit_code = last.entry.exit_code;
    if (record_->sessions.empty()) entry.ended = now();
    log_.changed(*record_);
}

void AuditLog::Session::opened(const std::string& session_id) {
    if (session_id.empty()) return;
    record_->kept.session = hash_of(session_id);
    log_.changed(*record_);
}

void AuditLog::Session::failed(std::string why) {
    record_->kept.entry.failure = std::move(why);
    log_.changed(*record_);
}

void AuditLog::Session::count_connection() {
    ++record_->kept.entry.connections;
    record_->changed = true;
}

AuditLog::AuditLog(Core& core, std::chrono::milliseconds retention)
    : core_(core), retention_(retention), wake_(core.executor()) {}

AuditLog::~AuditLog() = default;

void AuditLog::changed(Record& record) {
    record.changed = true;
    wake_.notify();
}

std::unique_ptr<AuditLog::Session> AuditLog::attach(std::shared_ptr<Record> record) {
    return std::make_unique<Session>(*this, std::move(record));
}

Task<std::unique_ptr<AuditLog::Session>> AuditLog::begin(AuditEntry entry) {
    entry.id = new_id();
    entry.began = now();
    entry.connections = 1;
    const auto record = std::make_shared<Record>();
    record->kept.entry = std::move(entry);
    auto first = std::vector{record->kept};
    co_await core_.write_audit(std::move(first));
    records_[record->kept.entry.id] = record;
    co_return attach(record);
}

std::shared_ptr<AuditLog::Record> AuditLog::in_memory(const std::string& session) const {
    for (const auto& [id, record] : records_) {
        if (record->kept.session == session) return record;
    }
    return nullptr;
}

Task<std::unique_ptr<AuditLog::Session>> AuditLog::resume(std::string session_id,
                                                          AuditEntry entry) {
    const auto session = hash_of(session_id);
    auto record = in_memory(session);
    if (!record) {
        auto kept = co_await core_.audit_of_session(session);
        if (!kept) co_return co_await begin(std::move(entry));
        record = std::make_shared<Record>();
        record->kept = std::move(*kept);
        record = records_.try_emplace(record->kept.entry.id, record).first->second;
    }
    ++record->kept.entry.connections;
    record->kept.entry.ended.reset();
    // Counted from here on, so that nobody ends it or forgets it while it is written.
    auto again = attach(record);
    auto news = std::vector{record->current()};
    co_await core_.write_audit(std::move(news));
    co_return again;
}

Task<std::optional<AuditEntry>> AuditLog::find(std::string session_id) {
    const auto session = hash_of(session_id);
    if (const auto record = in_memory(session)) co_return record->current().entry;
    const auto kept = co_await core_.audit_of_session(session);
    if (!kept) co_return std::nullopt;
    co_return kept->entry;
}

std::shared_ptr<AuditLog::Session> AuditLog::visit_of(const Visitor& visitor) {
    const auto found = visits_.find(visitor);
    if (found == visits_.end()) return nullptr;
    found->second.session->count_connection();
    return found->second.session;
}

Task<std::shared_ptr<AuditLog::Session>> AuditLog::visit(AuditEntry entry) {
    const Visitor visitor{.user_id = entry.user_id,
                          .workspace_id = entry.workspace_id,
                          .port = entry.port.value_or(0),
                          .address = entry.address};
    if (auto known = visit_of(visitor)) co_return known;
    std::shared_ptr<Session> made = co_await begin(std::move(entry));
    // Another request may have been faster meanwhile: then this is one of its visit too.
    if (auto known = visit_of(visitor)) co_return known;
    visits_[visitor] = {.session = made, .last = now()};
    co_return made;
}

void AuditLog::sweep_visits() {
    const auto time = now();
    for (auto& [key, visit] : visits_) {
        if (visit.session.use_count() > 1) visit.last = time;
    }
    std::erase_if(visits_, [&](const auto& each) { return time - each.second.last > kVisitPause; });
}

Task<std::vector<AuditEntry>> AuditLog::read(store::AuditQuery query) {
    auto entries = co_await core_.read_audit(std::move(query));
    for (auto& entry : entries) {
        const auto found = records_.find(entry.id);
        if (found != records_.end()) entry = found->second->current().entry;
    }
    co_return entries;
}

Task<> AuditLog::flush() {
    std::vector<store::AuditRecord> news;
    std::vector<std::shared_ptr<Record>> written;
    for (const auto& [id, record] : records_) {
        const bool counts = !record->sessions.empty();
        if (!std::exchange(record->changed, false) && !counts) continue;
        news.push_back(record->current());
        written.push_back(record);
    }
    if (news.empty()) co_return;
    std::string failure;
    try {
        co_await core_.write_audit(std::move(news));
    } catch (const Error& e) {
        failure = describe(e);
    }
    if (!failure.empty()) {
        log::error("the audit log lags behind: {}", failure);
        for (const auto& each : written) each->changed = true;
        co_return;
    }
    for (const auto& each : written) {
        if (!each->changed && each->sessions.empty()) records_.erase(each->kept.entry.id);
    }
}

Task<> AuditLog::prune() {
    const auto time = std::chrono::steady_clock::now();
    if (pruned_ != decltype(pruned_){} && time - pruned_ < kPruneEvery) co_return;
    pruned_ = time;
    co_await core_.prune_audit(now() - retention_);
}

Task<> AuditLog::keep() {
    for (;;) {
        co_await prune();
        if (co_await wake_.wait_for(kWriteEvery)) co_await aio::sleep(kGather);
        sweep_visits();
        co_await flush();
    }
}

}  // namespace trailer::server
