// Logs, exec, attach and raw ports: a person's WebSocket joined to one of the host's agent.
#include "aio/task_group.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "net/http.h"
#include "server/api/routes.h"
#include "server/hub/relay.h"
#include "server/service/rights.h"
#include "wire/json.h"

namespace trailer::server::api {
namespace {

using namespace std::chrono_literals;
using protocol::OpenSession;
using protocol::SessionKind;

constexpr auto kOpenLimit = 15s;
constexpr std::int64_t kMostSize = 10'000;  // columns or rows
constexpr std::int64_t kMostLines = 1'000'000'000;
constexpr std::size_t kMostCommand = 1'000;  // words

bool offers(const net::Request& request, std::string_view protocol) {
    const auto offered = split(request.headers.get("Sec-WebSocket-Protocol"), ',');
    return std::ranges::any_of(offered,
                               [&](auto each) { return trimmed(each, " \t") == protocol; });
}

// A page of another origin may open a WebSocket here, and the browser sends our cookie with it
// (RFC 6455, section 10.2). Programs send no Origin.
void check_origin(const Call& call) {
    const auto& headers = call.exchange.request().headers;
    if (net::is_same_origin(headers)) return;
    throw Error(ErrorKind::forbidden, "a page of {} may not open sessions here",
                headers.get("Origin"));
}

protocol::TerminalSize size_of(const net::Query& query) {
    return {.cols = static_cast<std::uint16_t>(query_number(query, "cols", 0, kMostSize, 0)),
            .rows = static_cast<std::uint16_t>(query_number(query, "rows", 0, kMostSize, 0))};
}

std::string time_of(const net::Query& query, const std::string& name) {
    auto text = query.find(name);
    if (!text || text->empty()) return "";
    try {
        parse_rfc3339(*text);
    } catch (const InvalidInput&) {
        throw InvalidInput("?" + name, "expected a time as 2026-11-24T01:02:03Z, got " + *text);
    }
    return std::move(*text);
}

protocol::LogQuery logs_of(const net::Query& query) {
    protocol::LogQuery logs;
    logs.follow = query_flag(query, "follow");
    logs.timestamps = query_flag(query, "timestamps");
    const auto tail = query.find("tail");
    if (tail && *tail != "all") logs.tail = query_number(query, "tail", 0, kMostLines, 0);
    logs.since = time_of(query, "since");
    logs.until = time_of(query, "until");
    logs.skip = query_number(query, "skip", 0, kMostLines, 0);
    logs.skip_until = time_of(query, "skip_until");
    return logs;
}

protocol::ExecQuery exec_of(const net::Query& query) {
    protocol::ExecQuery exec;
    exec.command = query.all("cmd");
    if (exec.command.empty() || exec.command.front().empty()) {
        throw InvalidInput("?cmd", "expected the command; its arguments follow, each as cmd=");
    }
    if (exec.command.size() > kMostCommand) {
        throw InvalidInput("?cmd", fmt::format("expected at most {} words", kMostCommand));
    }
    exec.env = query.all("env");
    for (const auto& each : exec.env) {
        if (each.find('=') == each.npos || each.starts_with('=')) {
            throw InvalidInput("?env", "expected NAME=VALUE");
        }
    }
    exec.user = query.find("user").value_or("");
    exec.working_dir = query.find("workdir").value_or("");
    exec.tty = query_flag(query, "tty");
    exec.size = size_of(query);
    return exec;
}

std::uint16_t port_of(const std::string& text) {
    const auto parsed = parse_number(text, 1, 65535);
    if (!parsed) throw InvalidInput("", "expected a port, 1 to 65535, got " + text);
    return static_cast<std::uint16_t>(*parsed);
}

constexpr auto kLookAtRights = 5s;
constexpr auto kFarewell = 2s;          // for a host that does not read
constexpr int kPolicyViolation = 1008;  // RFC 6455, section 7.4.1

// What is being opened, and on which host.
struct Wanted {
    std::string host_id;
    OpenSession open;
    protocol::AuditEntry audit;  // who and what
};

void check_right(const Services& services, const Call& call, const Wanted& wanted) {
    const auto& state = services.core.state();
    const Rights rights(state, call.caller.user_id);
    const auto right = right_for(wanted.open.kind);
    if (wanted.open.workspace.empty()) {
        return rights.require(services.hosts.get(wanted.host_id).record, right);
    }
    rights.require(services.resources.get(Kind::workspace, wanted.open.workspace).record, right);
}

bool may_go_on(const Services& services, const Call& call, const Wanted& wanted) {
    try {
        check_right(services, call, wanted);
    } catch (const Error&) {
        return false;
    }
    return services.auth.is_good(call.caller);
}

// Ends the session of who has lost the right to it, or the login: that of a page that stays open
// for days too. A numbered one would wait for another connection, and what it runs would go on.
Task<> watch_right(const Services* services, const Call* call, const Wanted* wanted,
                   net::WebSocket* person, net::WebSocket* host, RelayReport* report) {
    while (may_go_on(*services, *call, *wanted)) co_await aio::sleep(kLookAtRights);
    if (wanted->open.numbered) {
        report->over = true;
        auto end = protocol::session_message(protocol::Channel::end, "");
        try {
            auto writing = host->write(std::move(end), true);
            co_await aio::with_deadline(std::move(writing), aio::Deadline::in(kFarewell),
                                        "ending a session at its host");
        } catch (const Error& e) {
            log::debug("a session whose right was withdrawn: {}", describe(e));  // it has gone
        }
    }
    co_await person->close(kPolicyViolation, "you have no right to this any more");
}

// Between the two connections, to the end of either.
Task<> join_both(net::WebSocket* person, net::WebSocket* host, const OpenSession* open,
                 RelayReport* report, aio::TaskGroup* beside) {
    const bool channels = open->numbered || open->kind != SessionKind::port;
    co_await relay(person, host, open->numbered, channels, report);
    beside->cancel();
}

Task<std::unique_ptr<AuditLog::Session>> write_down(Services& services, const Wanted& wanted) {
    auto entry = wanted.audit;
    if (!wanted.open.resume) return services.audit.begin(std::move(entry));
    return services.audit.resume(wanted.open.resume->session, std::move(entry));
}

// The session at the host; where it can't be opened, the audit log says why.
Task<std::unique_ptr<SessionDesk::Lease>> open_at_host(Services& services, const Wanted& wanted,
                                                       AuditLog::Session* audited) {
    std::exception_ptr failure;
    try {
        auto open = wanted.open;
        auto opening = services.core.sessions().open(wanted.host_id, std::move(open),
                                                     aio::Deadline::in(kOpenLimit));
        auto lease = co_await std::move(opening);
        audited->opened(lease->opened().session);
        co_return lease;
    } catch (const Error& e) {
        audited->failed(e.what());
        failure = std::current_exception();
    }
    std::rethrow_exception(failure);
}

// The person's WebSocket from its handshake to its end.
Task<> run_session(Services& services, Call& call, Wanted wanted) {
    if (!call.exchange.wants_websocket()) {
        throw Error(ErrorKind::invalid, "expected a WebSocket handshake");
    }
    check_origin(call);
    check_right(services, call, wanted);
    auto& open = wanted.open;
    open.user = call.caller.user_id;
    open.numbered = offers(call.exchange.request(), protocol::kNumberedProtocol);
    const auto audited = co_await write_down(services, wanted);
    const auto lease = co_await open_at_host(services, wanted, audited.get());
    net::WebSocketOptions options;
    options.max_message = protocol::kMostSessionData * 2;
    const auto person = co_await call.exchange.accept_websocket(
        options, open.numbered ? protocol::kNumberedProtocol : protocol::kPlainProtocol);
    if (open.numbered) {
        auto text = wire::to_json_text(lease->opened());
        co_await person->write(std::move(text));
    }
    aio::TaskGroup both(co_await asio::this_coro::executor);
    auto* const host = &lease->socket();
    auto* const report = &audited->report();
    both.spawn(join_both(person.get(), host, &open, report, &both));
    both.spawn(watch_right(&services, &call, &wanted, person.get(), host, report));
    co_await both.join();
}

protocol::AuditKind audit_kind(SessionKind kind) {
    return *wire::from_text<protocol::AuditKind>(wire::to_text(kind));
}

Wanted wanted_of(Services& services, Call& call, SessionKind kind) {
    const auto& record =
        services.resources.get(call.caller, Kind::workspace, call.parameters.at(0)).record;
    Wanted wanted{.host_id = record.host_id, .open = {}, .audit = {}};
    wanted.open.kind = kind;
    wanted.open.workspace = record.id;
    wanted.audit = audit_entry(services.core.state(), audit_kind(kind), call.caller.user_id, record,
                               call.address());
    return wanted;
}

Task<> logs(Services& services, Call& call) {
    auto wanted = wanted_of(services, call, SessionKind::logs);
    wanted.open.logs = logs_of(call.query);
    co_await run_session(services, call, std::move(wanted));
}

Task<> exec(Services& services, Call& call) {
    auto wanted = wanted_of(services, call, SessionKind::exec);
    wanted.open.exec = exec_of(call.query);
    wanted.audit.program = wanted.open.exec->command.front();
    co_await run_session(services, call, std::move(wanted));
}

Task<> attach(Services& services, Call& call) {
    auto wanted = wanted_of(services, call, SessionKind::attach);
    wanted.open.size = size_of(call.query);
    co_await run_session(services, call, std::move(wanted));
}

Task<> port(Services& services, Call& call) {
    auto wanted = wanted_of(services, call, SessionKind::port);
    wanted.open.port = port_of(call.parameters.at(1));
    wanted.audit.port = wanted.open.port;
    co_await run_session(services, call, std::move(wanted));
}

Wanted on_host(Services& services, Call& call) {
    const auto& host = services.hosts.get(call.caller, call.parameters.at(0)).record;
    Wanted wanted{.host_id = host.id, .open = {}, .audit = {}};
    wanted.open.kind = SessionKind::host_logs;
    wanted.audit = audit_entry(services.core.state(), audit_kind(wanted.open.kind),
                               call.caller.user_id, host, call.address());
    return wanted;
}

Task<> host_logs(Services& services, Call& call) {
    auto wanted = on_host(services, call);
    wanted.open.logs = logs_of(call.query);
    co_await run_session(services, call, std::move(wanted));
}

void resume(Call& call, OpenSession& open) {
    if (!offers(call.exchange.request(), protocol::kNumberedProtocol)) {
        throw Error(ErrorKind::invalid, "only a session of {} can be taken up again",
                    protocol::kNumberedProtocol);
    }
    constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
    const auto received = query_number(call.query, "received", 0, kMost, 0);
    const auto used = query_number(call.query, "used", 0, received, received);
    open.resume = {.session = call.parameters.at(1),
                   .received = static_cast<std::uint64_t>(received),
                   .used = static_cast<std::uint64_t>(used)};
}

Task<> resume_on_workspace(Services& services, Call& call) {
    // What it is, the log knows, and with it the right that it needs; the host knows whose it is.
    const auto known = co_await services.audit.find(call.parameters.at(1));
    const auto kind =
        known && known->kind == protocol::AuditKind::logs ? SessionKind::logs : SessionKind::exec;
    auto wanted = wanted_of(services, call, kind);
    resume(call, wanted.open);
    co_await run_session(services, call, std::move(wanted));
}

Task<> resume_on_host(Services& services, Call& call) {
    auto wanted = on_host(services, call);
    resume(call, wanted.open);
    co_await run_session(services, call, std::move(wanted));
}

}  // namespace

void add_session_routes(Router& router, Services& services) {
    const auto add = [&](std::string path, Task<> (*handler)(Services&, Call&)) {
        router.add("GET", std::move(path), Access::user,
                   [&services, handler](Call& call) { return handler(services, call); });
    };
    const std::string workspace = "/api/workspaces/{name}";
    add(workspace + "/logs", logs);
    add(workspace + "/exec", exec);
    add(workspace + "/attach", attach);
    add(workspace + "/ports/{port}", port);
    add(workspace + "/sessions/{session}", resume_on_workspace);
    add("/api/hosts/{host}/logs", host_logs);
    add("/api/hosts/{host}/sessions/{session}", resume_on_host);
}

}  // namespace trailer::server::api
