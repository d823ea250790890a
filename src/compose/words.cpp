#include "compose/words.h"

namespace trailer::compose {

std::optional<std::vector<std::string>> split_words(std::string_view line) {
    std::vector<std::string> words;
    std::string word;
    bool begun = false;  // an empty word in quotes is one too
    char quote = '\0';
    const auto finish = [&] {
        if (begun) words.push_back(std::move(word));
        word.clear();
        begun = false;
    };
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quote != '\0' && c == quote) {
            quote = '\0';
        } else if (c == '\\' && quote != '\'') {
            if (++i == line.size()) return std::nullopt;
            // In double quotes a backslash is one, but before these.
            const bool kept = quote == '"' &&
                              std::string_view("\"\\$`\n").find(line[i]) == std::string_view::npos;
            if (kept) word += c;
            if (line[i] == '\n') continue;  // the line goes on
            word += line[i];
            begun = true;
        } else if (quote != '\0') {
            word += c;
        } else if (c == '\'' || c == '"') {
            quote = c;
            begun = true;
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            finish();
        } else {
            word += c;
            begun = true;
        }
    }
    if (quote != '\0') return std::nullopt;
    finish();
    return words;
}

}  // namespace trailer::compose
