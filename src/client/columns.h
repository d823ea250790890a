// What a row of `trailer get` shows of each kind.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "client/subject.h"
#include "client/table.h"
#include "protocol/api.h"

namespace trailer::client {

enum class Width { normal, wide };

std::vector<std::string> column_titles(Subject subject, Width width);
// `item` is the resource as the server shows it. `now` makes the ages.
Row columns(Subject subject, const boost::json::value& item, Width width, Timestamp now);
// The same without what grows by itself (AGE, SINCE): what tells whether a row is news.
Row lasting_columns(Subject subject, const boost::json::value& item, Width width);

// "running" is good, "deploying" busy, "error" bad.
Style style_of(protocol::State state);
Style style_of(const protocol::HostView& host);
Style style_of(protocol::Health health);
Style style_of(protocol::Severity severity);

// For people: "41s", "3m", "2h", "5d": no blank inside, so that columns stay columns.
std::string short_age(Timestamp since, Timestamp now);
std::string short_bytes(std::int64_t bytes);  // "512M", "7.8G"

// The gravest message, the newest of those; "" where there is none.
std::string main_message(const std::vector<protocol::Message>& messages);
// "8080->80", "127.0.0.1:8080->80/udp", "80" where nothing is published yet.
std::string ports_text(const protocol::ResourceView& workspace);
// "2 running,1 error"; "none" where there is no workspace.
std::string group_states_text(const protocol::GroupView& group);
// "online", "offline", "pending_approval"; ",disabled" and ",conflict" behind it.
std::string status_text(const protocol::HostView& host);

}  // namespace trailer::client
