// The agent's copy of what is wanted on this host, kept up by the server's answers.
#pragma once

#include "protocol/agent.h"

namespace trailer::agent {

class DesiredCopy {
  public:
    const protocol::DesiredState& state() const { return state_; }
    // What to ask with: what has changed since this revision of this history is enough. Negative:
    // none is known, and the whole is wanted.
    std::int64_t revision() const { return revision_; }
    const std::string& history() const { return history_; }

    // Throws Error(internal) for changes since another revision than ours; then the whole is asked
    // for next.
    void take(protocol::DesiredAnswer answer);

  private:
    protocol::DesiredState state_;
    std::int64_t revision_ = -1;
    std::string history_;
};

}  // namespace trailer::agent
