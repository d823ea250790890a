// Who an agent is: challenges that it signs with its key, and the tokens that it gets for it
// (docs/decisions/0005). Stateless but for the challenges that were used.
#pragma once

#include <set>
#include <string>
#include <utility>

#include "base/crypto.h"
#include "server/service/state.h"

namespace trailer::server {

class Identity {
  public:
    explicit Identity(Bytes secret) : secret_(std::move(secret)) {}

    // Good once, for a minute, for that key.
    std::string challenge(const std::string& public_key) const;
    // Checks and uses up the challenge, checks the signature over it and the registration token.
    // Throws Error(unauthenticated) that says what did not fit.
    void verify(const protocol::RegisterRequest& request);

    // A bearer token for the host as long as this key is bound to it.
    std::string token(const store::Host& host) const;
    // The host that the token speaks for; nullptr when none.
    const HostEntry* host_of(const std::string& token, const State& state) const;

  private:
    std::string mac(std::string_view purpose, const std::string& text) const;

    Bytes secret_;
    // Challenges, with when they would have ended anyway: what ends first comes first, for
    // thousands of agents register within a minute.
    std::set<std::pair<Timestamp, std::string>> used_;
};

}  // namespace trailer::server
