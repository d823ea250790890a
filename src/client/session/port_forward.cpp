// `trailer port-forward`.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>

#include "client/arguments.h"
#include "client/commands.h"
#include "client/failure.h"
#include "client/session/forwarding.h"
#include "client/session/joined.h"
#include "client/terminal.h"

namespace trailer::client {
namespace {

constexpr std::chrono::seconds kLeaveTimeout{2};

class PortForward {
  public:
    PortForward(Api& api, const std::string& workspace, const PortForwardFlags& flags,
                const std::vector<PortPair>& ports)
        : tasks_(api.executor()), signals_(api.executor(), SIGINT, SIGTERM, SIGHUP) {
        for (const auto& pair : ports) {
            forwardings_.push_back(std::make_unique<Forwarding>(
                api, path_of(Subject::workspace, workspace), flags.address, pair,
                [this](LinkNews news) { tell_link(news); },
                [](const std::string& why) { tell(why); }));
            print(stdout, fmt::format("forwarding {} -> {}:{}\n", forwardings_.back()->local(),
                                      one_line(workspace), pair.remote));
        }
    }

    Task<int> run() {
        for (auto& each : forwardings_) tasks_.spawn(each->run());
        tasks_.spawn(watch_signals());
        co_await tasks_.join();
        co_return exit_code_;
    }

  private:
    Task<> watch_signals() {
        const auto [error, number] =
            co_await signals_.async_wait(asio::as_tuple(asio::use_awaitable));
        if (error) throw boost::system::system_error(error);
        exit_code_ = kSignalled + number;
        bool any = false;
        for (auto& each : forwardings_) {
            any = any || each->connections() > 0;
            each->leave();
        }
        for (const auto until = aio::Deadline::in(kLeaveTimeout); any && !until.passed();) {
            co_await aio::sleep(std::chrono::milliseconds(10));
            any = std::ranges::any_of(forwardings_,
                                      [](const auto& each) { return each->connections() > 0; });
        }
        tasks_.cancel();
    }

    // All connections share one way to the server: one line for all of them.
    void tell_link(LinkNews news) {
        const auto before = lost_;
        lost_ += news == LinkNews::lost ? 1 : -1;
        if ((before == 0) != (lost_ == 0)) tell(text_of(news));
    }
    static void tell(const std::string& text) {
        print(stderr, fmt::format("trailer: port-forward: {}\n", one_line(text)));
    }

    aio::TaskGroup tasks_;
    asio::signal_set signals_;
    std::vector<std::unique_ptr<Forwarding>> forwardings_;
    int lost_ = 0;  // connections
    int exit_code_ = kDone;
};

}  // namespace

int port_forward(const PortForwardFlags& flags) {
    const auto named = parse_named("workspaces", {flags.workspace});
    const auto& workspace = named.names.front();
    std::vector<PortPair> ports;
    for (const auto& text : flags.ports) ports.push_back(parse_port_pair(text));
    Api api(resolve_target(credentials_file(), flags.connection));
    api.get(path_of(Subject::workspace, workspace));  // is it there at all?
    PortForward forward(api, workspace, flags, ports);
    return api.run(forward.run());
}

}  // namespace trailer::client
