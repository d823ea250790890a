#include "compose/networks.h"

#include <algorithm>

#include "base/crypto.h"
#include "compose/fields.h"
#include "compose/units.h"

namespace trailer::compose {
namespace {

namespace json = boost::json;
using protocol::Kind;
using protocol::NetworkDriver;
using protocol::NetworkSpec;
using protocol::VolumeSpec;

constexpr std::size_t kLongestName = 63;

bool is_ipv6(std::string_view text) {
    return text.find(':') != text.npos;
}

// At most one pool of IPv4 and one of IPv6.
class PoolReader {
  public:
    PoolReader(NetworkSpec& spec, Places& places, Findings& findings)
        : spec_(spec), places_(places), findings_(findings) {}

    void read(const Node& node) {
        Fields pool(node, findings_);
        const auto* subnet = pool.take("subnet");
        const auto* gateway = pool.take("gateway");
        const auto* range = pool.take("ip_range");
        pool.leave_out({"aux_addresses"});
        pool.finish();
        const bool ipv6 = subnet != nullptr && is_ipv6(subnet->text);
        if (std::exchange(ipv6 ? has_ipv6_ : has_ipv4_, true)) {
            return findings_.leave_out(node, "a second subnet is not supported");
        }
        if (ipv6) {
            take("ipv6_subnet", subnet, spec_.ipv6_subnet);
            take("ipv6_gateway", gateway, spec_.ipv6_gateway);
            if (range != nullptr) findings_.leave_out(*range, "is not supported for IPv6");
            return;
        }
        take("subnet", subnet, spec_.subnet);
        take("gateway", gateway, spec_.gateway);
        take("ip_range", range, spec_.ip_range);
    }

  private:
    void take(const char* name, const Node* found, std::string& into) {
        if (found == nullptr) return;
        into = read_text(*found, findings_);
        places_[std::string("/spec/") + name] = found->place;
    }

    NetworkSpec& spec_;
    Places& places_;
    Findings& findings_;
    bool has_ipv4_ = false;
    bool has_ipv6_ = false;
};

void read_ipam(const Node& node, NetworkSpec& spec, Places& places, Findings& findings) {
    Fields fields(node, findings);
    if (const auto* driver = fields.take("driver")) {
        if (read_text(*driver, findings) != "default") {
            findings.leave_out(*driver, "another driver than default is not supported");
        }
    }
    fields.leave_out({"options"});
    if (const auto* config = fields.take("config")) {
        if (!config->is_list()) findings.fault(*config, "expected a list");
        PoolReader pools(spec, places, findings);
        for (const auto& item : config->items) pools.read(item);
    }
    fields.finish();
}

// "eth0.10": the tag 10 on eth0, as the engine takes it too.
void read_parent(const std::string& text, NetworkSpec& spec) {
    const auto dot = text.rfind('.');
    const auto tag = dot == text.npos ? std::nullopt : parse_integer(text.substr(dot + 1));
    const bool tagged = tag && *tag >= 1 && *tag <= 4094;
    spec.parent = tagged ? text.substr(0, dot) : text;
    if (tagged) spec.vlan = static_cast<std::uint16_t>(*tag);
}

// False for an option that is not known here.
bool read_driver_option(const Pair& option, NetworkSpec& spec) {
    const auto value = option.value.value_or("");
    if (spec.driver == NetworkDriver::bridge) return false;
    if (option.name == "parent") {
        read_parent(value, spec);
        return true;
    }
    if (spec.driver == NetworkDriver::macvlan) {
        return option.name == "macvlan_mode" && value == "bridge";  // as it is anyway
    }
    if (option.name != "ipvlan_mode") return false;
    spec.mode = wire::from_text<protocol::IpvlanMode>(value);
    return spec.mode.has_value();
}

void read_network_driver(Fields& fields, NetworkSpec& spec, Places& places, Findings& findings) {
    if (const auto* driver = fields.take("driver")) {
        const auto text = read_text(*driver, findings);
        if (const auto known = wire::from_text<NetworkDriver>(text)) {
            spec.driver = *known;
        } else {
            findings.leave_out(*driver, fmt::format("the driver \"{}\" is not supported", text));
        }
        places["/spec/driver"] = driver->place;
    }
    const auto* options = fields.take("driver_opts");
    if (options == nullptr) return;
    places["/spec/parent"] = options->place;
    places["/spec/mode"] = options->place;
    for (const auto& pair : read_pairs(*options, findings)) {
        if (!read_driver_option(pair, spec)) findings.leave_out(*pair.node, "is not supported");
    }
}

json::object read_network(Fields& fields, Places& places, Findings& findings) {
    NetworkSpec spec;
    read_network_driver(fields, spec, places, findings);
    if (const auto* ipam = fields.take("ipam")) read_ipam(*ipam, spec, places, findings);
    if (const auto* internal = fields.take("internal")) {
        spec.internal = read_bool(*internal, findings).value_or(false);
    }
    if (const auto* ipv6 = fields.take("enable_ipv6")) {
        spec.ipv6 = read_bool(*ipv6, findings).value_or(false);
        places["/spec/ipv6"] = ipv6->place;
    }
    if (const auto* ipv4 = fields.take("enable_ipv4")) {
        if (!read_bool(*ipv4, findings).value_or(true)) {
            findings.leave_out(*ipv4, "a network without IPv4 is not supported");
        }
    }
    if (const auto* labels = fields.take("labels")) spec.labels = read_map(*labels, findings);
    fields.accept({"attachable"});  // any workspace may attach anyway
    return spec_json(spec);
}

json::object read_volume(Fields& fields, Places& places, Findings& findings) {
    VolumeSpec spec;
    if (const auto* driver = fields.take("driver")) {
        spec.driver = read_text(*driver, findings);
        places["/spec/driver"] = driver->place;
    }
    if (const auto* options = fields.take("driver_opts")) {
        spec.driver_options = read_map(*options, findings);
        places["/spec/driver_options"] = options->place;
    }
    if (const auto* labels = fields.take("labels")) spec.labels = read_map(*labels, findings);
    return spec_json(spec);
}

}  // namespace

Shared::Shared(Kind kind, const Node* node, std::string project, Findings& findings)
    : kind_(kind), project_(std::move(project)), findings_(findings) {
    if (node == nullptr || node->is_null()) return;
    if (!node->is_map()) findings.fault(*node, "expected a map");
    for (const auto& [key, member] : node->members) {
        if (!key.starts_with("x-")) entries_.emplace(key, read(key, member));
    }
}

Shared::Entry Shared::read(const std::string& key, const Node& node) {
    Entry entry{.document = document_of(default_name(key), node.place)};
    auto& document = entry.document;
    Fields fields(node, findings_);
    if (const auto* external = fields.take("external")) {
        // Older files name it there.
        if (external->is_map()) {
            entry.external = true;
            Fields inner(*external, findings_);
            document.name = key;
            if (const auto* name = inner.take("name")) document.name = read_text(*name, findings_);
            inner.finish();
        } else {
            entry.external = read_bool(*external, findings_).value_or(false);
            if (entry.external) document.name = key;
        }
    }
    if (const auto* name = fields.take("name")) {
        document.name = read_text(*name, findings_);
        document.places["/name"] = name->place;
    }
    document.value["spec"] = kind_ == Kind::network
                                 ? read_network(fields, document.places, findings_)
                                 : read_volume(fields, document.places, findings_);
    fields.finish();
    if (entry.external && !document.value["spec"].as_object().empty()) {
        findings_.fault(node, "is external: it takes nothing but `name`");
    }
    return entry;
}

std::string Shared::default_name(const std::string& key) const {
    return fmt::format("{}_{}", project_, key);
}

Document Shared::document_of(std::string name, const Place& place) const {
    return {.kind = kind_, .name = std::move(name), .places = {{"", place}, {"/name", place}}};
}

std::string Shared::use(const std::string& key, const Node& user) {
    auto found = entries_.find(key);
    if (found == entries_.end() && kind_ == Kind::network && key == "default") {
        Entry entry{.document = document_of(default_name(key), user.place)};
        entry.document.value["spec"] = json::object();
        found = entries_.emplace(key, std::move(entry)).first;
    }
    if (found == entries_.end()) {
        findings_.fault(user, fmt::format("the {0} \"{1}\" does not stand under the file's {0}s",
                                          protocol::noun(kind_), key));
        return {};
    }
    used_.insert(key);
    return found->second.document.name;
}

std::string Shared::use_anonymous(const std::string& service, const std::string& target,
                                  const Node& user) {
    auto name = default_name(service) + target;
    std::ranges::replace_if(
        name,
        [](char c) {
            const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
            return !good;
        },
        '_');
    // What had to be cut is told apart by a hash.
    if (name.size() > kLongestName || !target.starts_with('/')) {
        const auto hash = to_hex(sha256(default_name(service) + target)).substr(0, 12);
        name = name.substr(0, kLongestName - 13) + "_" + hash;
    }
    while (name.ends_with('_') || name.ends_with('-') || name.ends_with('.')) name.pop_back();
    const auto key = "\n" + name;  // no key of a file's
    auto [entry, fresh] = entries_.try_emplace(key);
    if (fresh) {
        entry->second.document = document_of(name, user.place);
        entry->second.document.value["spec"] = json::object();
    }
    used_.insert(key);
    return name;
}

std::vector<Document> Shared::documents() const {
    std::vector<Document> documents;
    for (const auto& [key, entry] : entries_) {
        if (used_.contains(key) && !entry.external) documents.push_back(entry.document);
    }
    return documents;
}

}  // namespace trailer::compose
