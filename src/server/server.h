// The server: keeps what is wanted, tells the agents, shows people what is.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "aio/task.h"
#include "net/http_server.h"

namespace trailer::server {

struct ServerConfig {
    net::ServerOptions http;
    std::filesystem::path data_directory;
    std::string auto_approve_public_key;  // of the agent in the same process; may be empty
    std::string version;
    std::string workspace_domain;  // may be empty
    std::chrono::milliseconds audit_retention = std::chrono::days(90);
};

class Server {
  public:
    // Opens the database, makes the first admin where there is none, and binds the address.
    // Throws Error that says what to do. Blocks for as long as that takes.
    Server(asio::any_io_executor executor, ServerConfig config);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    std::uint16_t port() const;
    // Of the first admin, when this start has made it.
    std::optional<std::string> initial_admin_password() const;

    // Until cancelled.
    Task<> serve();

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace trailer::server
