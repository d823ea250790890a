// The sessions of a host: opens them, and finds them again for who comes back.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>

#include "aio/blocking_pool.h"
#include "aio/task_group.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "sessions/connection.h"
#include "sessions/open_commands.h"
#include "sessions/session.h"

namespace trailer::sessions {

struct Options {
    std::function<runtime::Place(const std::string& workspace_id)> find;
    std::chrono::milliseconds grace{60'000};
    std::size_t most = 1000;               // sessions at once
    std::filesystem::path proc = "/proc";  // of the host, where it can be seen
    std::filesystem::path log_file;        // the agent's own; empty: there is none
    std::filesystem::path commands;        // where those that run are noted; empty: nowhere
};

// One thread. The runtime outlives it; run() must have returned before it is destroyed.
class Sessions {
  public:
    Sessions(asio::any_io_executor executor, runtime::ContainerRuntime& runtime, Options options);
    ~Sessions();
    Sessions(const Sessions&) = delete;
    Sessions& operator=(const Sessions&) = delete;

    // Until cancelled; then ends every session.
    Task<> run();

    // Serves a connection whose opening message has come: answers it, and joins the connection to
    // its session until one of them ends.
    Task<> serve(Connection* connection, protocol::OpenSession open);

    std::size_t size() const { return open_.size(); }

  private:
    struct Entry {
        protocol::OpenSession asked;
        std::shared_ptr<Session> session;  // shared with the connection that it serves
    };

    Task<std::string> begin(protocol::OpenSession open);
    Task<std::unique_ptr<Endpoint>> make_endpoint(const protocol::OpenSession& open,
                                                  std::string id);
    Entry& find_again(const protocol::OpenSession& open);
    runtime::Container running_container(const std::string& workspace_id) const;
    Task<> live(std::string id, std::shared_ptr<Session> session);
    Task<> end_left(OpenCommands::Command command);

    asio::any_io_executor executor_;
    runtime::ContainerRuntime& runtime_;
    Options options_;
    OpenCommands commands_;
    std::map<std::string, Entry> open_;  // by session id
    aio::TaskGroup group_;
    aio::Signal never_;
    aio::BlockingPool pool_{2};  // last: its threads are joined before the rest goes
};

}  // namespace trailer::sessions
