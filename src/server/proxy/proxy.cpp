#include "server/proxy/proxy.h"

#include "aio/task_group.h"
#include "base/error.h"
#include "base/log.h"
#include "server/service/rights.h"
#include "wire/json.h"

namespace trailer::server::proxy {
namespace {

using namespace std::chrono_literals;
using Framing = net::HttpLine::Framing;
using Clock = std::chrono::steady_clock;

constexpr const char* kTicket = "trailer_ticket";
constexpr std::size_t kMostBusy = 512;  // requests to one port at once
constexpr std::size_t kMostPath = 4096;
// Most requests are answered before they are looked at once.
constexpr auto kLook = 100ms;
constexpr auto kLookAtRights = 5s;

std::string bearer_of(const net::Headers& headers) {
    constexpr std::string_view kScheme = "Bearer ";
    const auto value = headers.get("Authorization");
    return std::string(value.starts_with(kScheme) ? value.substr(kScheme.size()) : "");
}

bool is_safe(std::string_view method) {
    return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

// RFC 9110, section 9.2.2.
bool is_idempotent(std::string_view method) {
    return is_safe(method) || method == "PUT" || method == "DELETE" || method == "TRACE";
}

// A person who typed the address, or followed a link of our own page: not another's page, nor a
// workspace's (its origin is opaque, so the browser says "cross-site").
bool is_navigation(const net::Request& request) {
    const auto& headers = request.headers;
    const auto site = headers.get("Sec-Fetch-Site");
    return request.method == "GET" && headers.get("Sec-Fetch-Mode") == "navigate" &&
           headers.get("Sec-Fetch-Dest") == "document" && (site == "none" || site == "same-origin");
}

// A browser sends the cookie whoever made the page that asks.
void check_origin(const net::Request& request, const Place& place) {
    if (net::is_same_origin(request.headers)) return;
    if (is_safe(request.method) && !wants_websocket(request.headers)) return;
    const auto origin = request.headers.get("Origin");
    if (origin == "null" && !place.own_origin) return;  // our sandbox makes it so
    throw Error(ErrorKind::forbidden, "a page of {} may not act on this workspace", origin);
}

// The target without the ticket.
std::string without_ticket(const std::string& target) {
    const auto mark = target.find('?');
    if (mark == target.npos) return target;
    std::string out = target.substr(0, mark);
    std::string_view rest = std::string_view(target).substr(mark + 1);
    char joint = '?';
    while (!rest.empty()) {
        const auto each = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(each.size() + 1, rest.size()));
        if (each.starts_with(std::string(kTicket) + "=")) continue;
        out += joint;
        out += each;
        joint = '&';
    }
    return out;
}

net::Response redirect(int status, std::string to) {
    net::Response response{.status = status};
    response.headers.set("Location", std::move(to));
    response.headers.set("Cache-Control", "no-store");
    response.headers.set("Referrer-Policy", "no-referrer");
    return response;
}

Framing framing_of(const net::Exchange& exchange) {
    const auto length = exchange.body_length();
    if (!length) return {.kind = Framing::Kind::chunked};
    const bool told = exchange.request().headers.find("Content-Length").has_value();
    if (*length == 0 && !told) return {};
    return {.kind = Framing::Kind::sized, .length = *length};
}

Task<> copy(net::ByteStream* from, net::ByteStream* to) {
    for (;;) {
        auto data = co_await from->read();
        if (data.empty()) break;
        co_await to->write(std::move(data));
    }
    // Over a raw port no half can end alone.
    throw Error(ErrorKind::unavailable, "one side has closed the connection");
}

// Between idle and gone, in a count of what is under way.
class Counted {
  public:
    explicit Counted(std::size_t& count) : count_(count) { ++count_; }
    ~Counted() { --count_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

  private:
    std::size_t& count_;
};

}  // namespace

struct Proxy::Passage {
    explicit Passage(const asio::any_io_executor& executor) : side(executor) {}

    std::string where() const {
        return fmt::format("port {} of workspace {}", place.port, workspace);
    }
    void moved() { last_move = Clock::now(); }
    void end_upstream() const {
        if (upstream.line) upstream.line->abort();
    }
    // Nobody is to have the rest of the answer.
    void end() {
        client_gone = true;
        end_upstream();
        if (both != nullptr) both->cancel();
    }

    net::Exchange* exchange = nullptr;
    Place place;
    std::string workspace;  // its name
    Route route;
    Holder holder;                               // by whose right, and by which login
    std::shared_ptr<AuditLog::Session> session;  // of the visit: its other requests have it too
    net::Request request;
    Framing framing;
    std::string first_piece;  // of a body that had to be asked for
    std::string cookie;       // to set, or empty
    Upstream upstream;
    aio::TaskGroup side;  // upload and await_client
    Clock::time_point last_move = Clock::now();
    Clock::time_point right_seen = Clock::now();
    bool asked = false;              // the request's head was sent
    bool awaited = false;            // the client's end is
    bool raw = false;                // no HTTP any more: nothing is waited for
    aio::TaskGroup* both = nullptr;  // then: the copies, each way
    bool answering = false;
    bool client_gone = false;
    bool late = false;
};

// What the sweeper looks at.
class Proxy::Listed {
  public:
    Listed(Proxy& proxy, Passage* passage) : all_(proxy.under_way_), passage_(passage) {
        all_.insert(passage_);
        proxy.sweeper_.begin();
    }
    ~Listed() { all_.erase(passage_); }
    Listed(const Listed&) = delete;
    Listed& operator=(const Listed&) = delete;

  private:
    std::set<Passage*>& all_;
    Passage* passage_;
};

Proxy::Proxy(Core& core, AuthService& auth, ResourceService& resources, AuditLog& audit,
             ProxyOptions options)
    : core_(core),
      auth_(auth),
      resources_(resources),
      audit_(audit),
      options_(std::move(options)),
      passes_(core),
      upstreams_(core.executor(), core.sessions()),
      sweeper_(core.executor(), kLook, [this] { return look(); }) {}

std::optional<Place> Proxy::place_of(const net::Request& request) const {
    return proxy::place_of(request, options_.domain);
}

std::optional<Proxy::Visitor> Proxy::visitor_of(const net::Request& request,
                                                const Place& place) const {
    const auto holder_of = [&](const Caller& caller, const std::string& workspace_id) {
        return Holder{.user_id = caller.user_id,
                      .token_id = caller.token_id,
                      .workspace_id = workspace_id,
                      .port = place.port};
    };
    const auto* entry = core_.state().resource(Kind::workspace, place.workspace);
    const auto id = entry == nullptr ? std::string() : entry->record.id;
    const auto bearer = bearer_of(request.headers);
    if (const auto caller = bearer.empty() ? std::nullopt : auth_.authenticate(bearer)) {
        return Visitor{.holder = holder_of(*caller, id), .by_bearer = true};
    }
    const auto cookie = cookie_of(request.headers, kCookie);
    if (const auto good = passes_.check_cookie(cookie, id, place.port); good && !id.empty()) {
        return Visitor{.holder = good->holder, .renew = good->aging};
    }
    const auto session = cookie_of(request.headers, "trailer_session");
    if (place.own_origin || session.empty() || !is_navigation(request)) return std::nullopt;
    if (const auto caller = auth_.authenticate(session)) {
        return Visitor{.holder = holder_of(*caller, id), .by_navigation = true};
    }
    return std::nullopt;
}

Proxy::Visitor Proxy::admit(const net::Request& request, const Place& place) const {
    auto visitor = visitor_of(request, place);
    if (!visitor) {
        throw Error(ErrorKind::unauthenticated,
                    "send a token (Authorization: Bearer …), or open the port with POST "
                    "/api/workspaces/{}/ports/{}/open and go to the URL that it answers",
                    place.workspace, place.port);
    }
    if (!visitor->by_bearer) check_origin(request, place);
    const auto* entry = core_.state().resource(Kind::workspace, place.workspace);
    if (entry == nullptr) {
        throw Error(ErrorKind::not_found, "workspace \"{}\" is not known", place.workspace);
    }
    Rights(core_.state(), visitor->holder.user_id).require(entry->record, kRightForProxy);
    return std::move(*visitor);
}

std::string Proxy::set_cookie(const net::Exchange& exchange, const Place& place,
                              const Holder& holder) const {
    const bool secure = scheme_of(exchange.request().headers, arrival_of(exchange)) == "https";
    return fmt::format("{}={}; Path={}/; Max-Age={}; HttpOnly; SameSite=Lax{}", kCookie,
                       passes_.make_cookie(holder), place.prefix, Passes::kCookieLife.count(),
                       secure ? "; Secure" : "");
}

Task<> Proxy::let_in(net::Exchange* exchange, Place place, Holder holder, std::string target) {
    auto response = redirect(303, place.prefix + target);
    response.headers.add("Set-Cookie", set_cookie(*exchange, place, holder));
    co_await exchange->respond(std::move(response));
}

protocol::PortOpenAnswer Proxy::open(const Caller& caller, const std::string& workspace,
                                     std::uint16_t port, const std::string& path,
                                     const net::Exchange& exchange) {
    const auto is_odd = [](unsigned char c) { return c <= ' ' || c == 0x7f || c == '#'; };
    if (!path.starts_with('/') || path.size() > kMostPath || std::ranges::any_of(path, is_odd)) {
        throw InvalidInput("/path", "expected a path and its query as in a URL, such as /lab?x=1");
    }
    const auto& record = resources_.get(caller, Kind::workspace, workspace).record;
    const auto ticket = passes_.make_ticket({.user_id = caller.user_id,
                                             .token_id = caller.token_id,
                                             .workspace_id = record.id,
                                             .port = port});
    const auto& headers = exchange.request().headers;
    const auto host = std::string(headers.get("Host"));
    const auto scheme = scheme_of(headers, arrival_of(exchange));
    std::string origin = fmt::format("{}://{}", scheme, host);
    std::string prefix = fmt::format("/proxy/{}/{}", record.name, port);
    if (!options_.domain.empty()) {
        const auto name = label_of(port, record.name);
        const auto colon = host.rfind(':');
        const bool has_port = colon != host.npos && host.find(']', colon) == host.npos;
        origin = fmt::format("{}://{}.{}{}", scheme, name ? *name : *label_of(port, record.id),
                             options_.domain, has_port ? host.substr(colon) : "");
        prefix.clear();
    }
    return {.url = fmt::format("{}{}{}{}{}={}", origin, prefix, path,
                               path.find('?') == path.npos ? "?" : "&", kTicket, ticket),
            .expires =
                now() + std::chrono::duration_cast<std::chrono::milliseconds>(Passes::kTicketLife)};
}

Task<> Proxy::serve(net::Exchange* exchange, Place place) {
    const auto& request = exchange->request();
    if (place.target.empty()) {
        const auto mark = request.target.find('?');
        auto response = redirect(
            308, place.prefix + "/" +
                     (mark == request.target.npos ? std::string() : request.target.substr(mark)));
        co_await exchange->respond(std::move(response));
        co_return;
    }
    const auto* entry = core_.state().resource(Kind::workspace, place.workspace);
    if (const auto ticket = request.query().find(kTicket); ticket && request.method == "GET") {
        const auto holder = passes_.use_ticket(*ticket);
        if (!holder || entry == nullptr || holder->workspace_id != entry->record.id ||
            holder->port != place.port) {
            throw Error(ErrorKind::unauthenticated,
                        "this link was used already, or is too old: open the port again");
        }
        auto target = without_ticket(place.target);
        co_await let_in(exchange, std::move(place), *holder, std::move(target));
        co_return;
    }
    const auto visitor = admit(request, place);
    if (visitor.by_navigation) {
        auto target = place.target;
        co_await let_in(exchange, std::move(place), visitor.holder, std::move(target));
        co_return;
    }
    if (request.method == "CONNECT" || request.method == "TRACE") {
        throw Error(ErrorKind::invalid, "{} does not pass", request.method);
    }
    auto arrival = arrival_of(*exchange);
    arrival.our_authorization = visitor.by_bearer;
    Passage passage(core_.executor());
    passage.exchange = exchange;
    passage.route = {.host_id = entry->record.host_id,
                     .workspace_id = entry->record.id,
                     .user_id = visitor.holder.user_id,
                     .port = place.port};
    passage.holder = visitor.holder;
    passage.workspace = entry->record.name;
    passage.request = for_workspace(request, place, arrival);
    passage.framing = framing_of(*exchange);
    const AuditLog::Visitor seen{.user_id = visitor.holder.user_id,
                                 .workspace_id = entry->record.id,
                                 .port = place.port,
                                 .address = client_of(request.headers, arrival)};
    passage.session = audit_.visit_of(seen);
    if (!passage.session) {
        auto begun = audit_entry(core_.state(), protocol::AuditKind::proxy, seen.user_id,
                                 entry->record, seen.address);
        begun.port = seen.port;
        passage.session = co_await audit_.visit(std::move(begun));
    }
    if (visitor.renew) passage.cookie = set_cookie(*exchange, place, visitor.holder);
    passage.place = std::move(place);
    co_await pass(&passage);
}

Task<> Proxy::pass(Passage* passage) {
    auto& busy = busy_[{passage->route.workspace_id, passage->route.port}];
    if (busy >= kMostBusy) {
        co_return co_await refuse(passage, 503,
                                  fmt::format("{} requests are under way", kMostBusy));
    }
    const Counted counted(busy);
    const Listed listed(*this, passage);
    std::exception_ptr failure;
    try {
        // A client that waits to be asked is asked before the workspace is: then nothing but
        // the answer is written to it.
        if (passage->exchange->expects_continue() && passage->framing.kind != Framing::Kind::none) {
            passage->first_piece = co_await passage->exchange->read_piece();
        }
        const bool may_retry =
            passage->framing.kind == Framing::Kind::none && is_idempotent(passage->request.method);
        if (!co_await ask(passage, may_retry)) co_await ask(passage, false);
    } catch (...) {
        failure = std::current_exception();
    }
    passage->end_upstream();
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    passage->side.cancel();
    co_await passage->side.join();
    if (failure) std::rethrow_exception(failure);
}

Task<> Proxy::reach(Passage* passage, bool fresh) {
    if (!fresh) {
        if (auto kept = upstreams_.kept(passage->route)) {
            passage->upstream = std::move(*kept);
            passage->upstream.stream->count_for(passage->session);
            co_return;
        }
    }
    auto made = co_await upstreams_.open(passage->route, aio::Deadline::in(options_.open_limit));
    passage->upstream = std::move(made);
    passage->upstream.stream->count_for(passage->session);
}

// False when a kept connection turned out to be dead before anything was heard.
Task<bool> Proxy::ask(Passage* passage, bool may_retry) {
    std::string unreachable;
    int status = 503;
    try {
        co_await reach(passage, passage->upstream.line != nullptr);
    } catch (const Error& e) {
        unreachable = e.what();
        status = e.kind() == ErrorKind::timeout ? 504 : 503;
    }
    if (!unreachable.empty()) {
        co_await refuse(passage, status, std::move(unreachable));
        co_return true;
    }
    std::string broken;
    try {
        passage->moved();
        const bool again = std::exchange(passage->asked, true);
        const bool uploads = !again && passage->framing.kind != Framing::Kind::none;
        co_await passage->upstream.line->begin(passage->request, passage->framing);
        if (uploads) passage->side.spawn(upload(passage));
        co_await answer(passage);
    } catch (const Error& e) {
        if (passage->exchange->answered() || passage->client_gone) throw;
        broken = e.what();
    }
    if (broken.empty()) co_return true;
    const bool stale = passage->upstream.used && !passage->upstream.line->heard();
    if (may_retry && stale && !passage->late) co_return false;
    if (passage->late) {
        co_await refuse(passage, 504,
                        fmt::format("no answer within {}", format_duration(options_.answer_limit)));
    } else {
        co_await refuse(passage, 502, std::move(broken));
    }
    co_return true;
}

Task<> Proxy::answer(Passage* passage) {
    auto& line = *passage->upstream.line;
    const auto head = co_await line.read_head();
    passage->moved();
    auto told = for_client(head, passage->exchange->request(), passage->place);
    if (!passage->cookie.empty()) told.headers.add("Set-Cookie", passage->cookie);
    if (head.status == 101) {
        if (!passage->request.headers.find("Upgrade")) {
            throw Error(ErrorKind::unavailable, "it changes the protocol without being asked to");
        }
        // What comes now is the workspace's.
        passage->raw = true;
        passage->side.cancel();
        co_await passage->side.join();
        auto client = co_await passage->exchange->take_over(std::move(told));
        auto workspace = line.take_over();
        aio::TaskGroup both(core_.executor());
        passage->both = &both;
        both.spawn(copy(client.get(), workspace.get()));
        both.spawn(copy(workspace.get(), client.get()));
        co_await both.join();
        co_return;
    }
    if (line.has_waiting()) told.body = co_await line.read();
    const auto writer = co_await passage->exchange->stream(std::move(told));
    passage->answering = true;
    for (;;) {
        auto piece = co_await line.read();
        if (piece.empty()) break;
        passage->moved();
        co_await writer->write(std::move(piece));
        passage->moved();
    }
    co_await writer->finish();
    if (line.reusable() && !passage->late && !passage->client_gone) {
        upstreams_.keep(passage->route, std::exchange(passage->upstream, {}));
    }
}

Task<> Proxy::upload(Passage* passage) {
    auto& exchange = *passage->exchange;
    bool reading = true;
    try {
        auto piece = std::move(passage->first_piece);
        if (piece.empty()) piece = co_await exchange.read_piece();
        while (!piece.empty()) {
            passage->moved();
            reading = false;
            co_await passage->upstream.line->write(std::move(piece));
            reading = true;
            passage->moved();
            piece = co_await exchange.read_piece();
        }
        reading = false;
        co_await passage->upstream.line->finish();
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e)) throw;
        log::debug("{}: {}", passage->where(), describe(e));
        // A workspace that reads no more may have answered already.
        if (!reading) co_return;
        passage->end();
    }
}

// Whether there is still somebody who wants the answer.
Task<> Proxy::await_client(Passage* passage) {
    try {
        co_await passage->exchange->until_gone();
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e)) throw;
        log::debug("{}: {}", passage->where(), describe(e));
    }
    passage->end();
}

bool Proxy::may_go_on(const Passage& passage) const {
    const auto& state = core_.state();
    const auto* entry = state.resource(Kind::workspace, passage.holder.workspace_id);
    return entry != nullptr && token_holds(state, passage.holder.token_id) &&
           Rights(state, passage.holder.user_id).on(entry->record) >= kRightForProxy;
}

// A request that takes its time: its client may leave or lose the right, and its time may run out.
bool Proxy::look() {
    const auto time = Clock::now();
    for (auto* each : under_way_) {
        if (time - each->right_seen >= kLookAtRights) {
            each->right_seen = time;
            if (!may_go_on(*each)) each->end();
        }
        if (each->raw || !each->asked || each->late) continue;
        const auto limit = each->answering ? options_.idle_limit : options_.answer_limit;
        if (time - each->last_move >= limit) {
            each->late = true;
            each->end_upstream();
        } else if (!std::exchange(each->awaited, true)) {
            each->side.spawn(await_client(each));
        }
    }
    return !under_way_.empty();
}

Task<> Proxy::refuse(Passage* passage, int status, std::string why) {
    const protocol::Problem problem{.title = std::string(net::reason_phrase(status)),
                                    .status = status,
                                    .detail = fmt::format("{}: {}", passage->where(), why)};
    net::Response response{.status = status, .body = wire::to_json_text(problem)};
    response.headers.set("Content-Type", "application/problem+json");
    response.headers.set("Cache-Control", "no-store");
    if (status == 503) response.headers.set("Retry-After", "5");
    co_await passage->exchange->respond(std::move(response));
}

}  // namespace trailer::server::proxy
