#include "server/api/routes.h"
#include "server/service/rights.h"

namespace trailer::server::api {
namespace {

// A proxy ends what is silent for long; a client knows by it that the connection lives.
constexpr std::chrono::seconds kPing{15};

Task<> follow(Services& services, Call& call) {
    const auto last = call.exchange.request().headers.find("Last-Event-ID");
    const auto may_see = [&services, &call](const EventFeed::Audience& audience) {
        const auto& id = call.caller.user_id;
        return Rights(services.core.state(), id).is_admin() || audience.contains(id);
    };
    EventFeed::Follower follower(services.core.feed(),
                                 last ? std::optional(std::string(*last)) : std::nullopt, may_see);
    net::Response head;
    head.headers.set("Content-Type", "text/event-stream");
    head.headers.set("Cache-Control", "no-store");
    head.headers.set("X-Accel-Buffering", "no");
    auto writer = co_await call.exchange.stream(std::move(head));
    while (services.auth.is_good(call.caller)) {
        auto text = co_await follower.next(kPing);
        if (text.empty()) text = ": still here\n\n";
        co_await writer->write(std::move(text));
    }
    co_await writer->finish();
}

}  // namespace

void add_event_routes(Router& router, Services& services) {
    router.add("GET", "/api/events", Access::user,
               [&services](Call& call) { return follow(services, call); });
}

}  // namespace trailer::server::api
