#include "sessions/dial.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <cstdlib>

#include "base/error.h"
#include "sessions/process_tree.h"

namespace trailer::sessions {
namespace {

namespace ip = asio::ip;
namespace fs = std::filesystem;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

// A file descriptor's owner.
class Descriptor {
  public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    bool valid() const { return number_ >= 0; }
    int get() const { return number_; }

  private:
    int number_;
};

// A socket made in another network namespace stays in it, whoever uses it (network_namespaces(7)).
// On a thread of its own: a namespace is the calling thread's.
int socket_within(const fs::path& network, int family) {
    const Descriptor here(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    const Descriptor there(::open(network.c_str(), O_RDONLY | O_CLOEXEC));
    if (!here.valid() || !there.valid()) return -1;
    if (::setns(there.get(), CLONE_NEWNET) != 0) return -1;
    const int made = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // A thread that stayed there would do the next work in the wrong network.
    if (::setns(here.get(), CLONE_NEWNET) != 0) std::abort();
    return made;
}

struct Attempt {
    ip::tcp::endpoint to;
    fs::path network;  // empty: the agent's own
};

class Dialler {
  public:
    Dialler(aio::BlockingPool& pool, fs::path proc, runtime::Container container,
            std::uint16_t port)
        : pool_(pool), proc_(std::move(proc)), container_(std::move(container)), port_(port) {}

    Task<ip::tcp::socket> dial() {
        std::string failures;
        for (const auto& attempt : attempts()) {
            ip::tcp::socket socket(co_await asio::this_coro::executor);
            const auto error = co_await connect(attempt, &socket);
            if (!error) co_return socket;
            if (error == asio::error::operation_aborted) {
                throw boost::system::system_error(error);
            }
            failures += fmt::format("{}{}: {}", failures.empty() ? "" : ", ",
                                    attempt.to.address().to_string(), error.message());
        }
        if (failures.empty()) failures = "it has no address that this agent could reach";
        throw Error(ErrorKind::unavailable, "port {} of workspace {}: {}", port_, container_.name,
                    failures);
    }

  private:
    std::vector<Attempt> attempts() const {
        std::vector<Attempt> list;
        const auto process = container_.process_id;
        const bool seen = process > 0 && ProcessTree(proc_, container_.id, "").sees(process);
        const auto network = proc_ / std::to_string(process) / "ns/net";
        if (seen && ::access(network.c_str(), R_OK) == 0) {
            add(list, "127.0.0.1", network);
            add(list, "::1", network);
            for (const auto& each : container_.networks) add(list, each.ipv4_seen, network);
        }
        for (const auto& each : container_.networks) add(list, each.ipv4_seen, {});
        for (const auto& each : container_.ports) {
            if (each.container != port_ || each.protocol != protocol::PortProtocol::tcp) continue;
            const bool any = each.address.empty() || each.address == "0.0.0.0";
            list.push_back({{ip::make_address(any ? "127.0.0.1" : each.address), each.host}, {}});
        }
        return list;
    }

    void add(std::vector<Attempt>& list, const std::string& address, fs::path network) const {
        boost::system::error_code error;
        const auto parsed = ip::make_address(address, error);
        if (!error) list.push_back({{parsed, port_}, std::move(network)});
    }

    Task<boost::system::error_code> connect(Attempt attempt, ip::tcp::socket* socket) {
        boost::system::error_code error;
        if (attempt.network.empty()) {
            socket->open(attempt.to.protocol(), error);
        } else {
            const auto path = attempt.network;
            const int family = attempt.to.protocol().family();
            auto work = [path, family] { return socket_within(path, family); };
            const int made = co_await pool_.run(std::move(work));
            if (made < 0)
                co_return boost::system::errc::make_error_code(
                    boost::system::errc::permission_denied);
            socket->assign(attempt.to.protocol(), made, error);
        }
        if (error) co_return error;
        const auto [failure] = co_await socket->async_connect(attempt.to, kTuple);
        if (failure) co_return failure;
        socket->set_option(ip::tcp::no_delay(true), error);
        co_return boost::system::error_code{};
    }

    aio::BlockingPool& pool_;
    fs::path proc_;
    runtime::Container container_;
    std::uint16_t port_;
};

// Keeps the dialler for as long as its work.
Task<std::shared_ptr<ip::tcp::socket>> run(std::shared_ptr<Dialler> dialler) {
    auto socket = co_await dialler->dial();
    co_return std::make_shared<ip::tcp::socket>(std::move(socket));
}

}  // namespace

Task<ip::tcp::socket> dial(aio::BlockingPool& pool, fs::path proc, runtime::Container container,
                           std::uint16_t port, aio::Deadline deadline) {
    const auto doing = fmt::format("connecting to port {} of workspace {}", port, container.name);
    auto dialler = std::make_shared<Dialler>(pool, std::move(proc), std::move(container), port);
    auto work = run(std::move(dialler));
    const auto socket = co_await aio::with_deadline(std::move(work), deadline, doing);
    co_return std::move(*socket);
}

}  // namespace trailer::sessions
