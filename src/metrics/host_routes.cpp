#include "metrics/host_routes.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "base/error.h"

namespace trailer::metrics {
namespace {

// A default route in two or, for IPv6, eight halves: 0.0.0.0/1, 2000::/3.
constexpr int kDefault4 = 1;
constexpr int kDefault6 = 3;
constexpr int kAttempts = 3;
constexpr std::size_t kBuffer = 65'536;  // the kernel's own largest piece of a dump is 32 KiB

[[noreturn]] void fail(std::string_view doing) {
    throw Error(ErrorKind::internal, "reading this host's routes: {}: {}", doing,
                std::strerror(errno));
}

// A netlink socket (rtnetlink(7)), closed with it.
class RouteSocket {
  public:
    RouteSocket() : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)) {
        if (fd_ < 0) fail("opening a netlink socket");
        // The kernel answers at once; a lost answer must not hold the agent.
        const timeval patience{.tv_sec = 2, .tv_usec = 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    ~RouteSocket() { ::close(fd_); }
    RouteSocket(const RouteSocket&) = delete;
    RouteSocket& operator=(const RouteSocket&) = delete;

    void ask(unsigned char family) const {
        struct {
            nlmsghdr header;
            rtmsg body;
        } request{};
        request.header.nlmsg_len = sizeof request;
        request.header.nlmsg_type = RTM_GETROUTE;
        request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        request.body.rtm_family = family;
        if (::send(fd_, &request, sizeof request, 0) < 0) fail("asking");
    }

    std::size_t receive(std::array<char, kBuffer>& buffer) const {
        const auto size = ::recv(fd_, buffer.data(), buffer.size(), 0);
        if (size < 0) fail("no answer");
        return static_cast<std::size_t>(size);
    }

  private:
    int fd_;
};

class Names {
  public:
    const std::string& of(unsigned index) {
        auto [found, is_new] = names_.try_emplace(index);
        if (is_new) {
            std::array<char, IF_NAMESIZE> name{};
            if (::if_indextoname(index, name.data()) != nullptr) found->second = name.data();
        }
        return found->second;
    }

  private:
    std::map<unsigned, std::string> names_;
};

bool matters(const rtmsg& route) {
    if (route.rtm_flags & RTM_F_CLONED) return false;
    if (route.rtm_type == RTN_BROADCAST || route.rtm_type == RTN_MULTICAST ||
        route.rtm_type == RTN_ANYCAST) {
        return false;
    }
    return route.rtm_dst_len > (route.rtm_family == AF_INET6 ? kDefault6 : kDefault4);
}

// fe80::/10 and ff00::/8 are on every interface.
bool is_everywhere(const rtmsg& route, const unsigned char* destination) {
    return route.rtm_family == AF_INET6 &&
           (destination[0] == 0xff || (destination[0] == 0xfe && (destination[1] & 0xc0) == 0x80));
}

std::optional<HostRoute> route_from(nlmsghdr* header, Names& names) {
    const auto* route = static_cast<const rtmsg*>(NLMSG_DATA(header));
    if (!matters(*route)) return std::nullopt;
    HostRoute found{.local = route->rtm_type == RTN_LOCAL};
    auto left = static_cast<int>(RTM_PAYLOAD(header));
    for (auto* each = RTM_RTA(route); RTA_OK(each, left); each = RTA_NEXT(each, left)) {
        if (each->rta_type == RTA_OIF) {
            unsigned index = 0;
            std::memcpy(&index, RTA_DATA(each), sizeof index);
            found.interface = names.of(index);
        }
        if (each->rta_type != RTA_DST) continue;
        const auto* destination = static_cast<const unsigned char*>(RTA_DATA(each));
        if (is_everywhere(*route, destination)) return std::nullopt;
        std::array<char, INET6_ADDRSTRLEN> text{};
        ::inet_ntop(route->rtm_family, destination, text.data(), text.size());
        found.destination = fmt::format("{}/{}", text.data(), route->rtm_dst_len);
    }
    if (found.destination.empty()) return std::nullopt;
    return found;
}

struct Dump {
    std::vector<HostRoute> routes;
    bool interrupted = false;  // something changed meanwhile: routes may be missing
};

// True when the dump has come to its end.
bool read_piece(char* data, std::size_t size, Names& names, Dump& dump) {
    auto left = static_cast<unsigned>(size);
    for (auto* header = reinterpret_cast<nlmsghdr*>(data); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
        if (header->nlmsg_flags & NLM_F_DUMP_INTR) dump.interrupted = true;
        if (header->nlmsg_type == NLMSG_DONE) return true;
        if (header->nlmsg_type == NLMSG_ERROR) {
            errno = -static_cast<const nlmsgerr*>(NLMSG_DATA(header))->error;
            fail("refused");
        }
        if (header->nlmsg_type != RTM_NEWROUTE) continue;
        if (auto route = route_from(header, names)) dump.routes.push_back(std::move(*route));
    }
    return false;
}

}  // namespace

std::vector<HostRoute> host_routes() {
    const RouteSocket socket;
    Names names;
    Dump dump;
    alignas(nlmsghdr) std::array<char, kBuffer> buffer;
    // What an interrupted dump had is kept: twice does no harm, missing would.
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        dump.interrupted = false;
        for (const int family : {AF_INET, AF_INET6}) {
            socket.ask(static_cast<unsigned char>(family));
            while (!read_piece(buffer.data(), socket.receive(buffer), names, dump)) {
            }
        }
        if (!dump.interrupted) break;
    }
    return std::move(dump.routes);
}

}  // namespace trailer::metrics
