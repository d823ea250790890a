#include "wire/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "base/error.h"
#include "wire/json.h"

namespace trailer::wire {
namespace {

// Aliases let a small text stand for a huge tree: no honest document comes near this.
constexpr std::size_t kMostNodes = 200'000;
constexpr int kDeepest = 64;

Position position(const YAML::Mark& mark) {
    return {mark.line + 1, mark.column + 1};
}

[[noreturn]] void fail(const YAML::Mark& mark, std::string_view what) {
    throw InvalidInput("", mark.is_null() ? std::string(what)
                                          : fmt::format("line {}, column {}: {}", mark.line + 1,
                                                        mark.column + 1, what));
}

// YAML 1.2 core schema, section 10.3.2.
json::value plain_scalar(const std::string& text) {
    if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
        return nullptr;
    }
    if (text == "true" || text == "True" || text == "TRUE") return true;
    if (text == "false" || text == "False" || text == "FALSE") return false;
    const char* first = text.data();
    const char* last = first + text.size();
    if (*first == '+') ++first;
    std::int64_t integer = 0;
    if (auto [end, error] = std::from_chars(first, last, integer);
        error == std::errc{} && end == last) {
        return integer;
    }
    std::uint64_t large = 0;
    if (auto [end, error] = std::from_chars(first, last, large);
        error == std::errc{} && end == last) {
        return large;
    }
    if (text.starts_with("0x") || text.starts_with("0o")) {
        if (auto [end, error] = std::from_chars(first + 2, last, large, text[1] == 'x' ? 16 : 8);
            error == std::errc{} && end == last) {
            return large;
        }
    }
    double real = 0;
    if (text.find_first_of("0123456789") != text.npos) {
        if (auto [end, error] = std::from_chars(first, last, real);
            error == std::errc{} && end == last) {
            return real;
        }
    }
    return json::value(json::string(text));
}

class Converter {
  public:
    explicit Converter(YamlDocument& document) : document_(document) {}

    json::value convert(const YAML::Node& node, const std::string& pointer, int depth) {
        if (++count_ > kMostNodes || depth > kDeepest) {
            fail(node.Mark(), "the document is too large or nested too deeply");
        }
        document_.positions.try_emplace(pointer, position(node.Mark()));
        switch (node.Type()) {
            case YAML::NodeType::Undefined:
            case YAML::NodeType::Null:
                return nullptr;
            case YAML::NodeType::Scalar:
                return node.Tag() == "?" ? plain_scalar(node.Scalar())
                                         : json::value(json::string(node.Scalar()));
            case YAML::NodeType::Sequence: {
                json::array array;
                for (std::size_t i = 0; i < node.size(); ++i) {
                    array.push_back(
                        convert(node[i], append_pointer(pointer, std::to_string(i)), depth + 1));
                }
                return array;
            }
            case YAML::NodeType::Map: {
                json::object object;
                for (const auto& entry : node) {
                    const auto& key = entry.first;
                    if (!key.IsScalar()) fail(key.Mark(), "a key must be a plain word");
                    const auto& name = key.Scalar();
                    if (object.contains(name)) {
                        fail(key.Mark(), fmt::format("the key \"{}\" stands here twice", name));
                    }
                    const auto at = append_pointer(pointer, name);
                    document_.positions.try_emplace(at, position(key.Mark()));
                    object.emplace(name, convert(entry.second, at, depth + 1));
                }
                return object;
            }
        }
        return nullptr;
    }

  private:
    YamlDocument& document_;
    std::size_t count_ = 0;
};

// Bytes of the sequence that `text` begins with; 0 where it is no UTF-8 (RFC 3629).
std::size_t utf8_sequence(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto first = byte(0);
    if (first < 0x80) return 1;
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
    }
    const auto second = byte(1);
    const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool surrogate = first == 0xed && second > 0x9f;
    const bool beyond = first == 0xf4 && second > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

bool is_control(char letter) {
    const auto byte = static_cast<unsigned char>(letter);
    return (byte < 0x20 && letter != '\t' && letter != '\n' && letter != '\r') || byte == 0x7f;
}

// yaml-cpp would put other characters in the place of such bytes, and takes a NUL for a sign of
// UTF-16 or UTF-32. YAML has no control characters but as escapes.
void refuse_other_encodings(std::string_view text) {
    YAML::Mark mark;
    while (!text.empty()) {
        const auto length = utf8_sequence(text);
        if (length == 0) fail(mark, "this is not UTF-8");
        if (is_control(text.front())) fail(mark, "a control character can't stand here");
        mark.column = text.front() == '\n' ? 0 : mark.column + 1;
        if (text.front() == '\n') ++mark.line;
        text.remove_prefix(length);
    }
}

// Sees documents begin. yaml-cpp (0.7) does not pass over a token that can't begin one, such as a
// comma: it makes one empty document after another of it, without end.
class Beginnings : public YAML::EventHandler {
  public:
    void OnDocumentStart(const YAML::Mark& mark) override {
        if (std::exchange(last_, mark.pos) == mark.pos) fail(mark, "this can't stand here");
    }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}

  private:
    int last_ = -1;
};

void refuse_endless(const std::string& text) {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    Beginnings beginnings;
    while (parser.HandleNextDocument(beginnings)) {
    }
}

// A block (`|`) ends in exactly one newline when it is read (yaml-cpp writes no `|-`, `|+`), takes
// its indent from its first line, and has no escapes.
bool reads_back_as_block(std::string_view text) {
    const auto printable = [](unsigned char each) {
        return each == '\n' || (each >= 0x20 && each != 0x7f);
    };
    return text.size() > 1 && text.ends_with('\n') && !text.ends_with("\n\n") &&
           text.front() != '\n' && text.front() != ' ' && std::ranges::all_of(text, printable);
}

// yaml-cpp writes some of these as they are (a lone carriage return), to be read as another.
bool needs_escapes(std::string_view text) {
    return std::ranges::any_of(text,
                               [](unsigned char each) { return each < 0x20 || each == 0x7f; });
}

void emit(YAML::Emitter& out, const json::value& value) {
    switch (value.kind()) {
        case json::kind::null:
            out << YAML::Null;
            return;
        case json::kind::bool_:
            out << value.get_bool();
            return;
        case json::kind::int64:
            out << value.get_int64();
            return;
        case json::kind::uint64:
            out << value.get_uint64();
            return;
        case json::kind::double_:
            out << value.get_double();
            return;
        case json::kind::string: {
            const std::string text(value.get_string());
            if (reads_back_as_block(text)) {
                out << YAML::Literal << text;
            } else if (needs_escapes(text)) {
                out << YAML::DoubleQuoted << text;
            } else if (!plain_scalar(text).is_string()) {
                out << YAML::DoubleQuoted << text;
            } else {
                out << text;
            }
            return;
        }
        case json::kind::array:
            out << YAML::BeginSeq;
            for (const auto& each : value.get_array()) emit(out, each);
            out << YAML::EndSeq;
            return;
        case json::kind::object:
            out << YAML::BeginMap;
            for (const auto& [key, member] : value.get_object()) {
                out << YAML::Key << std::string(key) << YAML::Value;
                emit(out, member);
            }
            out << YAML::EndMap;
            return;
    }
}

}  // namespace

Position YamlDocument::position_of(std::string_view pointer) const {
    for (;;) {
        if (const auto found = positions.find(std::string(pointer)); found != positions.end()) {
            return found->second;
        }
        const auto slash = pointer.rfind('/');
        if (slash == pointer.npos) return {};
        pointer = pointer.substr(0, slash);
    }
}

std::vector<YamlDocument> parse_yaml(std::string_view text) {
    refuse_other_encodings(text);
    std::vector<YAML::Node> nodes;
    try {
        const std::string copy(text);
        refuse_endless(copy);
        nodes = YAML::LoadAll(copy);
    } catch (const YAML::Exception& e) {
        fail(e.mark, e.msg);
    }
    std::vector<YamlDocument> documents;
    for (const auto& node : nodes) {
        if (node.IsNull() || !node.IsDefined()) continue;
        auto& document = documents.emplace_back();
        document.value = Converter(document).convert(node, "", 0);
    }
    return documents;
}

std::string to_yaml(const json::value& value) {
    YAML::Emitter out;
    emit(out, value);
    return std::string(out.c_str()) + "\n";
}

}  // namespace trailer::wire
