#include "server/hub/event_feed.h"

#include <charconv>

#include "base/crypto.h"
#include "wire/json.h"

namespace trailer::server {
namespace {

// What one write takes; a follower that is far behind gets the rest with the next ones.
constexpr std::size_t kMostBytes = 256 << 10;

}  // namespace

EventFeed::EventFeed(asio::any_io_executor executor)
    : executor_(std::move(executor)), epoch_(to_hex(random_bytes(4))) {}

std::string EventFeed::last_id() const {
    return fmt::format("{}-{}", epoch_, next_ - 1);
}

void EventFeed::publish(const Change& change, Audience audience) {
    const auto quoted = [](const std::string& text) {
        return boost::json::serialize(boost::json::string(text));
    };
    auto text = fmt::format(
        "id: {}-{}\nevent: resource\n"
        "data: {{\"type\":\"{}\",\"kind\":{},\"id\":{},\"name\":{},\"resource\":{}}}\n\n",
        epoch_, next_++, wire::to_text(change.type), quoted(change.kind), quoted(change.id),
        quoted(change.name), change.text.empty() ? "null" : change.text);
    ring_.push_back({std::move(text), std::move(audience)});
    if (ring_.size() > kRing) ring_.pop_front();
    for (auto* follower : followers_) follower->wake_.notify();
}

EventFeed::Follower::Follower(EventFeed& feed, std::optional<std::string> last_event_id,
                              MaySee may_see)
    : feed_(feed), may_see_(std::move(may_see)), wake_(feed.executor_), place_(feed.next_) {
    feed_.followers_.insert(this);
    if (!last_event_id) return;
    reset_ = true;
    const std::string_view text = *last_event_id;
    const auto dash = text.rfind('-');
    if (dash == text.npos || text.substr(0, dash) != feed.epoch_) return;
    std::uint64_t seen = 0;
    const auto digits = text.substr(dash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seen);
    if (error != std::errc() || end != digits.data() + digits.size() || seen >= feed.next_) return;
    place_ = seen + 1;
    reset_ = false;
}

EventFeed::Follower::~Follower() {
    feed_.followers_.erase(this);
}

Task<std::string> EventFeed::Follower::next(std::chrono::milliseconds patience) {
    const auto end = std::chrono::steady_clock::now() + patience;
    for (;;) {
        if (auto text = take(); !text.empty()) co_return text;
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0 || !co_await wake_.wait_for(left)) co_return take();
    }
}

std::string EventFeed::Follower::take() {
    std::string text;
    // The place to resume from, before anything has happened.
    if (!std::exchange(greeted_, true) && !reset_) {
        text = fmt::format(": here is what changes\nid: {}-{}\n\n", feed_.epoch_, place_ - 1);
    }
    const auto oldest = feed_.next_ - feed_.ring_.size();
    if (std::exchange(reset_, false) || place_ < oldest) {
        place_ = feed_.next_;
        return text + fmt::format("id: {}\nevent: reset\ndata: {{}}\n\n", feed_.last_id());
    }
    while (place_ < feed_.next_ && text.size() < kMostBytes) {
        const auto& event = feed_.ring_[static_cast<std::size_t>(place_++ - oldest)];
        if (may_see_(event.audience)) text += event.text;
    }
    return text;
}

}  // namespace trailer::server
