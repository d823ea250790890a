// The engine's JSON (Docker Engine API 1.41) to and from our values. Pure functions.
#pragma once

#include <boost/json.hpp>

#include "runtime/runtime.h"

namespace trailer::runtime::docker {

namespace json = boost::json;

// Bodies of requests.
json::object container_create_body(const ContainerSpec& spec);  // POST /containers/create
json::object container_update_body(const Limits& limits, protocol::RestartPolicy restart);
json::object endpoint_settings(const Attachment& attachment);
json::object network_create_body(const NetworkSpec& spec);
json::object volume_create_body(const VolumeSpec& spec);

// The name of an image and its tag, as POST /images/create takes them: "registry:5000/tools:v1" ->
// {"registry:5000/tools", "v1"}. A digest is told in the place of the tag; neither is latest.
std::pair<std::string, std::string> split_reference(const std::string& reference);

// Answers. They tolerate what is missing: engines and podman differ in what they leave out.
Container container_from(const json::value& inspect);  // GET /containers/ID/json
Network network_from(const json::value& inspect);
// The endpoints of containers that are no more: an engine that was ended in the middle of a start
// or a stop keeps them, and refuses to remove their network. Their names, which a forced disconnect
// takes; never one that a living container on the network bears.
std::vector<std::string> forgotten_endpoints(const json::value& inspect);
Volume volume_from(const json::value& inspect);
std::map<std::string, std::int64_t> volume_sizes_from(const json::value& usage);  // GET /system/df
Image image_from(const json::value& inspect);       // GET /images/NAME/json
Image image_from_list(const json::value& summary);  // an element of GET /images/json
Info info_from(const json::value& info, const json::value& version);
std::optional<Event> event_from(const json::value& event);
std::int64_t event_nanoseconds(const json::value& event);  // its time, since 1970

// One line of a pull's or build's progress. `error` is set where the engine tells a failure.
struct ProgressLine {
    std::string text;
    std::string error;
    std::string image_id;  // of a finished build
};
ProgressLine progress_from(const json::value& line);

// The error that an answer's status and body tell. `doing` says what was tried.
[[noreturn]] void throw_engine_error(int status, std::string_view body, std::string_view doing);

// Splits a stream of bytes into lines.
class LineSplitter {
  public:
    // Calls `each` for every whole line, without its end.
    void feed(std::string_view bytes, const std::function<void(std::string_view)>& each);

  private:
    std::string rest_;
};

}  // namespace trailer::runtime::docker
