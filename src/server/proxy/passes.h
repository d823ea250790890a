// Who may see a workspace's port in a browser: a one-time ticket brings a cookie that is good for
// one person, one workspace and one port, and for nothing else.
//
// A pass hangs on the token or session by which it was asked for: when that ends, it ends. One
// thread.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "server/service/auth.h"

namespace trailer::server::proxy {

// To whom and for what.
struct Holder {
    std::string user_id;
    std::string token_id;
    std::string workspace_id;
    std::uint16_t port = 0;

    bool operator==(const Holder&) const = default;
};

class Passes {
  public:
    static constexpr std::chrono::seconds kTicketLife{60};
    static constexpr std::chrono::seconds kCookieLife{3600};

    explicit Passes(Core& core) : core_(core) {}

    std::string make_ticket(Holder holder);
    // Good once.
    std::optional<Holder> use_ticket(const std::string& ticket);

    // The cookie's value: signed by the server, of which nothing is kept.
    std::string make_cookie(const Holder& holder) const;
    struct Checked {
        Holder holder;
        bool aging = false;  // more than half of its life is over
    };
    // Nothing for one that is not for this workspace and port, not ours, or over.
    std::optional<Checked> check_cookie(const std::string& value, const std::string& workspace_id,
                                        std::uint16_t port) const;

  private:
    struct Ticket {
        Holder holder;
        std::chrono::steady_clock::time_point until;
    };
    std::string signature(const Holder& holder, std::int64_t expires) const;

    Core& core_;
    std::map<std::string, Ticket> tickets_;  // by their hash
};

}  // namespace trailer::server::proxy
