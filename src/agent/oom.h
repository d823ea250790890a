// Keeps a greedy workspace from taking the agent along, and a runaway agent from taking the host
// along.
#pragma once

#include <cstdint>
#include <filesystem>

namespace trailer::agent {

// Far from any limit of honest work (tens of MiB with a thousand workspaces), and small beside any
// host.
inline constexpr std::uint64_t kMemoryBound = 512ULL << 20;

// Asks the kernel to kill nearly anything else first when memory runs out (proc(5), oom_score_adj
// -900; not -1000: an agent that leaks must still be a possible victim). Lowering needs
// CAP_SYS_RESOURCE: without it a line in the log says so, and nothing else changes. Workspaces
// don't inherit it: they are the engine's children.
void lower_oom_score(const std::filesystem::path& proc = "/proc");

// Bounds this process' own writable memory. Beyond it, allocations fail, and the process ends
// rather than pushing the host out of memory; its supervisor starts it again and it goes on from
// what it observes. RLIMIT_DATA and not RLIMIT_AS: the latter counts address space that is reserved
// and never touched (thread stacks, allocator arenas, mapped files). No-op under a sanitizer, whose
// shadow memory counts too.
void bound_memory(std::uint64_t bytes = kMemoryBound);

// One malloc arena (the loop is one thread; others allocate little), of which little stays when it
// is free: an agent that was busy once shall not stay big. A session's window stays for a while, as
// asking the kernel for it again and again costs as much as filling it.
void keep_malloc_small();
// All that is free; now and then.
void give_memory_back();

}  // namespace trailer::agent
