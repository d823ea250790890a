// `trailer get`: once, or watching.
#include <boost/json.hpp>
#include <map>

#include "client/api.h"
#include "client/arguments.h"
#include "client/columns.h"
#include "client/commands.h"
#include "client/event_feed.h"
#include "client/failure.h"
#include "client/table.h"
#include "wire/json.h"
#include "wire/yaml.h"

namespace trailer::client {
namespace {

namespace json = boost::json;

std::string text_member(const json::value& item, std::string_view name) {
    const auto* object = item.if_object();
    const auto* value = object != nullptr ? object->if_contains(name) : nullptr;
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

Width width_for(Format format) {
    return format == Format::wide ? Width::wide : Width::normal;
}

std::vector<json::value> fetch(Api& api, const Named& wanted, const std::string& group) {
    if (wanted.names.empty()) return api.list(wanted.subject, group);
    std::vector<json::value> items;
    for (const auto& name : wanted.names) items.push_back(api.get(path_of(wanted.subject, name)));
    return items;
}

void show(const std::vector<json::value>& items, const Named& wanted, const GetFlags& flags) {
    // One that was asked for by its name is itself; several are a list.
    const bool single = wanted.names.size() == 1;
    switch (flags.format) {
        case Format::json:
        case Format::yaml: {
            const json::value whole =
                single ? items.front() : json::array(items.begin(), items.end());
            print(stdout,
                  flags.format == Format::yaml ? wire::to_yaml(whole) : wire::pretty(whole) + "\n");
            return;
        }
        case Format::name:
            for (const auto& item : items) print(stdout, text_member(item, "name") + "\n");
            return;
        case Format::table:
        case Format::wide:
            break;
    }
    const auto width = width_for(flags.format);
    Table table(column_titles(wanted.subject, width));
    std::vector<Row> rows;
    for (const auto& item : items) rows.push_back(columns(wanted.subject, item, width, now()));
    print(stdout, table.render(rows, palette_for(stdout)));
    if (items.empty() && is_terminal(stderr)) {
        print(stderr, fmt::format("There are no {} yet.\n", plural(wanted.subject)));
    }
}

// One `get -w`: prints what is there, then each one that changes, until it is interrupted.
class Watch {
  public:
    Watch(Api& api, Named wanted, const GetFlags& flags)
        : api_(api),
          wanted_(std::move(wanted)),
          group_(flags.group),
          format_(flags.format),
          width_(width_for(flags.format)),
          palette_(palette_for(stdout)),
          table_(column_titles(wanted_.subject, width_)),
          feed_(api, [](const std::string& why) {
              print(stderr, fmt::format("trailer: get: connection lost, trying again: {}\n",
                                        one_line(why)));
          }) {}

    Task<int> run() {
        for (;;) {
            auto event = co_await feed_.next();
            // A group is what its members are: no event is its own.
            if (!event || (wanted_.subject == Subject::group && event->kind != "Host")) {
                auto items = co_await api_.list_all(wanted_.subject, group_);
                take_all(std::move(items));
            } else if (event->kind == title(wanted_.subject)) {
                if (event->type == protocol::EventType::deleted) {
                    forget(event->id);
                } else {
                    take(std::move(event->resource));
                }
            }
        }
        co_return kDone;
    }

  private:
    bool wants(const json::value& item) const {
        if (!group_.empty() && text_member(item, "group") != group_) return false;
        return wanted_.names.empty() ||
               std::ranges::any_of(wanted_.names, [&](const std::string& name) {
                   return name == text_member(item, "name") || name == text_member(item, "id");
               });
    }

    void take_all(std::vector<json::value> items) {
        std::erase_if(items, [&](const json::value& item) { return !wants(item); });
        if (in_table() && !std::exchange(begun_, true)) {
            std::vector<Row> rows;
            for (const auto& each : items) {
                rows.push_back(columns(wanted_.subject, each, width_, now()));
            }
            table_.fit(rows);
            print(stdout, table_.header(palette_));
        }
        auto missing = shown_;
        for (auto& item : items) {
            missing.erase(key_of(item));
            take(std::move(item));
        }
        for (const auto& [id, item] : missing) forget(id);
    }

    void take(json::value item) {
        if (!wants(item)) return;
        auto& known = shown_[key_of(item)];
        if (known == item) return;
        const bool news = known.is_null() || !in_table() ||
                          lasting_columns(wanted_.subject, known, width_) !=
                              lasting_columns(wanted_.subject, item, width_);
        known = std::move(item);
        if (news) show_one(known);
    }

    void forget(const std::string& id) {
        const auto found = shown_.find(id);
        if (found == shown_.end()) return;
        auto item = std::move(found->second);
        shown_.erase(found);
        item.as_object()["status"] = "deleted";
        show_one(item);
    }

    static std::string key_of(const json::value& item) {
        auto id = text_member(item, "id");
        return id.empty() ? text_member(item, "name") : id;
    }

    void show_one(const json::value& item) {
        switch (format_) {
            case Format::json:
                return print(stdout, json::serialize(item) + "\n");
            case Format::yaml:
                return print(stdout, "---\n" + wire::to_yaml(item));
            case Format::name:
                return print(stdout, text_member(item, "name") + "\n");
            case Format::table:
            case Format::wide:
                return print(stdout, table_.row(row_of(item), palette_));
        }
    }

    Row row_of(const json::value& item) const {
        if (kind_of(wanted_.subject) || text_member(item, "status") != "deleted") {
            return columns(wanted_.subject, item, width_, now());
        }
        // No state of a host is called so, and a group has none of its own: the row is made from
        // the last one, and marked where its state stands.
        auto last = item;
        last.as_object()["status"] = "offline";
        auto row = columns(wanted_.subject, last, width_, now());
        row.at(wanted_.subject == Subject::host ? 1 : 2) = {"deleted", Style::dim};
        return row;
    }

    bool in_table() const { return format_ == Format::table || format_ == Format::wide; }

    Api& api_;
    Named wanted_;
    std::string group_;
    Format format_;
    Width width_;
    Palette palette_;
    Table table_;
    EventFeed feed_;
    std::map<std::string, json::value> shown_;  // by id
    bool begun_ = false;
};

}  // namespace

int get(const GetFlags& flags) {
    auto wanted = parse_named(flags.kind, flags.names);
    if (!flags.group.empty() && (!kind_of(wanted.subject) || !wanted.names.empty())) {
        throw UsageError("--group goes with workspaces, networks, volumes or images, all of them");
    }
    Api api(resolve_target(credentials_file(), flags.connection));
    if (!flags.watch) {
        show(fetch(api, wanted, flags.group), wanted, flags);
        return kDone;
    }
    // A name that is not there is told at once; nobody wants to watch a slip of the pen.
    if (!wanted.names.empty()) fetch(api, wanted, flags.group);
    Watch watch(api, std::move(wanted), flags);
    return api.run(watch.run());
}

}  // namespace trailer::client
