// What a fuzz target finds broken ends it, by which libFuzzer keeps the input.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

inline void must_be(bool holds, std::string_view what) {
    if (holds) return;
    fmt::print(stderr, "broken: {}\n", what);
    std::abort();
}
