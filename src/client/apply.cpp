// `trailer apply`.
#include <boost/json.hpp>
#include <iostream>

#include "client/api.h"
#include "client/commands.h"
#include "client/documents.h"
#include "client/failure.h"
#include "client/plan_text.h"
#include "client/terminal.h"
#include "client/wait.h"
#include "protocol/api.h"
#include "wire/json.h"
#include "wire/yaml.h"

namespace trailer::client {
namespace {

namespace json = boost::json;
using protocol::ApplyAnswer;
using protocol::ApplyItem;
using protocol::ApplyResult;

Style style_of(ApplyResult result) {
    switch (result) {
        case ApplyResult::created:
            return Style::good;
        case ApplyResult::updated:
            return Style::busy;
        case ApplyResult::unchanged:
            return Style::dim;
        case ApplyResult::deleted:
            return Style::bad;
    }
    return Style::plain;
}

// "workspace/dev updated (/spec/env/EDITOR, /spec/image)"
std::string line_of(const ApplyItem& item, bool dry_run, const Palette& palette) {
    auto text = fmt::format("{}/{} {}", protocol::noun(item.kind), one_line(item.name),
                            palette.paint(style_of(item.result), wire::to_text(item.result)));
    if (!item.changes.empty() && item.result == ApplyResult::updated) {
        std::string changes;
        for (const auto& change : item.changes) {
            changes += (changes.empty() ? "" : ", ") + one_line(change);
        }
        text += " (" + changes + ")";
    }
    if (dry_run) text += palette.paint(Style::dim, " (dry run)");
    return text + "\n";
}

json::value send(Api& api, const std::vector<SourceDocument>& documents, const ApplyFlags& flags) {
    std::string path = "/api/apply";
    if (flags.dry_run) path += "?dry_run=true";
    if (flags.prune) path += flags.dry_run ? "&prune=true" : "?prune=true";
    try {
        return api.post(path, request_body(documents));
    } catch (const InvalidInput& e) {
        throw BadDocuments(placed(e.errors(), documents));
    }
}

void show(const json::value& answer, const ApplyAnswer& items, const ApplyFlags& flags) {
    switch (flags.format) {
        case Format::json:
            return print(stdout, wire::pretty(answer) + "\n");
        case Format::yaml:
            return print(stdout, wire::to_yaml(answer));
        case Format::name:
            for (const auto& item : items.items) {
                print(stdout, fmt::format("{}/{}\n", protocol::noun(item.kind), item.name));
            }
            return;
        case Format::table:
        case Format::wide:
            break;
    }
    const auto palette = palette_for(stdout);
    std::string text;
    for (const auto& item : items.items) text += line_of(item, flags.dry_run, palette);
    if (items.plans) {
        for (const auto& host : *items.plans) text += plan_text(host, palette);
    }
    print(stdout, text);
}

void tell_warnings(const std::vector<std::string>& warnings) {
    for (const auto& each : warnings) {
        print(stderr, fmt::format("trailer: apply: warning: {}\n", one_line(each)));
    }
}

void tell_left_over(const ApplyAnswer& answer) {
    for (const auto& each : answer.left_over) {
        print(stderr, fmt::format("trailer: apply: {}/{} is in the group, but not in these "
                                  "documents; --prune deletes it\n",
                                  protocol::noun(each.kind), one_line(each.name)));
    }
}

}  // namespace

int apply(const ApplyFlags& flags) {
    const auto loaded = load_documents(flags.files, std::cin);
    tell_warnings(loaded.warnings);
    Api api(resolve_target(credentials_file(), flags.connection));
    const auto answer = send(api, loaded.documents, flags);
    const auto items = wire::from_json<ApplyAnswer>(answer);
    show(answer, items, flags);
    tell_left_over(items);
    if (!flags.wait.wait || flags.dry_run) return kDone;
    std::vector<Goal> goals;
    for (const auto& item : items.items) {
        const auto aim = item.result == ApplyResult::deleted ? Goal::Aim::gone : Goal::Aim::settled;
        goals.push_back({.kind = item.kind, .name = item.name, .id = item.id, .aim = aim});
    }
    return wait_for(api, std::move(goals), flags.wait.timeout()) ? kDone : kFailed;
}

}  // namespace trailer::client
