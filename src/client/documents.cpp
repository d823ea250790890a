#include "client/documents.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <istream>
#include <iterator>
#include <map>

#include "base/file.h"
#include "compose/project.h"
#include "wire/json.h"

namespace trailer::client {
namespace {

namespace json = boost::json;

// parse_yaml tells the place in its text: "line 3, column 1: …".
std::string malformed(const std::string& file, const InvalidInput& error) {
    const auto& detail = error.errors().front().detail;
    int line = 1;
    int column = 1;
    int used = 0;
    if (std::sscanf(detail.c_str(), "line %d, column %d: %n", &line, &column, &used) < 2) used = 0;
    return fmt::format("{}:{}:{}: {}", file, line, column,
                       detail.substr(static_cast<std::size_t>(used)));
}

class Collector {
  public:
    Collector(std::vector<SourceDocument>& documents, std::vector<std::string>& faults)
        : documents_(documents), faults_(faults) {}

    void add(SourceDocument document, const json::value& value) {
        const auto* object = value.if_object();
        if (object == nullptr) {
            return fault(document, "", "expected a document with the members kind, name and spec");
        }
        document.value = *object;
        const auto kind = text_member(document, "kind");
        if (kind && !read_kind(document, *kind)) return;
        const auto name = text_member(document, "name");
        if (!kind || !name) return;
        document.name = *name;
        documents_.push_back(std::move(document));
    }

  private:
    void fault(const SourceDocument& document, std::string_view pointer, std::string_view detail) {
        faults_.push_back(fmt::format("{}: {}{}{}", document.place_of(pointer), pointer,
                                      pointer.empty() ? "" : ": ", detail));
    }

    std::optional<std::string> text_member(const SourceDocument& document, std::string_view key) {
        const auto pointer = "/" + std::string(key);
        const auto* value = document.value.if_contains(key);
        if (value == nullptr || value->is_null()) {
            fault(document, pointer, "is required");
        } else if (!value->is_string()) {
            fault(document, pointer, "expected text; write it in quotes");
        } else if (value->get_string().empty()) {
            fault(document, pointer, "must not be empty");
        } else {
            return std::string(value->get_string());
        }
        return std::nullopt;
    }

    bool read_kind(SourceDocument& document, const std::string& text) {
        const auto kind = protocol::kind_from_title(text);
        if (kind) {
            document.kind = *kind;
            return true;
        }
        const auto meant = protocol::kind_from_plural(text);
        fault(document, "/kind",
              meant ? fmt::format("expected one of: Workspace, Network, Volume, Image; did you "
                                  "mean {}?",
                                  protocol::title(*meant))
                    : "expected one of: Workspace, Network, Volume, Image");
        return false;
    }

    std::vector<SourceDocument>& documents_;
    std::vector<std::string>& faults_;
};

std::string read_source(const std::string& file, std::istream& input) {
    if (file == "-") return {std::istreambuf_iterator<char>(input), {}};
    struct stat status{};
    if (::stat(file.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
        throw Error(ErrorKind::invalid, "{} is a directory; name its files, each with -f", file);
    }
    return read_file(file);
}

void refuse_doubles(const std::vector<SourceDocument>& documents,
                    std::vector<std::string>& faults) {
    std::map<std::pair<protocol::Kind, std::string>, const SourceDocument*> seen;
    for (const auto& document : documents) {
        const auto [at, added] = seen.try_emplace({document.kind, document.name}, &document);
        if (added) continue;
        faults.push_back(fmt::format("{}: /name: {} {} stands here a second time, first at {}",
                                     document.place_of("/name"), protocol::noun(document.kind),
                                     document.name, at->second->place_of("/name")));
    }
}

std::string join(const std::vector<std::string>& lines) {
    std::string text;
    for (const auto& line : lines) text += (text.empty() ? "" : "; ") + line;
    return text;
}

std::vector<wire::YamlDocument> parse_or_tell(const std::string& file, std::string_view text,
                                              std::vector<std::string>& faults) {
    try {
        return wire::parse_yaml(text);
    } catch (const InvalidInput& e) {
        faults.push_back(malformed(file, e));
        return {};
    }
}

// One document, or each of a JSON array.
void collect(const std::string& file, wire::YamlDocument parsed, Collector& collector) {
    const auto source = std::make_shared<const wire::YamlDocument>(std::move(parsed));
    const auto* array = source->value.if_array();
    if (array == nullptr) return collector.add({.file = file, .source = source}, source->value);
    for (std::size_t i = 0; i < array->size(); ++i) {
        collector.add({.file = file, .source = source, .base = fmt::format("/{}", i)}, (*array)[i]);
    }
}

// What the command line says holds for the documents that don't say it themselves.
void fill_in(SourceDocument& document, const FileFlags& flags) {
    const auto set = [&](const char* name, const std::string& value) {
        if (!value.empty() && !document.value.contains(name)) document.value[name] = value;
    };
    set("host", flags.host);
    set("group", flags.group);
}

// --- Compose files

struct ComposeFiles {
    std::vector<compose::Node> trees;
    std::string first;  // its path; empty: standard input
};

// The documents of a file as Compose files are read: empty where none can be one, nothing where
// that can't be read.
std::optional<std::vector<compose::Node>> compose_trees(
    const std::string& file, std::string_view text, const std::vector<wire::YamlDocument>& parsed,
    std::vector<std::string>& faults) {
    const bool any = std::ranges::any_of(parsed, [](const wire::YamlDocument& each) {
        const auto* object = each.value.if_object();
        return object != nullptr && !object->contains("kind");
    });
    if (!any) return std::vector<compose::Node>();
    try {
        return compose::parse_tree(file, text);
    } catch (const InvalidInput& e) {
        faults.push_back(malformed(file, e));
        return std::nullopt;
    }
}

compose::Variables environment() {
    compose::Variables variables;
    for (char** each = ::environ; each != nullptr && *each != nullptr; ++each) {
        const std::string_view entry = *each;
        const auto equals = entry.find('=');
        if (equals != entry.npos)
            variables[std::string(entry.substr(0, equals))] = entry.substr(equals + 1);
    }
    return variables;
}

void read_compose(ComposeFiles files, const FileFlags& flags, Loaded& loaded,
                  std::vector<std::string>& faults) {
    const compose::Options options{.group = flags.group,
                                   .host = flags.host,
                                   .profiles = flags.profiles,
                                   .env_file = flags.env_file,
                                   .environment = environment(),
                                   .working_directory = std::filesystem::current_path().string()};
    auto project = compose::read_project(std::move(files.trees), files.first, options);
    auto& [wrong, unsupported, warnings] = project.findings;
    std::ranges::move(wrong, std::back_inserter(faults));
    std::ranges::move(unsupported,
                      std::back_inserter(flags.ignore_unsupported ? loaded.warnings : faults));
    if (!flags.ignore_unsupported && !unsupported.empty()) {
        faults.emplace_back("--ignore-unsupported goes on without what is not supported");
    }
    std::ranges::move(warnings, std::back_inserter(loaded.warnings));
    for (auto& document : project.documents) {
        loaded.documents.push_back({.places = std::move(document.places),
                                    .value = std::move(document.value),
                                    .kind = document.kind,
                                    .name = std::move(document.name)});
    }
}

// Of `pointer`, or of the nearest parent that is known.
std::string nearest_place(const compose::Places& places, std::string_view pointer) {
    for (;;) {
        const auto found = places.find(std::string(pointer));
        if (found != places.end()) return found->second.text();
        const auto slash = pointer.rfind('/');
        if (slash == pointer.npos) return "<compose>:1:1";
        pointer = pointer.substr(0, slash);
    }
}

}  // namespace

std::string SourceDocument::place_of(std::string_view pointer) const {
    if (source == nullptr) return nearest_place(places, pointer);
    auto position = source->position_of(base + std::string(pointer));
    return fmt::format("{}:{}:{}", file, std::max(position.line, 1), std::max(position.column, 1));
}

BadDocuments::BadDocuments(std::vector<std::string> lines)
    : Error(ErrorKind::invalid, join(lines)), lines_(std::move(lines)) {}

std::vector<SourceDocument> parse_documents(const std::string& file, std::string_view text,
                                            std::vector<std::string>& faults) {
    std::vector<SourceDocument> documents;
    Collector collector(documents, faults);
    for (auto& each : parse_or_tell(file, text, faults)) collect(file, std::move(each), collector);
    return documents;
}

Loaded load_documents(const FileFlags& flags, std::istream& input) {
    Loaded loaded;
    std::vector<std::string> faults;
    Collector collector(loaded.documents, faults);
    ComposeFiles compose_files;
    for (const auto& file : flags.files) {
        const auto text = read_source(file, input);
        const auto shown = file == "-" ? "<stdin>" : file;
        auto parsed = parse_or_tell(shown, text, faults);
        auto trees = compose_trees(shown, text, parsed, faults);
        for (std::size_t i = 0; trees && i < parsed.size(); ++i) {
            if (trees->empty() || !compose::is_compose((*trees)[i])) {
                collect(shown, std::move(parsed[i]), collector);
                continue;
            }
            if (compose_files.trees.empty()) compose_files.first = file == "-" ? "" : file;
            compose_files.trees.push_back(std::move((*trees)[i]));
        }
    }
    for (auto& document : loaded.documents) fill_in(document, flags);
    if (!compose_files.trees.empty()) read_compose(std::move(compose_files), flags, loaded, faults);
    refuse_doubles(loaded.documents, faults);
    if (!faults.empty()) throw BadDocuments(std::move(faults));
    if (loaded.documents.empty()) {
        throw Error(ErrorKind::invalid, "there is no document in {}", join(flags.files));
    }
    return loaded;
}

json::array request_body(const std::vector<SourceDocument>& documents) {
    json::array body;
    for (const auto& document : documents) body.push_back(document.value);
    return body;
}

std::vector<std::string> placed(const std::vector<FieldError>& errors,
                                const std::vector<SourceDocument>& documents) {
    std::vector<std::string> lines;
    for (const auto& error : errors) {
        std::string_view pointer = error.pointer;
        std::size_t index = 0;
        const auto* last = pointer.data() + pointer.size();
        const auto* first = pointer.starts_with('/') ? pointer.data() + 1 : last;
        const auto [end, failure] = std::from_chars(first, last, index);
        const bool whole = failure == std::errc{} && (end == last || *end == '/');
        if (!whole || index >= documents.size()) {
            lines.push_back(pointer.empty() ? error.detail
                                            : fmt::format("{}: {}", pointer, error.detail));
            continue;
        }
        pointer.remove_prefix(static_cast<std::size_t>(end - pointer.data()));
        lines.push_back(fmt::format("{}: {}{}{}", documents[index].place_of(pointer), pointer,
                                    pointer.empty() ? "" : ": ", error.detail));
    }
    return lines;
}

}  // namespace trailer::client
