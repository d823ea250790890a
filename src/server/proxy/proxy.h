// The reverse proxy to the ports of workspaces: HTTP/1.1, WebSocket, server-sent events.
//
// Bodies pass piece by piece, never held whole. One thread.
#pragma once

#include <map>
#include <set>
#include <string>

#include "net/http_server.h"
#include "protocol/proxy.h"
#include "server/proxy/headers.h"
#include "server/proxy/passes.h"
#include "server/proxy/place.h"
#include "server/proxy/upstreams.h"
#include "server/service/audit.h"
#include "server/service/resources.h"

namespace trailer::server::proxy {

struct ProxyOptions {
    std::string domain;                               // of workspaces; empty: none
    std::chrono::milliseconds open_limit{15'000};     // to reach the port
    std::chrono::milliseconds answer_limit{300'000};  // nothing moves before the answer
    std::chrono::milliseconds idle_limit{3'600'000};  // nothing moves within it
};

class Proxy {
  public:
    Proxy(Core& core, AuthService& auth, ResourceService& resources, AuditLog& audit,
          ProxyOptions options);

    // Nothing when the request is not for a workspace.
    std::optional<Place> place_of(const net::Request& request) const;

    // Answers the request: from the workspace, or throws what is wrong before anything was sent.
    Task<> serve(net::Exchange* exchange, Place place);

    // A URL by which a browser may see the port. `request`: whose host it is to name.
    protocol::PortOpenAnswer open(const Caller& caller, const std::string& workspace,
                                  std::uint16_t port, const std::string& path,
                                  const net::Exchange& exchange);

  private:
    // Who asks, and what they showed.
    struct Visitor {
        Holder holder;
        bool by_bearer = false;
        bool by_navigation = false;  // the page's own session, and nothing but a look
        bool renew = false;          // their cookie ages
    };
    std::optional<Visitor> visitor_of(const net::Request& request, const Place& place) const;
    Visitor admit(const net::Request& request, const Place& place) const;
    Task<> let_in(net::Exchange* exchange, Place place, Holder holder, std::string target);
    std::string set_cookie(const net::Exchange& exchange, const Place& place,
                           const Holder& holder) const;

    // One request under way.
    struct Passage;
    class Listed;
    Task<> pass(Passage* passage);
    Task<> reach(Passage* passage, bool fresh);
    Task<bool> ask(Passage* passage, bool may_retry);
    Task<> answer(Passage* passage);
    static Task<> upload(Passage* passage);
    static Task<> await_client(Passage* passage);
    bool may_go_on(const Passage& passage) const;
    bool look();
    static Task<> refuse(Passage* passage, int status, std::string why);

    Core& core_;
    AuthService& auth_;
    ResourceService& resources_;
    AuditLog& audit_;
    ProxyOptions options_;
    Passes passes_;
    Upstreams upstreams_;
    std::map<std::pair<std::string, std::uint16_t>, std::size_t> busy_;  // requests of each port
    std::set<Passage*> under_way_;
    aio::Sweeper sweeper_;
};

}  // namespace trailer::server::proxy
