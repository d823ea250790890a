// The agent's state directory: its key, what it last knew, and the lock that keeps a second agent
// out.
//
// Everything in it is 0600: the desired state holds environment values.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/crypto.h"
#include "protocol/agent.h"

namespace trailer::agent {

// What an agent that starts without its server goes on from. `host.json`.
struct HostRecord {
    std::string host_id;
    bool enabled = true;
    protocol::HostSettings settings;

    bool operator==(const HostRecord&) const = default;
};
BOOST_DESCRIBE_STRUCT(HostRecord, (), (host_id, enabled, settings))

class StateDirectory {
  public:
    // Makes the directory (0700) where it is missing, and locks it. Throws Error(conflict) that
    // names the other agent's process when it is locked.
    explicit StateDirectory(std::filesystem::path directory);
    ~StateDirectory();
    StateDirectory(const StateDirectory&) = delete;
    StateDirectory& operator=(const StateDirectory&) = delete;

    SigningKey key() const { return SigningKey::load_or_create(directory_ / "agent_key"); }

    // Nothing where none was saved; also, with a warning in the log, where it can't be understood.
    std::optional<HostRecord> load_host() const;
    std::optional<protocol::DesiredState> load_desired() const;

    // Any thread. `text`: the JSON of a HostRecord, of a DesiredState. Throw Error.
    void save_host(const std::string& text) const;
    void save_desired(const std::string& text) const;

  private:
    std::filesystem::path directory_;
    int lock_ = -1;
};

}  // namespace trailer::agent
