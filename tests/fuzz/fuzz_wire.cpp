// What reads bytes from others: JSON into the messages of the protocol, YAML documents, and the
// checks of a spec. Whatever comes is refused by InvalidInput or read; what was read is written and
// read again the same.
#include <algorithm>

#include "must_be.h"
#include "protocol/agent.h"
#include "protocol/api.h"
#include "protocol/validate.h"
#include "wire/json.h"
#include "wire/yaml.h"

namespace {

using namespace trailer;

template <typename Message>
void read_as(const wire::json::value& value) {
    try {
        const auto message = wire::from_json<Message>(value);
        const auto text = wire::to_json_text(message);
        const auto again = wire::from_json<Message>(wire::parse(text));
        must_be(wire::to_json_text(again) == text, "what was written is read as something else");
    } catch (const InvalidInput& refused) {
        must_be(!refused.errors().empty(), "refused without a reason");
    }
}

// YAML has one kind of number where it is written: 2.0 is written as 2.
bool same_value(const wire::json::value& a, const wire::json::value& b) {
    if (a.is_number() && b.is_number()) return a.to_number<double>() == b.to_number<double>();
    if (a.is_array() && b.is_array()) {
        return std::ranges::equal(a.get_array(), b.get_array(), same_value);
    }
    if (a.is_object() && b.is_object()) {
        return a.get_object().size() == b.get_object().size() &&
               std::ranges::all_of(a.get_object(), [&](const auto& member) {
                   const auto* other = b.get_object().if_contains(member.key());
                   return other != nullptr && same_value(member.value(), *other);
               });
    }
    return a == b;
}

void check_as_spec(const wire::json::value& value) {
    if (!value.is_object()) return;
    using protocol::Kind;
    for (const auto kind : {Kind::workspace, Kind::network, Kind::volume, Kind::image}) {
        std::vector<FieldError> faults;
        const auto canonical = protocol::check_spec(kind, value.get_object(), faults);
        if (!faults.empty()) continue;
        std::vector<FieldError> again;
        must_be(protocol::check_spec(kind, canonical, again) == canonical && again.empty(),
                "the canonical form of a spec is not canonical");
    }
}

void read(const wire::json::value& value) {
    read_as<protocol::DesiredState>(value);
    read_as<protocol::RegisterRequest>(value);
    read_as<protocol::HeartbeatRequest>(value);
    read_as<protocol::StatusRequest>(value);
    read_as<protocol::HostPlan>(value);
    read_as<protocol::ControlMessage>(value);
    check_as_spec(value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(data, data + size);
    try {
        read(wire::parse(text));
    } catch (const InvalidInput&) {  // no JSON
    }
    try {
        for (const auto& document : wire::parse_yaml(text)) {
            must_be(document.position_of("/no/such").line > 0, "a document without a position");
            const auto written = wire::to_yaml(document.value);
            const auto again = wire::parse_yaml(written);
            const bool same =
                document.value.is_null()
                    ? again.empty()
                    : again.size() == 1 && same_value(again.front().value, document.value);
            must_be(same, fmt::format("{} was written as YAML that is read as something else:\n{}",
                                      wire::json::serialize(document.value), written));
            check_as_spec(document.value);
        }
    } catch (const InvalidInput&) {  // no YAML
    }
    return 0;
}
