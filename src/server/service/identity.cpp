#include "server/service/identity.h"

#include <charconv>

#include "base/error.h"

namespace trailer::server {
namespace {

using namespace std::chrono_literals;

constexpr auto kChallengeLife = 1min;
// Beyond, the oldest are forgotten: a challenge could then be used twice, by who holds its key.
constexpr std::size_t kMostUsed = 100'000;

Error refused(const char* why) {
    return {ErrorKind::unauthenticated, fmt::format("the agent's proof does not hold: {}", why)};
}

}  // namespace

std::string Identity::mac(std::string_view purpose, const std::string& text) const {
    return to_base64url(hmac_sha256(secret_, fmt::format("{}\n{}", purpose, text)));
}

// NONCE.END.MAC
std::string Identity::challenge(const std::string& public_key) const {
    const auto end = now() + kChallengeLife;
    const auto head = fmt::format("{}.{}", random_token(16), end.time_since_epoch().count());
    return head + "." + mac("challenge", head + "\n" + public_key);
}

void Identity::verify(const protocol::RegisterRequest& request) {
    const auto& challenge = request.challenge;
    const auto dot = challenge.rfind('.');
    const auto first = challenge.find('.');
    if (dot == challenge.npos || first == dot) throw refused("the challenge is not ours");
    const auto head = challenge.substr(0, dot);
    if (!equal_in_constant_time(challenge.substr(dot + 1),
                                mac("challenge", head + "\n" + request.public_key))) {
        throw refused("the challenge is not ours, or was given to another key");
    }
    Timestamp::rep end = 0;
    std::from_chars(head.data() + first + 1, head.data() + head.size(), end);
    const Timestamp ends{Timestamp::duration{end}};
    if (ends < now()) throw refused("the challenge has ended");
    if (used_.contains({ends, challenge})) throw refused("the challenge was used before");
    if (!verify_signature(request.public_key,
                          protocol::signed_text(challenge, request.registration_token),
                          request.signature)) {
        throw refused("the signature is not this key's");
    }
    const auto time = now();
    while (!used_.empty() && (used_.begin()->first < time || used_.size() >= kMostUsed)) {
        used_.erase(used_.begin());
    }
    used_.emplace(ends, challenge);
}

// HOST-ID.MAC
std::string Identity::token(const store::Host& host) const {
    return host.id + "." + mac("agent", host.id + "\n" + host.public_key);
}

const HostEntry* Identity::host_of(const std::string& token, const State& state) const {
    const auto dot = token.find('.');
    if (dot == token.npos) return nullptr;
    const auto* host = state.host(token.substr(0, dot));
    if (host == nullptr || !host->record.approved) return nullptr;
    return equal_in_constant_time(token, this->token(host->record)) ? host : nullptr;
}

}  // namespace trailer::server
