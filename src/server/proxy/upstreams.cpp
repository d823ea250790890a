#include "server/proxy/upstreams.h"

#include "base/error.h"

namespace trailer::server::proxy {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostOfOne = 128;
constexpr std::size_t kMostInAll = 512;
constexpr auto kMostRest = 30s;
constexpr auto kSweep = 5s;

}  // namespace

Upstreams::Upstreams(asio::any_io_executor executor, SessionDesk& desk)
    : executor_(executor), desk_(desk), sweeper_(executor, kSweep, [this] { return sweep(); }) {}

Task<Upstream> Upstreams::open(Route route, aio::Deadline deadline) {
    protocol::OpenSession open;
    open.kind = protocol::SessionKind::port;
    open.workspace = route.workspace_id;
    open.user = route.user_id;
    open.port = route.port;
    auto lease = co_await desk_.open_on_trunk(route.host_id, std::move(open), deadline);
    auto stream = std::make_unique<PortStream>(executor_, std::move(lease));
    auto* raw = stream.get();
    co_return Upstream{
        .line = std::make_unique<net::HttpLine>(std::move(stream)), .stream = raw, .used = false};
}

std::optional<Upstream> Upstreams::kept(const Route& route) {
    const auto found = resting_.find(route);
    if (found == resting_.end()) return std::nullopt;
    auto& list = found->second;
    std::optional<Upstream> upstream;
    const bool trunk = desk_.has_trunk(route.host_id);
    while (!list.empty() && !upstream) {
        auto& last = list.back().upstream;
        // One with a connection of its own was made before there was a trunk.
        if (last.stream->alive() && last.stream->on_trunk() == trunk) upstream = std::move(last);
        list.pop_back();
        --count_;
    }
    if (list.empty()) resting_.erase(found);
    if (upstream) upstream->stream->rest(false);
    return upstream;
}

void Upstreams::keep(const Route& route, Upstream upstream) {
    if (count_ >= kMostInAll || !upstream.stream->alive()) return;
    auto& list = resting_[route];
    if (list.size() >= kMostOfOne) return;
    upstream.used = true;
    upstream.stream->rest(true);
    list.push_back({.upstream = std::move(upstream), .since = std::chrono::steady_clock::now()});
    ++count_;
    sweeper_.begin();
}

bool Upstreams::sweep() {
    const auto limit = std::chrono::steady_clock::now() - kMostRest;
    for (auto& [route, list] : resting_) {
        count_ -= std::erase_if(list, [&](const Resting& each) {
            return each.since < limit || !each.upstream.stream->alive();
        });
    }
    std::erase_if(resting_, [](const auto& each) { return each.second.empty(); });
    return count_ > 0;
}

}  // namespace trailer::server::proxy
