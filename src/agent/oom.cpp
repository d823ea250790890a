#include "agent/oom.h"

#include <malloc.h>
#include <sys/resource.h>

#include <fstream>
#include <system_error>

#include "base/log.h"

namespace trailer::agent {
namespace {

constexpr int kScore = -900;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define TRAILER_SANITIZED 1
#endif
#endif

}  // namespace

void lower_oom_score(const std::filesystem::path& proc) {
    const auto file = proc / "self/oom_score_adj";
    int current = 0;
    if (std::ifstream(file) >> current && current <= kScore) return;
    errno = 0;
    std::ofstream out(file);
    out << kScore << std::flush;
    if (out) return;
    log::info(
        "the agent's OOM score stays at {} ({}): when memory runs out the kernel may kill it "
        "before "
        "a workspace; run it as root, or in a container with --cap-add SYS_RESOURCE",
        current, std::system_category().message(errno));
}

void bound_memory([[maybe_unused]] std::uint64_t bytes) {
#ifndef TRAILER_SANITIZED
    rlimit limit{};
    if (::getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur > bytes) {
        limit.rlim_cur = bytes;
        if (::setrlimit(RLIMIT_DATA, &limit) == 0) return;
    } else {
        return;
    }
    log::warning("the agent's memory could not be bounded: {}",
                 std::system_category().message(errno));
#endif
}

void keep_malloc_small() {
    ::mallopt(M_ARENA_MAX, 1);
    ::mallopt(M_TRIM_THRESHOLD, 4 << 20);
    ::mallopt(M_MMAP_THRESHOLD, 128 << 10);
}

void give_memory_back() {
    ::malloc_trim(0);
}

}  // namespace trailer::agent
