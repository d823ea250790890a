#include "metrics/network_interfaces.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/file.h"

namespace trailer::metrics {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
    try {
        auto text = read_file(file);
        text.resize(std::min(text.find('\n'), text.size()));
        return text;
    } catch (const Error&) {
        return {};  // an interface may go while it is being looked at
    }
}

bool present(const fs::path& path) {
    std::error_code missing;
    return fs::exists(path, missing);
}

unsigned long number(const std::string& text, int base) {
    unsigned long value = 0;
    const char* begin = text.data() + (base == 16 && text.starts_with("0x") ? 2 : 0);
    std::from_chars(begin, text.data() + text.size(), value, base);
    return value;
}

// Docker names a network's bridge "br-" and twelve hex letters of its id.
bool is_engine_bridge(const std::string& name) {
    if (name.starts_with("docker") || name.starts_with("virbr") || name.starts_with("podman") ||
        name.starts_with("cni")) {
        return true;
    }
    return name.size() == 15 && name.starts_with("br-") &&
           std::all_of(name.begin() + 3, name.end(),
                       [](unsigned char c) { return std::isxdigit(c) != 0; });
}

bool can_carry_macvlan(const std::string& name, const fs::path& interface) {
    if (number(first_line(interface / "type"), 10) != ARPHRD_ETHER) return false;
    if (present(interface / "master")) return false;
    if (present(interface / "wireless") || present(interface / "phy80211")) return false;
    if (present(interface / "bridge")) return !is_engine_bridge(name);
    if (present(interface / "device") || present(interface / "bonding")) return true;
    try {
        if (read_file(interface / "uevent").find("DEVTYPE=vlan") != std::string::npos) return true;
    } catch (const Error&) {
        return false;
    }
    return name.starts_with("eth") || name.starts_with("en");
}

std::optional<std::string> cidr(const ifaddrs& entry) {
    char text[INET6_ADDRSTRLEN] = {};
    int bits = 0;
    if (entry.ifa_addr == nullptr || entry.ifa_netmask == nullptr) return std::nullopt;
    if (entry.ifa_addr->sa_family == AF_INET) {
        const auto* address = reinterpret_cast<const sockaddr_in*>(entry.ifa_addr);
        const auto* mask = reinterpret_cast<const sockaddr_in*>(entry.ifa_netmask);
        ::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
        bits = std::popcount(mask->sin_addr.s_addr);
    } else if (entry.ifa_addr->sa_family == AF_INET6) {
        const auto* address = reinterpret_cast<const sockaddr_in6*>(entry.ifa_addr);
        const auto* mask = reinterpret_cast<const sockaddr_in6*>(entry.ifa_netmask);
        if (IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr)) return std::nullopt;
        ::inet_ntop(AF_INET6, &address->sin6_addr, text, sizeof text);
        for (const auto byte : mask->sin6_addr.s6_addr) bits += std::popcount(byte);
    } else {
        return std::nullopt;
    }
    return fmt::format("{}/{}", text, bits);
}

}  // namespace

Addresses interface_addresses() {
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return {};
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
    Addresses addresses;
    for (const auto* entry = list; entry != nullptr; entry = entry->ifa_next) {
        if (auto text = cidr(*entry)) addresses[entry->ifa_name].push_back(std::move(*text));
    }
    return addresses;
}

std::vector<protocol::NetworkInterface> network_interfaces(const Addresses& addresses,
                                                           const fs::path& sys) {
    std::vector<protocol::NetworkInterface> interfaces;
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(sys / "class/net", missing)) {
        const auto name = entry.path().filename().string();
        if (!can_carry_macvlan(name, entry.path())) continue;
        auto& interface = interfaces.emplace_back();
        interface.name = name;
        interface.mac = first_line(entry.path() / "address");
        interface.up = (number(first_line(entry.path() / "flags"), 16) & IFF_UP) != 0;
        if (const auto found = addresses.find(name); found != addresses.end()) {
            interface.addresses = found->second;
        }
    }
    std::ranges::sort(interfaces, {}, &protocol::NetworkInterface::name);
    return interfaces;
}

}  // namespace trailer::metrics
