// HTTP messages as values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace trailer::net {

// Header fields in their order; names compare without case (RFC 9110, section 5.1).
class Headers {
  public:
    Headers() = default;
    Headers(std::initializer_list<std::pair<std::string, std::string>> fields) : fields_(fields) {}

    void set(std::string name, std::string value);  // replaces all of that name
    void add(std::string name, std::string value);
    std::optional<std::string_view> find(std::string_view name) const;  // the first
    // The value, or "".
    std::string_view get(std::string_view name) const { return find(name).value_or(""); }
    auto begin() const { return fields_.begin(); }
    auto end() const { return fields_.end(); }
    // As lines "Name: value\r\n". Throws InvalidInput for a field with a line break, by which its
    // author could write a head of his own.
    void append_to(std::string& text) const;

  private:
    std::vector<std::pair<std::string, std::string>> fields_;
};

// Whether the page that asks, if it is one, is of the Host it asks: programs send no Origin (RFC
// 6454, section 7.3).
bool is_same_origin(const Headers& headers);

// A query's parameters, decoded ('+' is a space, as forms and most libraries write), in their
// order.
class Query {
  public:
    static Query parse(std::string_view text);                     // without '?'
    std::optional<std::string> find(std::string_view name) const;  // the first
    std::vector<std::string> all(std::string_view name) const;
    auto begin() const { return parameters_.begin(); }
    auto end() const { return parameters_.end(); }

  private:
    std::vector<std::pair<std::string, std::string>> parameters_;
};

// RFC 3986. decode throws InvalidInput; '+' stays '+'.
std::string percent_encode(std::string_view text);  // everything but unreserved characters
std::string percent_decode(std::string_view text);

struct Request {
    std::string method = "GET";
    std::string target = "/";  // path and query, as on the wire
    Headers headers;
    std::string body;

    std::string_view path() const;  // still percent-encoded
    Query query() const;
};

struct Response {
    int status = 200;
    Headers headers;
    std::string body;
};

// "Not Found" for 404.
std::string_view reason_phrase(int status);
// What an answer of 400 and more means to the one who asked.
ErrorKind kind_of_status(int status);

// Where to connect to. Read from "http://host:port/prefix", "https://…", "tcp://host:port",
// "unix:///path".
struct Endpoint {
    enum class Transport { tcp, tls, unix_socket };
    Transport transport = Transport::tcp;
    std::string host;
    std::uint16_t port = 80;
    std::string path;    // of the unix socket
    std::string prefix;  // of every target, without a trailing '/'

    static Endpoint parse(
        std::string_view text);  // throws InvalidInput that says what was expected
    std::string to_string() const;
    bool operator==(const Endpoint&) const = default;
};

}  // namespace trailer::net
