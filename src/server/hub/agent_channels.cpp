#include "server/hub/agent_channels.h"

#include <deque>

#include "aio/signal.h"
#include "aio/task_group.h"
#include "base/error.h"
#include "base/log.h"

namespace trailer::server {
namespace {

using namespace std::chrono_literals;
using protocol::ControlMessage;
using protocol::ControlType;
using protocol::Health;

constexpr auto kEchoEvery = 5s;
constexpr auto kEchoPatience = 12s;
constexpr std::size_t kMostPlans = 16;
constexpr std::int64_t kSpreadPerAgentMs = 1;  // a thousand a second; bench/run storm

}  // namespace

struct AgentChannels::Channel {
    Channel(const asio::any_io_executor& executor, std::shared_ptr<net::WebSocket> its_socket)
        : socket(std::move(its_socket)), to_send(executor) {}

    std::shared_ptr<net::WebSocket> socket;
    aio::Signal to_send;
    std::optional<std::int64_t> nudge;
    bool settings = false;
    bool session = false;
    bool trunk = false;
    std::deque<std::int64_t> plans;
    std::optional<ControlMessage> echo;
    std::optional<std::int64_t> echo_reply;
    std::int64_t last_echo = 0;
    std::chrono::steady_clock::time_point answered = std::chrono::steady_clock::now();
    std::function<void()> works;
};

AgentChannels::AgentChannels(asio::any_io_executor executor, Told told)
    : executor_(std::move(executor)), told_(std::move(told)) {}

AgentChannels::~AgentChannels() = default;

template <typename Note>
void AgentChannels::tell(const std::string& host_id, Note note) {
    const auto found = channels_.find(host_id);
    if (found == channels_.end()) return;
    note(*found->second);
    found->second->to_send.notify();
}

void AgentChannels::nudge(const std::string& host_id, std::int64_t revision) {
    tell(host_id, [&](Channel& channel) { channel.nudge = revision; });
}

void AgentChannels::settings_changed(const std::string& host_id) {
    tell(host_id, [](Channel& channel) { channel.settings = true; });
}

void AgentChannels::ask_plan(const std::string& host_id, std::int64_t id) {
    tell(host_id, [&](Channel& channel) {
        if (channel.plans.size() >= kMostPlans) channel.plans.pop_front();
        channel.plans.push_back(id);
    });
}

void AgentChannels::ask_session(const std::string& host_id) {
    tell(host_id, [](Channel& channel) { channel.session = true; });
}

void AgentChannels::ask_trunk(const std::string& host_id) {
    tell(host_id, [](Channel& channel) { channel.trunk = true; });
}

void AgentChannels::drop(const std::string& host_id) {
    const auto found = channels_.find(host_id);
    if (found != channels_.end()) found->second->socket->abort();
}

Task<> AgentChannels::serve(std::string host_id, std::shared_ptr<net::WebSocket> socket) {
    auto channel = std::make_shared<Channel>(executor_, std::move(socket));
    channel->works = [this, host_id] { told_(host_id, Health::ok, ""); };
    drop(host_id);
    channels_[host_id] = channel;
    aio::TaskGroup tasks(executor_);
    tasks.spawn(read(channel.get()));
    tasks.spawn(write(channel.get()));
    tasks.spawn(keep_echoing(channel.get()));
    std::exception_ptr cancelled;
    std::string reason;
    try {
        co_await tasks.join();
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e)) cancelled = std::current_exception();
        reason = describe(e);
    }
    // Unless a newer connection has taken its place.
    const auto found = channels_.find(host_id);
    if (found != channels_.end() && found->second == channel) {
        channels_.erase(found);
        told_(host_id, Health::failing, reason);
    }
    if (cancelled) std::rethrow_exception(cancelled);
}

Task<> AgentChannels::read(Channel* channel) {
    for (;;) {
        const auto message = co_await channel->socket->read();
        if (!message) throw Error(ErrorKind::unavailable, "the agent closed the connection");
        const auto control = wire::from_json_text<ControlMessage>(message->data);
        switch (control.type) {
            case ControlType::echo:
                channel->echo_reply = control.id;
                channel->to_send.notify();
                break;
            case ControlType::echo_reply:
                if (control.id != channel->last_echo) break;
                channel->answered = std::chrono::steady_clock::now();
                channel->works();
                break;
            default:
                break;  // of a newer agent
        }
    }
}

Task<> AgentChannels::write(Channel* channel) {
    for (;;) {
        std::vector<ControlMessage> messages;
        const auto say = [&](ControlMessage message) { messages.push_back(message); };
        if (channel->echo_reply) {
            say({.type = ControlType::echo_reply, .id = std::exchange(channel->echo_reply, {})});
        }
        if (channel->nudge) {
            say({.type = ControlType::nudge, .revision = std::exchange(channel->nudge, {})});
        }
        if (std::exchange(channel->settings, false)) {
            say({.type = ControlType::settings});
        }
        if (std::exchange(channel->session, false)) {
            say({.type = ControlType::session});
        }
        if (std::exchange(channel->trunk, false)) {
            say({.type = ControlType::trunk});
        }
        for (const auto id : std::exchange(channel->plans, {})) {
            say({.type = ControlType::plan, .id = id});
        }
        if (channel->echo) say(*std::exchange(channel->echo, {}));
        for (const auto& message : messages) {
            co_await channel->socket->write(wire::to_json_text(message));
        }
        if (messages.empty()) co_await channel->to_send.wait();
    }
}

Task<> AgentChannels::keep_echoing(Channel* channel) {
    for (;;) {
        const auto agents = static_cast<std::int64_t>(channels_.size());
        channel->echo = ControlMessage{.type = ControlType::echo,
                                       .id = ++channel->last_echo,
                                       .spread_ms = kSpreadPerAgentMs * agents};
        channel->to_send.notify();
        co_await aio::sleep(kEchoEvery);
        if (std::chrono::steady_clock::now() - channel->answered > kEchoPatience) {
            throw Error(ErrorKind::unavailable, "no echo came back for {} s",
                        std::chrono::seconds(kEchoPatience).count());
        }
    }
}

}  // namespace trailer::server
