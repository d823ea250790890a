#include "client/session/query.h"

#include "net/http.h"

namespace trailer::client {
namespace {

class Address {
  public:
    explicit Address(std::string path) : text_(std::move(path)) {}

    void add(std::string_view name, std::string_view value) {
        text_ += fmt::format("{}{}={}", first_ ? '?' : '&', name, net::percent_encode(value));
        first_ = false;
    }
    void add_unless_empty(std::string_view name, std::string_view value) {
        if (!value.empty()) add(name, value);
    }
    void add_if(std::string_view name, bool is_so) {
        if (is_so) add(name, "true");
    }
    void add_size(const protocol::TerminalSize& size) {
        if (size.cols == 0 || size.rows == 0) return;
        add("cols", std::to_string(size.cols));
        add("rows", std::to_string(size.rows));
    }
    std::string text() && { return std::move(text_); }

  private:
    std::string text_;
    bool first_ = true;
};

}  // namespace

std::string exec_address(const protocol::ExecQuery& query) {
    Address address("exec");
    for (const auto& word : query.command) address.add("cmd", word);
    for (const auto& each : query.env) address.add("env", each);
    address.add_unless_empty("user", query.user);
    address.add_unless_empty("workdir", query.working_dir);
    address.add_if("tty", query.tty);
    address.add_size(query.size);
    return std::move(address).text();
}

std::string logs_address(const protocol::LogQuery& query) {
    Address address("logs");
    address.add_if("follow", query.follow);
    if (query.tail) address.add("tail", std::to_string(*query.tail));
    address.add_unless_empty("since", query.since);
    address.add_unless_empty("until", query.until);
    if (query.skip > 0) address.add("skip", std::to_string(query.skip));
    address.add_unless_empty("skip_until", query.skip_until);
    address.add_if("timestamps", query.timestamps);
    return std::move(address).text();
}

std::string attach_address(const protocol::TerminalSize& size) {
    Address address("attach");
    address.add_size(size);
    return std::move(address).text();
}

}  // namespace trailer::client
