// Which workspaces `-l KEY=VALUE` means, now and as they come and go.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "client/event_feed.h"

namespace trailer::client {

// "KEY=VALUE", of a workspace's labels; `group` is also a member of its own.
struct Selector {
    std::string key;
    std::string value;
};

// Throws UsageError.
std::vector<Selector> parse_selectors(const std::vector<std::string>& texts);

// Whether a workspace, as GET shows it, has all of them.
bool matches(const boost::json::value& workspace, const std::vector<Selector>& selectors);

// The names of the workspaces that match, kept up to date by the server's events.
class Selection {
  public:
    Selection(Api& api, std::vector<Selector> selectors,
              std::function<void(const std::string&)> trouble)
        : api_(api), selectors_(std::move(selectors)), feed_(api, std::move(trouble)) {}

    // Returns when they may have changed; the first time at once.
    Task<> next();
    // By id: a workspace that is deleted and made anew under its name is another one.
    const std::map<std::string, std::string>& names() const { return names_; }
    // One that has matched is there still, without the labels.
    bool is_there(const std::string& id) const { return others_.contains(id); }

  private:
    void take(const boost::json::value& workspace);

    Api& api_;
    std::vector<Selector> selectors_;
    EventFeed feed_;
    std::map<std::string, std::string> names_;
    std::set<std::string> others_;  // ids
};

}  // namespace trailer::client
