#include "compose/dockerfile.h"

#include <algorithm>
#include <sstream>

#include "base/text.h"

namespace trailer::compose {
namespace {

std::vector<std::string> blank_separated(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(std::move(word));
    return words;
}

bool takes_from_context(const std::vector<std::string>& words) {
    const auto instruction = upper(words.front());
    if (instruction == "RUN") {
        return std::ranges::any_of(words, [](const std::string& word) {
            return word.starts_with("--mount=") && word.find("type=bind") != word.npos &&
                   word.find("from=") == word.npos;
        });
    }
    if (instruction != "COPY" && instruction != "ADD") return false;
    std::vector<std::string> sources;
    for (const auto& word : words) {
        if (word.starts_with("--from=")) return false;
        if (!word.starts_with("--")) sources.push_back(word);
    }
    // The instruction's own word, and the target.
    if (sources.size() < 3) return true;
    return !std::all_of(sources.begin() + 1, sources.end() - 1, [&](const std::string& source) {
        const bool url = instruction == "ADD" &&
                         (source.starts_with("http://") || source.starts_with("https://"));
        return url || source.starts_with("<<");
    });
}

// "<<EOF", "<<-'EOF'": the line that ends the text in place.
std::string heredoc_end(const std::vector<std::string>& words) {
    for (const auto& word : words) {
        if (!word.starts_with("<<") || word.size() < 3) continue;
        auto end = word.substr(word[2] == '-' ? 3 : 2);
        std::erase_if(end, [](char c) { return c == '\'' || c == '"'; });
        return end;
    }
    return {};
}

char escape_of(std::string_view dockerfile) {
    const auto line = dockerfile.substr(0, dockerfile.find('\n'));
    const bool backtick = line.starts_with('#') && line.find("escape=`") != line.npos;
    return backtick ? '`' : '\\';
}

}  // namespace

std::vector<ContextUse> uses_of_context(std::string_view dockerfile) {
    std::vector<ContextUse> uses;
    std::istringstream stream{std::string(dockerfile)};
    const char escape = escape_of(dockerfile);
    std::string instruction;
    std::string until;  // the end of a text in place
    int number = 0;
    int begin = 0;
    for (std::string raw; std::getline(stream, raw);) {
        ++number;
        std::string line(trimmed(raw, " \t\r"));
        if (!until.empty()) {
            if (line == until) until.clear();
            continue;
        }
        if (line.empty() || line.starts_with('#')) continue;
        if (instruction.empty()) begin = number;
        const bool goes_on = line.ends_with(escape);
        if (goes_on) line.pop_back();
        instruction += " " + line;
        if (goes_on) continue;
        if (const auto words = blank_separated(instruction); !words.empty()) {
            if (takes_from_context(words)) uses.push_back({begin, upper(words.front())});
            until = heredoc_end(words);
        }
        instruction.clear();
    }
    return uses;
}

}  // namespace trailer::compose
