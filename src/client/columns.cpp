#include "client/columns.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "wire/json.h"

namespace trailer::client {
namespace {

namespace json = boost::json;
using protocol::GroupView;
using protocol::Health;
using protocol::HostState;
using protocol::HostView;
using protocol::ResourceView;
using protocol::Severity;
using protocol::State;

struct Column {
    std::string_view title;
    bool wide = false;   // with -o wide only
    bool grows = false;  // changes by itself
    Cell (*cell)(const ResourceView& view, Timestamp now) = nullptr;
};
struct GroupColumn {
    std::string_view title;
    bool wide = false;
    bool grows = false;
    Cell (*cell)(const GroupView& view, Timestamp now) = nullptr;
};
struct HostColumn {
    std::string_view title;
    bool wide = false;
    bool grows = false;
    Cell (*cell)(const HostView& view, Timestamp now) = nullptr;
};

std::string member(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

bool empty_member(const json::object& object, std::string_view name) {
    return member(object, name).empty();
}

Cell name_cell(const ResourceView& view, Timestamp) {
    return {view.name, Style::strong};
}
Cell host_cell(const ResourceView& view, Timestamp) {
    return {view.host};
}
Cell status_cell(const ResourceView& view, Timestamp) {
    return {wire::to_text(view.status), style_of(view.status)};
}
Cell age_cell(const ResourceView& view, Timestamp now) {
    return {short_age(view.created, now)};
}
Cell id_cell(const ResourceView& view, Timestamp) {
    return {view.id, Style::dim};
}
Cell message_cell(const ResourceView& view, Timestamp) {
    return {main_message(view.messages)};
}
Cell driver_cell(const ResourceView& view, Timestamp) {
    return {member(view.spec, "driver")};
}

// Why the last plan ran: each reason once.
Cell last_plan_cell(const ResourceView& view, Timestamp) {
    const auto* plan = view.observed.if_contains("last_plan");
    std::string text;
    if (plan == nullptr || !plan->is_array()) return {text};
    for (const auto& step : plan->get_array()) {
        if (!step.is_object()) continue;
        const auto reason = member(step.get_object(), "reason");
        if (reason.empty() || text.find(reason) != text.npos) continue;
        text += (text.empty() ? "" : "; ") + reason;
    }
    return {text};
}

constexpr Column kName{"NAME", false, false, name_cell};
constexpr Column kHost{"HOST", false, false, host_cell};
constexpr Column kStatus{"STATUS", false, false, status_cell};
constexpr Column kAge{"AGE", false, true, age_cell};
constexpr Column kId{"ID", true, false, id_cell};
constexpr Column kMessage{"MESSAGE", true, false, message_cell};
constexpr Column kGroup{"GROUP", true, false,
                        [](const ResourceView& v, Timestamp) { return Cell{v.group}; }};
constexpr Column kDriver{"DRIVER", false, false, driver_cell};

// The subnets in force, which the host picks where the document names none.
std::string subnets_of(const ResourceView& view) {
    std::string text;
    for (const auto* name : {"subnet", "ipv6_subnet"}) {
        const auto seen = member(view.observed, name);
        const auto& subnet = seen.empty() ? member(view.spec, name) : seen;
        if (!subnet.empty()) text += (text.empty() ? "" : ",") + subnet;
    }
    return text;
}

// Measured now and then; empty until it was, and where the driver does not tell.
std::string size_text(const ResourceView& view) {
    const auto* size = view.observed.if_contains("size");
    if (size == nullptr || !size->is_number()) return {};
    boost::system::error_code error;
    const auto bytes = size->to_number<std::int64_t>(error);
    return error ? std::string() : short_bytes(bytes);
}

std::vector<Column> resource_columns(Subject subject) {
    switch (subject) {
        case Subject::workspace:
            return {
                kName,
                kHost,
                kStatus,
                {"IMAGE", false, false,
                 [](const ResourceView& v, Timestamp) { return Cell{member(v.spec, "image")}; }},
                {"PORTS", false, false,
                 [](const ResourceView& v, Timestamp) { return Cell{ports_text(v)}; }},
                kAge,
                kGroup,
                kId,
                {"LAST PLAN", true, false, last_plan_cell},
                kMessage};
        case Subject::network:
            return {kName,
                    kHost,
                    kStatus,
                    kDriver,
                    {"SUBNET", false, false,
                     [](const ResourceView& v, Timestamp) { return Cell{subnets_of(v)}; }},
                    kAge,
                    kGroup,
                    kId,
                    kMessage};
        case Subject::image:
            return {kName,
                    kHost,
                    kStatus,
                    {"REFERENCE", false, false,
                     [](const ResourceView& v, Timestamp) {
                         return Cell{member(v.spec, "reference")};
                     }},
                    {"SOURCE", false, false,
                     [](const ResourceView& v, Timestamp) {
                         return Cell{empty_member(v.spec, "dockerfile") ? "pull" : "build"};
                     }},
                    kAge,
                    kGroup,
                    kId,
                    kMessage};
        case Subject::volume:
            return {kName,
                    kHost,
                    kStatus,
                    kDriver,
                    {"SIZE", false, false,
                     [](const ResourceView& v, Timestamp) { return Cell{size_text(v)}; }},
                    kAge,
                    kId,
                    kMessage};
        case Subject::host:
        case Subject::group:
            break;
    }
    return {kName, kHost, kStatus, kDriver, kAge, kGroup, kId, kMessage};
}

// Which of the four parts don't work: a host's light is green only where all do.
Cell parts_cell(const HostView& host, Timestamp) {
    const std::array parts{std::pair{"heartbeat", &host.heartbeat},
                           std::pair{"realtime", &host.realtime}, std::pair{"engine", &host.engine},
                           std::pair{"reconcile", &host.reconcile}};
    std::string text;
    auto style = Style::good;
    for (const auto& [name, condition] : parts) {
        if (condition->status == Health::ok) continue;
        text +=
            fmt::format("{}{}:{}", text.empty() ? "" : ",", name, wire::to_text(condition->status));
        style = condition->status == Health::failing ? Style::bad
                : style == Style::bad                ? Style::bad
                                                     : Style::busy;
    }
    return {text.empty() ? "ok" : text, style};
}

std::string engine_text(const HostView& host) {
    const auto& can = host.capabilities;
    if (can.runtime.empty()) return {};
    return can.runtime_version.empty() ? can.runtime : can.runtime + "/" + can.runtime_version;
}

std::vector<HostColumn> host_columns() {
    return {
        {"NAME", false, false,
         [](const HostView& v, Timestamp) { return Cell{v.name, Style::strong}; }},
        {"STATUS", false, false,
         [](const HostView& v, Timestamp) { return Cell{status_text(v), style_of(v)}; }},
        {"SINCE", false, true,
         [](const HostView& v, Timestamp now) { return Cell{short_age(v.since, now)}; }},
        {"VERSION", false, false, [](const HostView& v, Timestamp) { return Cell{v.version}; }},
        {"ENGINE", false, false, [](const HostView& v, Timestamp) { return Cell{engine_text(v)}; }},
        {"CPUS", false, false,
         [](const HostView& v, Timestamp) {
             return Cell{v.capabilities.cpus > 0 ? std::to_string(v.capabilities.cpus) : ""};
         }},
        {"MEMORY", false, false,
         [](const HostView& v, Timestamp) {
             const auto total = v.capabilities.memory_total;
             return Cell{total > 0 ? short_bytes(total) : ""};
         }},
        {"PARTS", false, false, parts_cell},
        {"LEFTOVERS", true, false,
         [](const HostView& v, Timestamp) {
             const auto count = v.upkeep.leftovers_count;
             return Cell{std::to_string(count), count > 0 ? Style::busy : Style::plain};
         }},
        {"ADDRESS", true, false, [](const HostView& v, Timestamp) { return Cell{v.address}; }},
        {"FINGERPRINT", true, false,
         [](const HostView& v, Timestamp) { return Cell{v.fingerprint}; }},
        {"ID", true, false, [](const HostView& v, Timestamp) { return Cell{v.id, Style::dim}; }},
    };
}

// The gravest state gives the colour.
Cell group_states_cell(const GroupView& group, Timestamp) {
    Style style = group.states.empty() ? Style::plain : Style::good;
    for (const auto& [name, count] : group.states) {
        const auto state = wire::from_text<State>(name);
        const auto each = state ? style_of(*state) : Style::plain;
        if (each == Style::bad || style == Style::bad) {
            style = Style::bad;
        } else if (each != Style::good) {
            style = each;
        }
    }
    return {group_states_text(group), style};
}

Cell joined_cell(const std::vector<std::string>& words) {
    return {fmt::format("{}", fmt::join(words, ","))};
}

std::vector<GroupColumn> group_columns() {
    return {
        {"NAME", false, false,
         [](const GroupView& v, Timestamp) { return Cell{v.name, Style::strong}; }},
        {"HOST", false, false, [](const GroupView& v, Timestamp) { return joined_cell(v.hosts); }},
        {"WORKSPACES", false, false, group_states_cell},
        {"NETWORKS", false, false,
         [](const GroupView& v, Timestamp) { return Cell{std::to_string(v.networks)}; }},
        {"VOLUMES", false, false,
         [](const GroupView& v, Timestamp) { return Cell{std::to_string(v.volumes)}; }},
        {"AGE", false, true,
         [](const GroupView& v, Timestamp now) { return Cell{short_age(v.created, now)}; }},
        {"IMAGES", true, false,
         [](const GroupView& v, Timestamp) { return Cell{std::to_string(v.images)}; }},
    };
}

template <typename Columns, typename View>
Row row_of(const Columns& all, const View& view, Width width, Timestamp now, bool lasting_only) {
    Row row;
    for (const auto& column : all) {
        if (column.wide && width == Width::normal) continue;
        if (column.grows && lasting_only) continue;
        row.push_back(column.cell(view, now));
    }
    return row;
}

Row make_row(Subject subject, const json::value& item, Width width, Timestamp now, bool lasting) {
    if (subject == Subject::host) {
        return row_of(host_columns(), wire::from_json<HostView>(item), width, now, lasting);
    }
    if (subject == Subject::group) {
        return row_of(group_columns(), wire::from_json<GroupView>(item), width, now, lasting);
    }
    return row_of(resource_columns(subject), wire::from_json<ResourceView>(item), width, now,
                  lasting);
}

}  // namespace

std::vector<std::string> column_titles(Subject subject, Width width) {
    std::vector<std::string> titles;
    const auto collect = [&](const auto& all) {
        for (const auto& column : all) {
            if (!column.wide || width == Width::wide) titles.emplace_back(column.title);
        }
    };
    if (subject == Subject::host) {
        collect(host_columns());
    } else if (subject == Subject::group) {
        collect(group_columns());
    } else {
        collect(resource_columns(subject));
    }
    return titles;
}

Row columns(Subject subject, const json::value& item, Width width, Timestamp now) {
    return make_row(subject, item, width, now, false);
}

Row lasting_columns(Subject subject, const json::value& item, Width width) {
    return make_row(subject, item, width, Timestamp{}, true);
}

Style style_of(State state) {
    switch (state) {
        case State::running:
        case State::created:
        case State::build_finished:
            return Style::good;
        case State::error:
        case State::unhealthy:
            return Style::bad;
        case State::stopped:
        case State::build_cancelled:
        case State::deleted:
            return Style::dim;
        default:
            return Style::busy;
    }
}

Style style_of(const HostView& host) {
    if (host.identity_conflict) return Style::bad;
    switch (host.status) {
        case HostState::online:
            return host.enabled ? Style::good : Style::dim;
        case HostState::offline:
            return Style::bad;
        case HostState::pending_approval:
            return Style::busy;
    }
    return Style::plain;
}

Style style_of(Health health) {
    switch (health) {
        case Health::ok:
            return Style::good;
        case Health::failing:
            return Style::bad;
        case Health::unknown:
            return Style::busy;
    }
    return Style::plain;
}

Style style_of(Severity severity) {
    switch (severity) {
        case Severity::info:
            return Style::plain;
        case Severity::warning:
            return Style::busy;
        case Severity::error:
            return Style::bad;
    }
    return Style::plain;
}

std::string short_age(Timestamp since, Timestamp now) {
    if (since == Timestamp{}) return {};
    const auto seconds = std::max<std::int64_t>((now - since).count() / 1000, 0);
    if (seconds < 120) return fmt::format("{}s", seconds);
    if (seconds < 120 * 60) return fmt::format("{}m", seconds / 60);
    if (seconds < 48 * 3600) return fmt::format("{}h", seconds / 3600);
    return fmt::format("{}d", seconds / 86'400);
}

std::string short_bytes(std::int64_t bytes) {
    constexpr std::string_view kUnits = "BKMGTP";
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (std::abs(value) >= 1024 && unit + 1 < kUnits.size()) {
        value /= 1024;
        ++unit;
    }
    const bool whole = value >= 100 || std::abs(value - std::round(value)) < 0.05;
    return whole ? fmt::format("{:.0f}{}", value, kUnits[unit])
                 : fmt::format("{:.1f}{}", value, kUnits[unit]);
}

std::string main_message(const std::vector<protocol::Message>& messages) {
    const auto gravest = std::ranges::max_element(messages, {}, [](const protocol::Message& each) {
        return std::pair(each.severity, each.since);
    });
    return gravest == messages.end() ? std::string() : gravest->text;
}

std::string ports_text(const ResourceView& workspace) {
    std::vector<protocol::Port> ports;
    // The engine's answer holds the ports that it picked; the document's stand in before it is
    // there.
    for (const auto* object : {&workspace.observed, &workspace.spec}) {
        const auto* list = object->if_contains("ports");
        if (list == nullptr || !list->is_array() || list->get_array().empty()) continue;
        try {
            ports = wire::from_json<std::vector<protocol::Port>>(*list);
        } catch (const InvalidInput&) {
            continue;  // another version's shape: the document's own ports serve
        }
        break;
    }
    std::string text;
    for (const auto& port : ports) {
        if (!text.empty()) text += ',';
        if (!port.address.empty()) text += port.address + ":";
        if (port.host != 0) text += fmt::format("{}->", port.host);
        text += std::to_string(port.container);
        if (port.protocol != protocol::PortProtocol::tcp)
            text += "/" + wire::to_text(port.protocol);
    }
    return text;
}

std::string group_states_text(const GroupView& group) {
    std::string text;
    for (const auto& [state, count] : group.states) {
        text += fmt::format("{}{} {}", text.empty() ? "" : ",", count, state);
    }
    return text.empty() ? "none" : text;
}

std::string status_text(const HostView& host) {
    auto text = wire::to_text(host.status);
    if (!host.enabled && host.status != HostState::pending_approval) text += ",disabled";
    if (host.identity_conflict) text += ",conflict";
    return text;
}

}  // namespace trailer::client
