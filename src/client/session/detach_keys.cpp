#include "client/session/detach_keys.h"

#include <cctype>

#include "client/failure.h"

namespace trailer::client {
namespace {

constexpr std::string_view kControl = "ctrl-";

char read_key(std::string_view word) {
    if (word.size() == 1) return word.front();
    if (word.size() == kControl.size() + 1 && word.starts_with(kControl)) {
        const auto key = std::toupper(static_cast<unsigned char>(word.back()));
        if (key >= '@' && key <= '_') return static_cast<char>(key - '@');
    }
    throw UsageError(fmt::format("--detach-keys: expected keys such as ctrl-p,ctrl-q, got \"{}\"",
                                 std::string(word)));
}

}  // namespace

DetachKeys::DetachKeys(std::string_view text) {
    while (!text.empty()) {
        const auto comma = text.find(',', 1);  // a comma may be a key
        keys_ += read_key(text.substr(0, comma));
        if (comma == text.npos) break;
        text.remove_prefix(comma + 1);
    }
}

DetachKeys::Typed DetachKeys::feed(std::string_view data) {
    Typed typed;
    for (const char c : data) {
        if (!keys_.empty() && c == keys_[matched_]) {
            if (++matched_ == keys_.size()) {
                matched_ = 0;
                typed.detach = true;
                return typed;
            }
            continue;
        }
        // What was held back and this key may hold another beginning: "ctrl-p ctrl-p ctrl-q".
        auto held = keys_.substr(0, matched_) + c;
        std::size_t rest = held.size();
        while (rest > 0 && (rest >= keys_.size() || !held.ends_with(keys_.substr(0, rest)))) --rest;
        typed.pass += held.substr(0, held.size() - rest);
        matched_ = rest;
    }
    return typed;
}

}  // namespace trailer::client
