#include "protocol/resources.h"

#include <algorithm>

#include "base/text.h"

namespace trailer::protocol {
namespace {

struct KindNames {
    Kind kind;
    std::string_view title;
    std::string_view noun;
    std::string_view plural;
    std::string_view abbreviation;
};
constexpr std::array kNames{
    KindNames{Kind::workspace, "Workspace", "workspace", "workspaces", "ws"},
    KindNames{Kind::network, "Network", "network", "networks", "net"},
    KindNames{Kind::volume, "Volume", "volume", "volumes", "vol"},
    KindNames{Kind::image, "Image", "image", "images", "img"},
};

const KindNames& names_of(Kind kind) {
    return kNames.at(static_cast<std::size_t>(kind));
}

}  // namespace

std::string_view title(Kind kind) {
    return names_of(kind).title;
}
std::string_view plural(Kind kind) {
    return names_of(kind).plural;
}
std::string_view noun(Kind kind) {
    return names_of(kind).noun;
}

std::optional<Kind> kind_from_title(std::string_view title) {
    for (const auto& names : kNames) {
        if (names.title == title) return names.kind;
    }
    return std::nullopt;
}

std::optional<Kind> kind_from_plural(std::string_view plural) {
    const auto word = lower(plural);
    for (const auto& names : kNames) {
        if (word == names.plural || word == names.noun || word == names.abbreviation) {
            return names.kind;
        }
    }
    return std::nullopt;
}

std::string with_tag(const std::string& reference) {
    const auto slash = reference.rfind('/');
    const auto name = slash == reference.npos ? 0 : slash + 1;
    const bool tagged = reference.find_first_of(":@", name) != reference.npos;
    return tagged ? reference : reference + ":latest";
}

json::value write_json(const Kind& kind) {
    return json::value(title(kind));
}

void read_json(wire::Reader& reader, Kind& kind) {
    const auto* text = reader.value().if_string();
    const auto found = text != nullptr ? kind_from_title(*text) : std::nullopt;
    if (!found) return reader.expected("one of: Workspace, Network, Volume, Image");
    kind = *found;
}

json::value write_json(const Gpus& gpus) {
    if (gpus.all) return "all";
    if (!gpus.uuids.empty()) return wire::to_json(gpus.uuids);
    return gpus.count;
}

void read_json(wire::Reader& reader, Gpus& gpus) {
    const auto& value = reader.value();
    gpus = {};
    if (const auto* text = value.if_string(); text != nullptr && *text == "all") {
        gpus.all = true;
    } else if (value.is_array()) {
        wire::read(reader, gpus.uuids);
    } else if (value.is_number()) {
        wire::read(reader, gpus.count);
    } else {
        reader.fail("expected \"all\", a count, or a list of GPU UUIDs");
    }
}

}  // namespace trailer::protocol
