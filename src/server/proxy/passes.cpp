#include "server/proxy/passes.h"

#include <charconv>

#include "base/crypto.h"
#include "base/error.h"

namespace trailer::server::proxy {
namespace {

constexpr std::size_t kMostTickets = 10'000;

std::int64_t seconds_now() {
    return std::chrono::duration_cast<std::chrono::seconds>(now().time_since_epoch()).count();
}

}  // namespace

std::string Passes::make_ticket(Holder holder) {
    const auto time = std::chrono::steady_clock::now();
    if (tickets_.size() >= kMostTickets) {
        std::erase_if(tickets_, [&](const auto& each) { return each.second.until < time; });
    }
    if (tickets_.size() >= kMostTickets) {
        throw Error(ErrorKind::rate_limited, "too many ports are being opened; try again later");
    }
    auto ticket = random_token();
    tickets_[sha256(ticket)] = {.holder = std::move(holder), .until = time + kTicketLife};
    return ticket;
}

std::optional<Holder> Passes::use_ticket(const std::string& ticket) {
    const auto found = tickets_.find(sha256(ticket));
    if (found == tickets_.end()) return std::nullopt;
    const auto kept = std::move(found->second);
    tickets_.erase(found);
    if (kept.until < std::chrono::steady_clock::now() ||
        !token_holds(core_.state(), kept.holder.token_id)) {
        return std::nullopt;
    }
    return kept.holder;
}

std::string Passes::signature(const Holder& holder, std::int64_t expires) const {
    return to_base64url(
        hmac_sha256(secret(core_.state()),
                    fmt::format("proxy\n{}\n{}\n{}\n{}\n{}", holder.user_id, holder.token_id,
                                holder.workspace_id, holder.port, expires)));
}

// EXPIRES.USER.TOKEN.SIGNATURE; the workspace and the port are in the signature alone.
std::string Passes::make_cookie(const Holder& holder) const {
    const auto expires = seconds_now() + kCookieLife.count();
    return fmt::format("{}.{}.{}.{}", expires, holder.user_id, holder.token_id,
                       signature(holder, expires));
}

std::optional<Passes::Checked> Passes::check_cookie(const std::string& value,
                                                    const std::string& workspace_id,
                                                    std::uint16_t port) const {
    std::vector<std::string> parts{""};
    for (const char c : value) {
        if (c == '.') {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    if (parts.size() != 4) return std::nullopt;
    std::int64_t expires = 0;
    const auto& text = parts[0];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), expires);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    Holder holder{
        .user_id = parts[1], .token_id = parts[2], .workspace_id = workspace_id, .port = port};
    if (!equal_in_constant_time(parts[3], signature(holder, expires))) return std::nullopt;
    const auto left = expires - seconds_now();
    if (left <= 0 || !token_holds(core_.state(), holder.token_id)) return std::nullopt;
    return Checked{.holder = std::move(holder), .aging = left * 2 < kCookieLife.count()};
}

}  // namespace trailer::server::proxy
