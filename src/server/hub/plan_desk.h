// Questions to agents, "what would you do if this were wanted?", and their answers.
//
// The question waits here for the agent to fetch, which learns of it over its realtime connection;
// who asked waits for the answer, not for long. One thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "aio/signal.h"
#include "protocol/agent.h"
#include "server/hub/agent_channels.h"

namespace trailer::server {

class PlanDesk {
  public:
    PlanDesk(asio::any_io_executor executor, AgentChannels& channels)
        : executor_(std::move(executor)), channels_(channels) {}

    // The host's plan, or one whose `fault` says why there is none.
    Task<protocol::HostPlan> ask(std::string host_id, std::string question,
                                 std::chrono::milliseconds patience);

    // The text of a question to this host. Throws Error(not_found).
    const std::string& question(const std::string& host_id, std::int64_t id) const;
    // Ignored when nobody waits for it any more.
    void answer(const std::string& host_id, std::int64_t id, protocol::HostPlan plan);

  private:
    struct Asked {
        Asked(const asio::any_io_executor& executor, std::string host, std::string text)
            : host_id(std::move(host)), question(std::move(text)), answered(executor) {}

        std::string host_id;
        std::string question;
        std::optional<protocol::HostPlan> plan;
        aio::Signal answered;
    };

    asio::any_io_executor executor_;
    AgentChannels& channels_;
    std::int64_t last_id_ = 0;
    std::map<std::int64_t, std::shared_ptr<Asked>> asked_;
};

}  // namespace trailer::server
