// The top-level `networks` and `volumes`: what they are called outside of the file, and what they
// are made from.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "compose/document.h"
#include "compose/findings.h"

namespace trailer::compose {

// What several services share: all networks of a project, or all its volumes. Only those that a
// service uses become documents.
class Shared {
  public:
    // `node` may be null: there is no such member.
    Shared(protocol::Kind kind, const Node* node, std::string project, Findings& findings);

    // The name outside of the file of what a service at `user` calls `key`. A key that is not there
    // is a fault, but for the network `default`.
    std::string use(const std::string& key, const Node& user);
    // A volume that has no name in the file, for one service's target.
    std::string use_anonymous(const std::string& service, const std::string& target,
                              const Node& user);

    std::vector<Document> documents() const;

  private:
    struct Entry {
        Document document;
        bool external = false;
    };
    Entry read(const std::string& key, const Node& node);
    std::string default_name(const std::string& key) const;
    Document document_of(std::string name, const Place& place) const;

    protocol::Kind kind_;
    std::string project_;
    Findings& findings_;
    std::map<std::string, Entry> entries_;  // by key
    std::set<std::string> used_;
};

}  // namespace trailer::compose
