// `trailer user`, `grant`, `revoke`, `grants` and `audit`: who may what, and who did what.
#include "protocol/access.h"

#include <boost/json.hpp>

#include "base/text.h"
#include "client/api.h"
#include "client/columns.h"
#include "client/commands.h"
#include "client/failure.h"
#include "client/password.h"
#include "client/session/since.h"
#include "client/table.h"
#include "wire/json.h"
#include "wire/yaml.h"

namespace trailer::client {
namespace {

namespace json = boost::json;
using protocol::AuditEntry;
using protocol::GrantView;
using protocol::UserView;

template <typename View>
std::vector<View> items_in(const json::value& page) {
    std::vector<View> views;
    for (const auto& item : page.as_object().at("items").as_array()) {
        views.push_back(wire::from_json<View>(item));
    }
    return views;
}

// A list as the server gives it, or as a table.
template <typename View>
void show(const json::value& page, Format format, std::vector<std::string> titles,
          Row (*row_of)(const View&)) {
    if (format == Format::json || format == Format::yaml) {
        const auto& items = page.as_object().at("items");
        print(stdout, format == Format::yaml ? wire::to_yaml(items) : wire::pretty(items) + "\n");
        return;
    }
    Table table(std::move(titles));
    std::vector<Row> rows;
    for (const auto& each : items_in<View>(page)) rows.push_back(row_of(each));
    print(stdout, table.render(rows, palette_for(stdout)));
}

std::string user_path(const std::string& name) {
    return "/api/users/" + net::percent_encode(name);
}

// "workspace/dev", "host/gpu-box-1": the kind and the name.
struct Subjected {
    Subject subject = Subject::workspace;
    std::string path;
    std::string text;  // "workspace/dev"
};

Subjected parse_subjected(const std::string& text) {
    const auto slash = text.find('/');
    const auto subject = parse_subject(text.substr(0, slash));
    if (slash == text.npos || slash + 1 == text.size() || !subject || *subject == Subject::group) {
        throw UsageError(
            fmt::format("expected KIND/NAME such as workspace/dev or host/one, got \"{}\"", text));
    }
    const auto name = text.substr(slash + 1);
    return {.subject = *subject,
            .path = path_of(*subject, name),
            .text = fmt::format("{}/{}", noun(*subject), name)};
}

template <typename E>
E parse_word(std::string_view word, std::string_view expected) {
    const auto value = wire::from_text<E>(word);
    if (!value) throw UsageError(fmt::format("expected {}, got \"{}\"", expected, word));
    return *value;
}

Row user_row(const UserView& user) {
    return {{user.username, Style::strong},
            {wire::to_text(user.role)},
            {user.created == Timestamp{} ? "" : short_age(user.created, now())}};
}

std::string granted_text(const GrantView& grant) {
    if (grant.role) return wire::to_text(*grant.role);
    std::string text;
    for (const auto each : grant.permissions.value_or(std::vector<protocol::HostPermission>())) {
        text += (text.empty() ? "" : ",") + wire::to_text(each);
    }
    return text;
}

Row grant_row(const GrantView& grant) {
    return {{grant.user, Style::strong},
            {fmt::format("{}/{}", lower(grant.kind), grant.name)},
            {granted_text(grant)}};
}

// "exec sh", "port 22", "logs".
std::string what_text(const AuditEntry& entry) {
    auto text = wire::to_text(entry.kind);
    if (!entry.program.empty()) text += " " + entry.program;
    if (entry.port) text += fmt::format(" {}", *entry.port);
    return text;
}

std::string how_it_ended(const AuditEntry& entry) {
    if (!entry.failure.empty()) return "refused: " + entry.failure;
    if (!entry.ended) return "under way";
    return entry.exit_code ? fmt::format("exit {}", *entry.exit_code) : "ended";
}

Row audit_row(const AuditEntry& entry) {
    const auto end = entry.ended.value_or(now());
    return {{format_rfc3339(entry.began)},
            {entry.user, Style::strong},
            {entry.workspace.empty() ? "host/" + entry.host : entry.workspace},
            {what_text(entry)},
            {entry.address},
            {short_age(entry.began, end)},
            {short_bytes(entry.bytes_in)},
            {short_bytes(entry.bytes_out)},
            {how_it_ended(entry), entry.failure.empty() ? Style::plain : Style::bad}};
}

void add_user(Api& api, const UserFlags& flags) {
    protocol::UserRequest request;
    request.username = flags.name;
    request.password = read_password(flags.password_file,
                                     fmt::format("Password of the new user {}: ", flags.name));
    if (!flags.role.empty()) request.role = parse_word<protocol::Role>(flags.role, "admin or user");
    api.post("/api/users", wire::to_json(request));
    print(stdout, fmt::format("user/{} created\n", flags.name));
}

void change_user(Api& api, const UserFlags& flags) {
    protocol::UserPatch patch;
    if (!flags.role.empty()) patch.role = parse_word<protocol::Role>(flags.role, "admin or user");
    if (!flags.password_file.empty()) patch.password = read_password(flags.password_file, "");
    if (!patch.role && !patch.password) {
        throw UsageError("say what to set: --role, --password-file");
    }
    json::object body;
    if (patch.role) body["role"] = wire::to_text(*patch.role);
    if (patch.password) body["password"] = *patch.password;
    api.run(api.call("PATCH", user_path(flags.name), std::move(body)));
    print(stdout, fmt::format("user/{} updated\n", flags.name));
}

}  // namespace

int user(const UserFlags& flags) {
    const bool listing = flags.action == "list";
    if (!listing && flags.name.empty()) throw UsageError("expected the user's NAME");
    Api api(resolve_target(credentials_file(), flags.connection));
    if (listing) {
        show<UserView>(api.get("/api/users"), flags.format, {"NAME", "ROLE", "AGE"}, user_row);
    } else if (flags.action == "add") {
        add_user(api, flags);
    } else if (flags.action == "set") {
        change_user(api, flags);
    } else if (flags.action == "remove") {
        api.remove(user_path(flags.name));
        print(stdout, fmt::format("user/{} removed\n", flags.name));
    } else {
        throw UsageError(
            fmt::format("expected list, add, set or remove, got \"{}\"", flags.action));
    }
    return kDone;
}

int grant(const GrantFlags& flags) {
    const auto subject = parse_subjected(flags.subject);
    json::object body;
    if (subject.subject == Subject::host) {
        json::array permissions;
        for (const auto word : split(flags.role, ',')) {
            permissions.emplace_back(wire::to_text(parse_word<protocol::HostPermission>(
                word,
                "view, create_workspaces, create_images, create_networks, bind_mounts or "
                "volume_mounts, with commas between")));
        }
        body["permissions"] = std::move(permissions);
    } else {
        body["role"] = wire::to_text(
            parse_word<protocol::ResourceRole>(flags.role, "viewer, editor or manager"));
    }
    Api api(resolve_target(credentials_file(), flags.connection));
    api.run(api.call("PUT",
                     fmt::format("{}/grants/{}", subject.path, net::percent_encode(flags.user)),
                     std::move(body)));
    print(stdout, fmt::format("{}: {} is granted {}\n", subject.text, flags.user, flags.role));
    return kDone;
}

int revoke(const GrantFlags& flags) {
    const auto subject = parse_subjected(flags.subject);
    Api api(resolve_target(credentials_file(), flags.connection));
    api.remove(fmt::format("{}/grants/{}", subject.path, net::percent_encode(flags.user)));
    print(stdout, fmt::format("{}: {} is granted nothing any more\n", subject.text, flags.user));
    return kDone;
}

int grants(const GrantsFlags& flags) {
    const auto user = flags.subject.starts_with("user/") ? flags.subject.substr(5) : "";
    const auto path = user.empty() ? parse_subjected(flags.subject).path : user_path(user);
    Api api(resolve_target(credentials_file(), flags.connection));
    show<GrantView>(api.get(path + "/grants"), flags.format, {"USER", "SUBJECT", "GRANTED"},
                    grant_row);
    return kDone;
}

int audit(const AuditFlags& flags) {
    std::string query = fmt::format("?limit={}", flags.limit);
    const auto add = [&](std::string_view name, const std::string& value) {
        if (!value.empty()) query += fmt::format("&{}={}", name, net::percent_encode(value));
    };
    add("user", flags.user);
    add("workspace", flags.workspace);
    add("host", flags.host);
    add("kind", flags.kind);
    add("from", read_moment("--since", flags.since));
    add("to", read_moment("--until", flags.until));
    Api api(resolve_target(credentials_file(), flags.connection));
    show<AuditEntry>(api.get("/api/audit" + query), flags.format,
                     {"BEGAN", "USER", "WORKSPACE", "WHAT", "FROM", "LASTED", "IN", "OUT", "END"},
                     audit_row);
    return kDone;
}

}  // namespace trailer::client
