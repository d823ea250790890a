#include "reconcile/subnets.h"

#include <algorithm>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <compare>
#include <optional>
#include <set>

#include "base/crypto.h"
#include "reconcile/plan.h"

namespace trailer::reconcile {
namespace {

namespace ip = boost::asio::ip;
namespace label = runtime::label;

constexpr int kBits4 = 32;
constexpr int kBits6 = 128;
constexpr int kPiece6 = 64;  // what an IPv6 network has (RFC 4291, section 2.5.1)

// An address; IPv4 has it in `low`.
struct Bits {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    auto operator<=>(const Bits&) const = default;
};

struct Range {
    bool v6 = false;
    int prefix = 0;
    Bits first;
    Bits last;
};

Bits bits_of(const ip::address_v6& address) {
    Bits bits;
    const auto bytes = address.to_bytes();
    for (std::size_t i = 0; i < 8; ++i) {
        bits.high = bits.high << 8 | bytes[i];
        bits.low = bits.low << 8 | bytes[i + 8];
    }
    return bits;
}

// The `count` lowest bits set.
std::uint64_t ones(int count) {
    return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

Range range_of(bool v6, Bits address, int prefix) {
    const int rest = (v6 ? kBits6 : kBits4) - prefix;
    const Bits host{.high = ones(std::max(rest - 64, 0)), .low = ones(std::min(rest, 64))};
    return {.v6 = v6,
            .prefix = prefix,
            .first = {address.high & ~host.high, address.low & ~host.low},
            .last = {address.high | host.high, address.low | host.low}};
}

// Nothing for what is no subnet.
std::optional<Range> parse(const std::string& cidr) {
    boost::system::error_code error;
    if (cidr.find(':') == cidr.npos) {
        const auto network = ip::make_network_v4(cidr, error);
        if (error) return std::nullopt;
        return range_of(false, {.low = network.address().to_uint()}, network.prefix_length());
    }
    const auto network = ip::make_network_v6(cidr, error);
    if (error) return std::nullopt;
    return range_of(true, bits_of(network.address()), network.prefix_length());
}

std::string address_text(bool v6, Bits bits) {
    if (!v6) return ip::make_address_v4(static_cast<std::uint32_t>(bits.low)).to_string();
    ip::address_v6::bytes_type bytes{};
    for (std::size_t i = 8; i-- > 0;) {
        bytes[i] = static_cast<unsigned char>(bits.high & 0xff);
        bytes[i + 8] = static_cast<unsigned char>(bits.low & 0xff);
        bits.high >>= 8;
        bits.low >>= 8;
    }
    return ip::address_v6(bytes).to_string();
}

std::string to_text(const Range& range) {
    return fmt::format("{}/{}", address_text(range.v6, range.first), range.prefix);
}

// Addresses in use, of one family, as ranges that neither touch nor overlap.
class TakenRanges {
  public:
    void add(Bits first, Bits last) {
        auto next = ranges_.upper_bound(first);
        if (next != ranges_.begin() && std::prev(next)->second >= first) --next;
        while (next != ranges_.end() && next->first <= last) {
            first = std::min(first, next->first);
            last = std::max(last, next->second);
            next = ranges_.erase(next);
        }
        ranges_.emplace(first, last);
    }

    // The end of what is in the way.
    std::optional<Bits> overlap(const Range& range) const {
        const auto next = ranges_.upper_bound(range.last);
        if (next == ranges_.begin()) return std::nullopt;
        const auto& [first, last] = *std::prev(next);
        return last >= range.first ? std::optional(last) : std::nullopt;
    }

  private:
    std::map<Bits, Bits> ranges_;  // first -> last
};

// A pool, cut into pieces of one size that are numbered from 0.
class Pool {
  public:
    Pool(const Range& whole, int piece_prefix)
        : whole_(whole), prefix_(std::max(whole.prefix, piece_prefix)) {
        const int bits = std::min(prefix_ - whole.prefix, 63);
        count_ = std::uint64_t{1} << bits;
    }

    const Range& whole() const { return whole_; }

    // From the piece that `hash` names onwards, and around.
    std::optional<Range> pick(const TakenRanges& taken, std::uint64_t hash) const {
        const auto start = hash % count_;
        for (std::uint64_t passed = 0; passed < count_;) {
            const auto index = (start + passed) % count_;
            const auto candidate = piece(index);
            const auto obstacle = taken.overlap(candidate);
            if (!obstacle) return candidate;
            passed += std::max(index_of(*obstacle), index) - index + 1;
        }
        return std::nullopt;
    }

  private:
    Range piece(std::uint64_t index) const {
        auto first = whole_.first;
        (whole_.v6 ? first.high : first.low) += index << shift();
        return range_of(whole_.v6, first, prefix_);
    }
    // Of the piece that an address behind the pool's beginning lies in; the last for those behind
    // its end.
    std::uint64_t index_of(Bits address) const {
        if (address >= whole_.last) return count_ - 1;
        const auto distance = whole_.v6 ? address.high - whole_.first.high  //
                                        : address.low - whole_.first.low;
        return distance >> shift();
    }
    // IPv6 counts in the higher half of the address.
    int shift() const { return (whole_.v6 ? kPiece6 : kBits4) - prefix_; }

    Range whole_;
    int prefix_;
    std::uint64_t count_ = 1;
};

std::uint64_t hash_of(const std::string& text) {
    std::uint64_t hash = 0;
    const auto digest = sha256(text);
    for (std::size_t i = 0; i < sizeof hash; ++i) {
        hash = hash << 8 | static_cast<std::uint8_t>(digest[i]);
    }
    return hash;
}

bool is_automatic(const WantedNetwork& wanted) {
    const auto& spec = wanted.spec;
    return spec.driver == "bridge" && !wanted.deleting && wanted.fault.empty() &&
           (spec.subnet.empty() || (spec.ipv6 && spec.subnet6.empty()));
}

// In the order in which they choose.
std::vector<const WantedNetwork*> to_choose(const WantedState& wanted, const Observed& observed) {
    std::vector<const WantedNetwork*> list;
    for (const auto& each : wanted.networks) {
        if (is_automatic(each)) list.push_back(&each);
    }
    if (list.empty()) return list;
    std::set<std::string> there;
    for (const auto& [id, each] : observed.networks)
        there.insert(runtime::label_of(each.labels, label::kId));
    std::erase_if(list, [&](const auto* each) { return there.contains(each->key.id); });
    std::ranges::sort(list, {}, [](const auto* each) -> const auto& { return each->key.id; });
    return list;
}

std::vector<TakenSubnet> all_taken(const WantedState& wanted, const Observed& observed) {
    auto taken = observed.host_subnets;
    for (const auto* networks : {&observed.networks, &observed.others_networks}) {
        for (const auto& [id, each] : *networks) {
            for (const auto& subnet : each.subnets) {
                taken.push_back({subnet, "network " + each.name});
            }
        }
    }
    for (const auto& each : wanted.networks) {
        for (const auto* subnet : {&each.spec.subnet, &each.spec.subnet6}) {
            if (!subnet->empty()) taken.push_back({*subnet, "network " + each.name});
        }
    }
    return taken;
}

// Chooses for one network after another.
class Chooser {
  public:
    Chooser(const WantedState& wanted, const Observed& observed)
        : prefix_(wanted.network_pool_prefix), all_taken_(all_taken(wanted, observed)) {
        for (const auto& each : all_taken_) {
            if (const auto range = parse(each.subnet)) take(*range);
        }
        for (const auto& text : wanted.network_pools) {
            const auto range = parse(text);
            if (!range) continue;  // config has checked them
            (range->v6 ? pools6_ : pools4_).emplace_back(*range, range->v6 ? kPiece6 : prefix_);
        }
        if (!sees_engine_host(observed)) pools4_.clear();
        if (pools6_.empty()) {
            pools6_.emplace_back(parse(unique_local_pool(wanted.host_id)).value(), kPiece6);
        }
    }

    SubnetChoice choose(const WantedNetwork& wanted) {
        SubnetChoice choice;
        if (wanted.spec.subnet.empty() && !pools4_.empty()) {
            choice.ipv4 = pick(wanted.name, pools4_, choice.fault);
        }
        if (wanted.spec.ipv6 && wanted.spec.subnet6.empty() && choice.fault.empty()) {
            choice.ipv6 = pick(wanted.name, pools6_, choice.fault);
        }
        return choice;
    }

  private:
    void take(const Range& range) { (range.v6 ? taken6_ : taken4_).add(range.first, range.last); }

    std::string pick(const std::string& name, const std::vector<Pool>& pools, std::string& fault) {
        const auto hash = hash_of(name);
        for (const auto& pool : pools) {
            const auto& taken = pool.whole().v6 ? taken6_ : taken4_;
            if (const auto found = pool.pick(taken, hash)) {
                take(*found);
                return to_text(*found);
            }
        }
        fault = none_left(pools);
        return "";
    }

    std::string none_left(const std::vector<Pool>& pools) const {
        const bool v6 = pools.front().whole().v6;
        std::string text;
        std::string covered;
        for (const auto& pool : pools) {
            text += (text.empty() ? "" : ", ") + to_text(pool.whole());
            covered += who_covers(pool.whole());
        }
        return fmt::format(
            "no free subnet of /{} is left in this host's pools for networks ({}){}: add a pool "
            "under "
            "network_pools in its agent's configuration file{}, or give this network {} of its own",
            v6 ? kPiece6 : prefix_, text, covered,
            v6 ? "" : ", cut smaller pieces with network_pool_prefix",
            v6 ? "an `ipv6_subnet`" : "a `subnet`");
    }

    // What takes a whole pool away is not found by looking at the networks.
    std::string who_covers(const Range& pool) const {
        for (const auto& each : all_taken_) {
            const auto range = parse(each.subnet);
            if (!range || range->v6 != pool.v6) continue;
            if (range->first > pool.first || range->last < pool.last) continue;
            return fmt::format("; {} lies in {}, {}", to_text(pool), each.subnet, each.by);
        }
        return "";
    }

    int prefix_;
    std::vector<TakenSubnet> all_taken_;
    TakenRanges taken4_;
    TakenRanges taken6_;
    std::vector<Pool> pools4_;
    std::vector<Pool> pools6_;
};

// Engines take a subnet's first address where none is named (Docker 20.10 does not tell its own).
std::string gateway_of(const runtime::Network& network) {
    if (!network.gateway.empty()) return network.gateway;
    auto range = parse(network.subnet);
    if (!range) return "";
    ++range->first.low;
    return address_text(range->v6, range->first);
}

}  // namespace

bool lacks_subnets(const WantedState& wanted, const Observed& observed) {
    return !to_choose(wanted, observed).empty();
}

bool sees_engine_host(const Observed& observed) {
    std::set<std::string> gateways;
    for (const auto* networks : {&observed.networks, &observed.others_networks}) {
        for (const auto& [id, each] : *networks) {
            if (each.driver == "bridge" && !each.subnet.empty()) {
                gateways.insert(gateway_of(each) + "/32");
            }
        }
    }
    return std::ranges::any_of(observed.host_subnets,
                               [&](const auto& each) { return gateways.contains(each.subnet); });
}

std::map<std::string, SubnetChoice> choose_subnets(const WantedState& wanted,
                                                   const Observed& observed) {
    std::map<std::string, SubnetChoice> choices;
    const auto networks = to_choose(wanted, observed);
    if (networks.empty()) return choices;
    Chooser chooser(wanted, observed);
    for (const auto* each : networks) choices[each->key.id] = chooser.choose(*each);
    return choices;
}

void give(const SubnetChoice& choice, runtime::NetworkSpec& network) {
    if (!choice.ipv4.empty()) network.subnet = choice.ipv4;
    if (!choice.ipv6.empty()) network.subnet6 = choice.ipv6;
}

std::string unique_local_pool(const std::string& host_id) {
    const auto hash = hash_of("trailer networks of " + host_id);
    const Bits address{.high = std::uint64_t{0xfd} << 56 | (hash >> 24) << 16};
    return to_text(range_of(true, address, 48));
}

}  // namespace trailer::reconcile
