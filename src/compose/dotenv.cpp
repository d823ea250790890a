#include "compose/dotenv.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace trailer::compose {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
    return trailer::trimmed(text, kBlanks);
}

bool is_name(std::string_view name) {
    return !name.empty() && name.find_first_of(" \t\"'$#") == name.npos;
}

class EnvReader {
  public:
    EnvReader(std::string_view text, const Variables& surroundings)
        : rest_(text), surroundings_(surroundings), known_(surroundings) {
        if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
    }

    EnvFile run() {
        while (!rest_.empty()) read_line();
        return std::move(made_);
    }

  private:
    std::string_view take_line() {
        ++line_;
        const auto end = rest_.find('\n');
        const auto line = rest_.substr(0, end);
        rest_.remove_prefix(end == rest_.npos ? rest_.size() : end + 1);
        return line;
    }

    void read_line() {
        const auto whole = take_line();
        auto line = trimmed(whole);
        if (line.empty() || line.starts_with('#')) return;
        if (line.starts_with("export ")) line = trimmed(line.substr(7));
        const auto equals = line.find('=');
        const auto name = trimmed(line.substr(0, equals));
        if (!is_name(name)) return fail("expected NAME=VALUE");
        if (equals == line.npos) return add(name, std::nullopt);
        const auto value = trimmed(line.substr(equals + 1));
        try {
            if (value.starts_with('\'') || value.starts_with('"')) {
                return read_quoted(name, value);
            }
            const auto comment =
                value.starts_with('#') ? 0 : std::min(value.find(" #"), value.find("\t#"));
            add(name, expand(trimmed(value.substr(0, comment))));
        } catch (const Error& e) {
            fail(e.what());
        }
    }

    void read_quoted(std::string_view name, std::string_view value) {
        const char quote = value.front();
        std::string inner;
        auto part = value.substr(1);
        const int begin = line_;
        for (;;) {
            const auto end = closing(part, quote);
            inner += part.substr(0, end);
            if (end != part.npos) {
                const auto behind = trimmed(part.substr(end + 1));
                if (!behind.empty() && !behind.starts_with('#')) {
                    return fail("has something behind the closing quote");
                }
                break;
            }
            if (rest_.empty()) {
                made_.faults.push_back({begin, "has a quote that is not closed"});
                return;
            }
            inner += '\n';
            part = take_line();
            if (part.ends_with('\r')) part.remove_suffix(1);
        }
        add(name, quote == '\'' ? inner : expand(unescaped(inner)));
    }

    static std::size_t closing(std::string_view text, char quote) {
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (quote == '"' && text[i] == '\\') {
                ++i;
            } else if (text[i] == quote) {
                return i;
            }
        }
        return text.npos;
    }

    // `\$` becomes `$$`, which expand() takes for a dollar sign.
    static std::string unescaped(std::string_view text) {
        std::string made;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] != '\\' || i + 1 == text.size()) {
                made += text[i];
                continue;
            }
            switch (const char next = text[++i]) {
                case 'n':
                    made += '\n';
                    break;
                case 'r':
                    made += '\r';
                    break;
                case 't':
                    made += '\t';
                    break;
                case '$':
                    made += "$$";
                    break;
                case '"':
                case '\\':
                    made += next;
                    break;
                default:
                    made += '\\';
                    made += next;
            }
        }
        return made;
    }

    std::string expand(std::string_view text) { return interpolate(text, known_, made_.unset); }

    void add(std::string_view name, std::optional<std::string> value) {
        if (value && !surroundings_.contains(std::string(name))) {
            known_[std::string(name)] = *value;
        }
        made_.entries.emplace_back(name, std::move(value));
    }

    void fail(std::string what) { made_.faults.push_back({line_, std::move(what)}); }

    std::string_view rest_;
    const Variables& surroundings_;
    Variables known_;
    EnvFile made_;
    int line_ = 0;
};

}  // namespace

EnvFile parse_env_file(std::string_view text, const Variables& surroundings) {
    return EnvReader(text, surroundings).run();
}

EnvFile parse_raw_env_file(std::string_view text) {
    EnvFile made;
    int number = 0;
    while (!text.empty()) {
        ++number;
        const auto end = text.find('\n');
        auto line = text.substr(0, end);
        text.remove_prefix(end == text.npos ? text.size() : end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (trimmed(line).empty() || trimmed(line).starts_with('#')) continue;
        const auto equals = line.find('=');
        const auto name = trimmed(line.substr(0, equals));
        if (!is_name(name)) {
            made.faults.push_back({number, "expected NAME=VALUE"});
        } else if (equals == line.npos) {
            made.entries.emplace_back(name, std::nullopt);
        } else {
            made.entries.emplace_back(name, std::string(line.substr(equals + 1)));
        }
    }
    return made;
}

}  // namespace trailer::compose
