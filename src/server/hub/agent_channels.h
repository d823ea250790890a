// The agents' realtime connections: what a host is to be told at once goes over them.
//
// What waits to be sent is the newest of each sort (of plans, the newest few), so that a slow agent
// costs a few bytes. An echo
// every 5 s goes all the way through the agent's loop and back: a connection that is open but dead
// is found within 12 s. One thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "net/websocket.h"
#include "protocol/agent.h"

namespace trailer::server {

class AgentChannels {
  public:
    // Told when a host's realtime connection works, or not (with the reason).
    using Told = std::function<void(const std::string& host_id, protocol::Health, std::string)>;

    explicit AgentChannels(asio::any_io_executor executor, Told told);
    ~AgentChannels();

    // No-ops when the host is not connected: its poll will tell it.
    void nudge(const std::string& host_id, std::int64_t revision);
    void settings_changed(const std::string& host_id);
    void ask_plan(const std::string& host_id, std::int64_t id);
    void ask_session(const std::string& host_id);
    void ask_trunk(const std::string& host_id);
    bool connected(const std::string& host_id) const { return channels_.contains(host_id); }
    // Ends the host's connection.
    void drop(const std::string& host_id);

    // Serves one connection to its end. A newer one of the same host ends it.
    Task<> serve(std::string host_id, std::shared_ptr<net::WebSocket> socket);

    std::size_t size() const { return channels_.size(); }

  private:
    struct Channel;
    // Notes what the host is to be told; a no-op when it is not connected.
    template <typename Note>
    void tell(const std::string& host_id, Note note);
    static Task<> read(Channel* channel);
    static Task<> write(Channel* channel);
    Task<> keep_echoing(Channel* channel);

    asio::any_io_executor executor_;
    Told told_;
    std::map<std::string, std::shared_ptr<Channel>> channels_;
};

}  // namespace trailer::server
