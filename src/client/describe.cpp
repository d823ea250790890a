#include "client/describe.h"

#include <boost/json.hpp>

#include "client/api.h"
#include "client/arguments.h"
#include "client/columns.h"
#include "client/commands.h"
#include "client/failure.h"
#include "client/table.h"
#include "protocol/api.h"
#include "wire/json.h"
#include "wire/yaml.h"

namespace trailer::client {
namespace {

namespace json = boost::json;
using protocol::HostView;
using protocol::ResourceView;

constexpr std::size_t kLabelWidth = 14;

// Puts a page together: fields with aligned values, and titled sections.
class Page {
  public:
    Page(const Palette& palette, Timestamp now) : palette_(palette), now_(now) {}

    void title(std::string_view kind, std::string_view name) {
        text_ += palette_.paint(Style::strong, fmt::format("{} {}", kind, one_line(name))) + "\n";
    }
    void field(std::string_view label, std::string_view value, Style style = Style::plain) {
        if (value.empty()) return;
        text_ += fmt::format("  {:<{}}{}\n", fmt::format("{}:", label), kLabelWidth,
                             palette_.paint(style, one_line(value)));
    }
    void moment(std::string_view label, Timestamp time) {
        if (time != Timestamp{}) {
            field(label, fmt::format("{} ({} ago)", format_rfc3339(time), short_age(time, now_)));
        }
    }
    void section(std::string_view title) {
        text_ += "\n" + palette_.paint(Style::strong, title) + "\n";
    }
    // Every line two blanks in.
    void block(std::string_view content) {
        while (!content.empty()) {
            const auto end = std::min(content.find('\n'), content.size());
            text_ += fmt::format("  {}\n", printable(content.substr(0, end)));
            content.remove_prefix(std::min(end + 1, content.size()));
        }
    }
    void yaml(std::string_view title, const json::value& value) {
        const auto* object = value.if_object();
        if (object != nullptr && object->empty()) return;
        section(title);
        block(wire::to_yaml(value));
    }
    void table(std::string_view title, std::vector<std::string> titles,
               const std::vector<Row>& rows) {
        if (rows.empty()) return;
        section(title);
        Table table(std::move(titles));
        const auto whole = table.render(rows, palette_);
        std::string_view rest = whole;
        while (!rest.empty()) {
            const auto end = rest.find('\n');
            text_ += fmt::format("  {}\n", rest.substr(0, end));
            rest.remove_prefix(end + 1);
        }
    }
    std::string age(Timestamp since) const { return short_age(since, now_); }
    std::string text() { return std::move(text_); }

  private:
    const Palette& palette_;
    Timestamp now_;
    std::string text_;
};

std::string indented(std::string_view text) {
    std::string result;
    for (const char c : text) {
        result += c;
        if (c == '\n') result += "    ";
    }
    return result;
}

void messages(Page& page, const std::vector<protocol::Message>& messages) {
    if (messages.empty()) return;
    page.section("Messages");
    for (const auto& each : messages) {
        const auto since = page.age(each.since);
        page.block(fmt::format("{}{}{}: {}", wire::to_text(each.severity),
                               since.empty() ? "" : ", ", since.empty() ? "" : since + " ago",
                               indented(each.text)));
    }
}

json::value default_spec(protocol::Kind kind) {
    protocol::WorkspaceSpec workspace;
    workspace.health_check.emplace();
    switch (kind) {
        case protocol::Kind::workspace:
            return wire::to_json(workspace);
        case protocol::Kind::network:
            return wire::to_json(protocol::NetworkSpec{});
        case protocol::Kind::volume:
            return wire::to_json(protocol::VolumeSpec{});
        case protocol::Kind::image:
            return wire::to_json(protocol::ImageSpec{});
    }
    return {};
}

// A port's, a mount's or the like: what it leaves open.
bool is_open(const json::value& value) {
    return value == json::value("") || value == json::value(false) || value == json::value(0);
}

// Without what is as it is when nothing is said of it: of some forty members few are set.
json::value what_is_set(const json::value& spec, const json::value& defaults) {
    if (const auto* list = spec.if_array()) {
        json::array kept;
        for (const auto& each : *list) {
            auto& part = kept.emplace_back(each);
            auto* members = part.if_object();
            if (members == nullptr) continue;
            for (const auto& [name, value] : each.get_object()) {
                if (is_open(value)) members->stable_erase(name);
            }
        }
        return kept;
    }
    if (!spec.is_object() || !defaults.is_object()) return spec;
    json::object kept;
    for (const auto& [name, value] : spec.get_object()) {
        const auto* unset = defaults.get_object().if_contains(name);
        if (unset == nullptr) {
            kept[name] = value;
        } else if (value != *unset) {
            kept[name] = what_is_set(value, *unset);
        }
    }
    return kept;
}

std::string describe_resource(const ResourceView& view, const Palette& palette, Timestamp now) {
    Page page(palette, now);
    page.title(protocol::title(view.kind), view.name);
    page.field("Status", wire::to_text(view.status), style_of(view.status));
    if (view.running) page.field("Wanted", *view.running ? "running" : "stopped");
    page.field("Host", view.host);
    page.field("Group", view.group);
    page.field("Owner", view.owner);
    page.field("ID", view.id);
    page.field("Revision", std::to_string(view.revision));
    page.moment("Created", view.created);
    page.moment("Updated", view.updated);
    messages(page, view.messages);
    page.yaml("Spec", what_is_set(view.spec, default_spec(view.kind)));
    page.yaml("Observed", view.observed);
    return page.text();
}

Row condition_row(std::string_view name, const protocol::Condition& condition, const Page& page) {
    return {{std::string(name)},
            {wire::to_text(condition.status), style_of(condition.status)},
            {page.age(condition.since)},
            {condition.reason}};
}

std::string joined(const std::vector<std::string>& texts) {
    std::string text;
    for (const auto& each : texts) text += (text.empty() ? "" : ", ") + each;
    return text;
}

void bounds(Page& page, const protocol::Capabilities& can) {
    page.section("Host's own bounds");
    page.field("Privileged", can.allow_privileged ? "allowed" : "refused");
    page.field("Host network", can.allow_host_network ? "allowed" : "refused");
    page.field("Bind roots",
               can.allowed_bind_roots.empty() ? "none" : joined(can.allowed_bind_roots));
    page.field("Devices", joined(can.allowed_devices));
    page.field("Capabilities", joined(can.allowed_capabilities));
    const bool any =
        std::ranges::find(can.allowed_parents, protocol::kAnyParent) != can.allowed_parents.end();
    page.field("Parents", any ? "every interface" : joined(can.allowed_parents));
}

void equipment(Page& page, const HostView& host) {
    const auto& can = host.capabilities;
    page.section("Equipment");
    page.field("Engine", fmt::format("{} {}{}", can.runtime, can.runtime_version,
                                     can.runtime_api_version.empty()
                                         ? ""
                                         : fmt::format(" (API {})", can.runtime_api_version)));
    page.field("System", fmt::format("{}/{}", host.os, host.architecture));
    page.field("Kernel", can.kernel);
    page.field("CPUs", can.cpus > 0 ? std::to_string(can.cpus) : "");
    page.field("Memory", can.memory_total > 0 ? short_bytes(can.memory_total) : "");
    page.field("Storage", can.storage_driver);
    page.field("Networks", joined(can.network_drivers));
    page.field("Cgroups", can.cgroup_version > 0 ? fmt::format("v{}", can.cgroup_version) : "");
    for (const auto& gpu : can.gpus) {
        const auto memory = gpu.memory_total > 0 ? short_bytes(gpu.memory_total) + ", " : "";
        page.field("GPU", fmt::format("{} ({}{})", gpu.name, memory, gpu.uuid));
    }
    std::vector<Row> rows;
    for (const auto& each : can.network_interfaces) {
        rows.push_back(
            {{each.name}, {each.up ? "up" : "down"}, {each.mac}, {joined(each.addresses)}});
    }
    page.table("Network interfaces for macvlan and ipvlan", {"NAME", "LINK", "MAC", "ADDRESSES"},
               rows);
}

void load(Page& page, const std::optional<protocol::HostMetrics>& metrics) {
    if (!metrics) return;
    page.section("Load");
    page.field("CPU", fmt::format("{:.1f} % of {}", metrics->cpu_percent, metrics->cpus));
    page.field("Memory",
               fmt::format("{} of {} used, {} can be had", short_bytes(metrics->memory_used),
                           short_bytes(metrics->memory_total), short_bytes(metrics->memory_free)));
    page.field("Disk", fmt::format("{} read, {} written", short_bytes(metrics->disk_read_bytes),
                                   short_bytes(metrics->disk_written_bytes)));
    page.field("Network",
               fmt::format("{} received, {} sent", short_bytes(metrics->network_received_bytes),
                           short_bytes(metrics->network_sent_bytes)));
    page.field("Processes", std::to_string(metrics->processes));
    page.moment("Measured", metrics->at);
}

void gpu_load(Page& page, const std::vector<protocol::GpuMetrics>& gpus) {
    const auto text = [](const auto& value, std::string_view unit) {
        return value ? fmt::format("{:.0f} {}", static_cast<double>(*value), unit) : std::string();
    };
    std::vector<Row> rows;
    for (const auto& gpu : gpus) {
        const auto memory = gpu.memory_used && gpu.memory_total
                                ? fmt::format("{} of {}", short_bytes(*gpu.memory_used),
                                              short_bytes(*gpu.memory_total))
                                : std::string();
        rows.push_back({{gpu.name},
                        {text(gpu.utilization_percent, "%")},
                        {memory},
                        {text(gpu.temperature_c, "C")},
                        {text(gpu.power_w, "W")},
                        {page.age(gpu.at)},
                        {gpu.uuid}});
    }
    page.table("Load of the GPUs", {"GPU", "BUSY", "MEMORY", "TEMPERATURE", "POWER", "AGE", "UUID"},
               rows);
}

void upkeep(Page& page, const protocol::Upkeep& upkeep) {
    if (upkeep.disk_used_percent) {
        page.section("Upkeep");
        page.field("Disk",
                   fmt::format("{:.0f} % used, by all that is on it", *upkeep.disk_used_percent));
    }
    std::vector<Row> rows;
    for (const auto& each : upkeep.leftovers) {
        rows.push_back({{std::string(protocol::noun(each.kind))},
                        {one_line(each.name)},
                        {page.age(each.since)},
                        {format_rfc3339(each.removal)}});
    }
    const auto more = upkeep.leftovers_count - static_cast<std::int64_t>(upkeep.leftovers.size());
    page.table(more > 0 ? fmt::format("Leftovers (and {} more)", more) : "Leftovers",
               {"KIND", "NAME", "AGE", "REMOVED AT"}, rows);
    rows.clear();
    for (const auto& each : upkeep.collected) {
        rows.push_back({{std::string(protocol::noun(each.kind))},
                        {one_line(each.name)},
                        {page.age(each.at)},
                        {short_bytes(each.bytes)},
                        {one_line(each.reason)}});
    }
    page.table("Cleared away", {"KIND", "NAME", "AGE", "SIZE", "WHY"}, rows);
}

std::string describe_host(const HostView& host, const Palette& palette, Timestamp now) {
    Page page(palette, now);
    page.title("Host", host.name);
    page.field("Status", status_text(host), style_of(host));
    page.moment("Since", host.since);
    page.field("Enabled", host.enabled ? "yes" : "no");
    page.field("ID", host.id);
    page.field("Agent", host.version);
    page.field("Address", host.address);
    page.field("Key", host.fingerprint);
    page.field("Revision",
               host.revision == host.revision_applied
                   ? fmt::format("{}, applied", host.revision)
                   : fmt::format("{} wanted, {} applied", host.revision, host.revision_applied));
    page.moment("Created", host.created);
    page.moment("Updated", host.updated);
    if (host.identity_conflict) {
        const auto& other = *host.identity_conflict;
        page.section("Another machine claims to be this host");
        page.field("Key", other.fingerprint, Style::bad);
        page.field("Address", other.address);
        page.moment("First seen", other.first);
        page.moment("Last seen", other.last);
        page.field("To let it in", fmt::format("trailer approve {} --fingerprint {}", host.name,
                                               other.fingerprint));
    }
    page.table(
        "Conditions", {"PART", "STATUS", "SINCE", "WHY"},
        {condition_row("heartbeat", host.heartbeat, page),
         condition_row("realtime", host.realtime, page), condition_row("engine", host.engine, page),
         condition_row("reconcile", host.reconcile, page)});
    equipment(page, host);
    bounds(page, host.capabilities);
    load(page, host.metrics.host);
    gpu_load(page, host.metrics.gpus);
    upkeep(page, host.upkeep);
    page.yaml("Settings", wire::to_json(host.settings));
    return page.text();
}

}  // namespace

std::string group_description(const protocol::GroupView& group,
                              const std::vector<ResourceView>& members, const Palette& palette,
                              Timestamp now) {
    Page page(palette, now);
    page.title("Group", group.name);
    page.field(group.hosts.size() == 1 ? "Host" : "Hosts", joined(group.hosts));
    page.field("Workspaces", group_states_text(group));
    page.moment("Created", group.created);
    page.moment("Updated", group.updated);
    std::vector<Row> rows;
    for (const auto& each : members) {
        rows.push_back({{std::string(protocol::noun(each.kind))},
                        {each.name, Style::strong},
                        {wire::to_text(each.status), style_of(each.status)},
                        {ports_text(each)},
                        {main_message(each.messages)}});
    }
    page.table("Members", {"KIND", "NAME", "STATUS", "PORTS", "MESSAGE"}, rows);
    return page.text();
}

std::string description(Subject subject, const json::value& item, const Palette& palette,
                        Timestamp now) {
    if (subject == Subject::host) {
        return describe_host(wire::from_json<HostView>(item), palette, now);
    }
    return describe_resource(wire::from_json<ResourceView>(item), palette, now);
}

namespace {

std::vector<ResourceView> members_of(Api& api, const std::string& group) {
    std::vector<ResourceView> members;
    for (const auto kind : protocol::kAllKinds) {
        for (const auto& item : api.list(subject_of(kind), group)) {
            members.push_back(wire::from_json<ResourceView>(item));
        }
    }
    return members;
}

}  // namespace

int describe_resources(const DescribeFlags& flags) {
    const auto named = parse_named(flags.kind, flags.names);
    if (named.names.empty()) {
        throw UsageError(
            fmt::format("expected the name of the {} to describe", noun(named.subject)));
    }
    Api api(resolve_target(credentials_file(), flags.connection));
    const auto palette = palette_for(stdout);
    std::string text;
    for (const auto& name : named.names) {
        const auto item = api.get(path_of(named.subject, name));
        if (!text.empty()) text += "\n";
        if (named.subject == Subject::group) {
            const auto group = wire::from_json<protocol::GroupView>(item);
            text += group_description(group, members_of(api, group.name), palette, now());
        } else {
            text += description(named.subject, item, palette, now());
        }
    }
    print(stdout, text);
    return kDone;
}

}  // namespace trailer::client
