#include "client/documents.h"

#include <sys/stat.h>

#include <boost/json.hpp>
#include <charconv>
#include <cstdio>
#include <istream>
#include <iterator>
#include <map>

#include "base/file.h"
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

}  // namespace

std::string SourceDocument::place_of(std::string_view pointer) const {
    auto position = source->position_of(base + std::string(pointer));
    return fmt::format("{}:{}:{}", file, std::max(position.line, 1), std::max(position.column, 1));
}

BadDocuments::BadDocuments(std::vector<std::string> lines)
    : Error(ErrorKind::invalid, join(lines)), lines_(std::move(lines)) {}

std::vector<SourceDocument> parse_documents(const std::string& file, std::string_view text,
                                            std::vector<std::string>& faults) {
    std::vector<wire::YamlDocument> parsed;
    try {
        parsed = wire::parse_yaml(text);
    } catch (const InvalidInput& e) {
        faults.push_back(malformed(file, e));
        return {};
    }
    std::vector<SourceDocument> documents;
    Collector collector(documents, faults);
    for (auto& each : parsed) {
        const auto source = std::make_shared<const wire::YamlDocument>(std::move(each));
        const auto* array = source->value.if_array();
        if (array == nullptr) {
            collector.add({.file = file, .source = source}, source->value);
            continue;
        }
        for (std::size_t i = 0; i < array->size(); ++i) {
            collector.add({.file = file, .source = source, .base = fmt::format("/{}", i)},
                          (*array)[i]);
        }
    }
    return documents;
}

std::vector<SourceDocument> load_documents(const std::vector<std::string>& files,
                                           std::istream& input) {
    std::vector<SourceDocument> documents;
    std::vector<std::string> faults;
    for (const auto& file : files) {
        const auto text = read_source(file, input);
        auto some = parse_documents(file == "-" ? "<stdin>" : file, text, faults);
        std::ranges::move(some, std::back_inserter(documents));
    }
    refuse_doubles(documents, faults);
    if (!faults.empty()) throw BadDocuments(std::move(faults));
    if (documents.empty())
        throw Error(ErrorKind::invalid, "there is no document in {}", join(files));
    return documents;
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
