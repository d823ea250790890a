#include "server/server.h"

#include "aio/task_group.h"
#include "base/error.h"
#include "server/api/routes.h"

namespace trailer::server {
namespace {

void make_directory(const std::filesystem::path& directory) {
    namespace fs = std::filesystem;
    std::error_code error;
    if (fs::create_directories(directory, error); !error) {
        fs::permissions(directory, fs::perms::owner_all, error);
    }
    if (error) {
        throw Error(ErrorKind::unavailable, "data directory {}: {}", directory.string(),
                    error.message());
    }
}

}  // namespace

class Server::Impl {
  public:
    Impl(asio::any_io_executor executor, ServerConfig config)
        : executor_(executor),
          core_(executor, open_store(config.data_directory, password_)),
          auth_(core_, config.data_directory),
          hosts_(core_),
          resources_(core_),
          agents_(core_, config.auto_approve_public_key),
          users_(core_),
          audit_(core_, config.audit_retention),
          proxy_(core_, auth_, resources_, audit_, {.domain = config.workspace_domain}),
          services_{core_,  auth_,  hosts_, resources_,    agents_,
                    users_, audit_, proxy_, config.version},
          router_(api::make_router(services_)),
          http_(executor, config.http, [this](net::Exchange& exchange) {
              return api::dispatch(router_, services_, exchange);
          }) {}

    std::uint16_t port() const { return http_.port(); }

    std::optional<std::string> password() const { return password_; }

    Task<> serve() {
        aio::TaskGroup tasks(executor_);
        tasks.spawn(http_.serve());
        tasks.spawn(hosts_.watch_heartbeats());
        tasks.spawn(audit_.keep());
        std::exception_ptr end;
        try {
            co_await tasks.join();
        } catch (...) {
            end = std::current_exception();
        }
        // Every session has ended by now: the log's last word.
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        co_await audit_.flush();
        if (end) std::rethrow_exception(end);
    }

  private:
    static std::unique_ptr<store::Store> open_store(const std::filesystem::path& directory,
                                                    std::optional<std::string>& password) {
        make_directory(directory);
        auto store = store::open_sqlite(directory.string());
        password = first_start(*store, directory);
        return store;
    }

    asio::any_io_executor executor_;
    std::optional<std::string> password_;
    Core core_;
    AuthService auth_;
    HostService hosts_;
    ResourceService resources_;
    AgentService agents_;
    UserService users_;
    AuditLog audit_;
    proxy::Proxy proxy_;
    api::Services services_;
    api::Router router_;
    net::HttpServer http_;
};

Server::Server(asio::any_io_executor executor, ServerConfig config)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(config))) {}
Server::~Server() = default;
std::uint16_t Server::port() const {
    return impl_->port();
}
std::optional<std::string> Server::initial_admin_password() const {
    return impl_->password();
}
Task<> Server::serve() {
    return impl_->serve();
}

}  // namespace trailer::server
