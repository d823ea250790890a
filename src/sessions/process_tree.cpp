#include "sessions/process_tree.h"

#include <csignal>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "base/error.h"

namespace trailer::sessions {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kPatience = 2s;
constexpr auto kLook = 20ms;

std::string content(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

// proc(5), /proc/PID/stat: "PID (comm) state ppid pgrp session …"; comm may hold anything.
std::optional<Process> read_stat(const fs::path& directory) {
    const auto text = content(directory / "stat");
    const auto end = text.rfind(')');
    if (end == text.npos) return std::nullopt;
    std::istringstream rest(text.substr(end + 1));
    char state = 0;
    std::int64_t group = 0;
    Process process;
    if (!(rest >> state >> process.parent >> group >> process.session)) return std::nullopt;
    return state == 'Z' ? std::nullopt : std::optional(process);
}

bool carries(const fs::path& directory, const std::string& assignment) {
    const auto text = content(directory / "environ");
    std::string_view rest = text;
    while (!rest.empty()) {
        const auto end = std::min(rest.find('\0'), rest.size());
        if (rest.substr(0, end) == assignment) return true;
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return false;
}

void signal_all(const std::vector<std::int64_t>& processes, int signal) {
    for (const auto each : processes) ::kill(static_cast<pid_t>(each), signal);
}

}  // namespace

bool ProcessTree::sees(std::int64_t process) const {
    return content(proc_ / std::to_string(process) / "cgroup").find(container_id_) !=
           std::string::npos;
}

std::map<std::int64_t, Process> ProcessTree::of_container() const {
    std::map<std::int64_t, Process> all;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(proc_, error)) {
        const auto name = entry.path().filename().string();
        if (name.find_first_not_of("0123456789") != name.npos) continue;
        const auto process = read_stat(entry.path());
        if (process && sees(std::stoll(name))) all[std::stoll(name)] = *process;
    }
    return all;
}

std::vector<std::int64_t> ProcessTree::processes(std::int64_t root) const {
    auto all = of_container();
    const auto assignment = fmt::format("{}={}", kMark, session_);
    const auto leader = all.contains(root) ? all[root].session : 0;
    std::set<std::int64_t> found{root};
    for (const auto& [id, process] : all) {
        if (leader != 0 && process.session == leader) found.insert(id);
        if (carries(proc_ / std::to_string(id), assignment)) found.insert(id);
    }
    for (bool grown = true; grown;) {
        grown = false;
        for (const auto& [id, process] : all) {
            if (found.contains(process.parent)) grown |= found.insert(id).second;
        }
    }
    std::erase_if(found, [&](auto id) { return !all.contains(id); });
    return {found.begin(), found.end()};
}

Task<bool> ProcessTree::end(std::int64_t root, bool tty) const {
    if (!sees(root)) co_return false;
    co_await end_all(root, tty ? SIGHUP : SIGTERM);
    co_return true;
}

Task<bool> ProcessTree::end_marked() const {
    constexpr std::int64_t kNone = -1;  // nobody's parent
    if (of_container().empty()) co_return false;
    co_await end_all(kNone, SIGTERM);
    co_return true;
}

Task<> ProcessTree::end_all(std::int64_t root, int signal) const {
    signal_all(processes(root), signal);
    signal_all(processes(root), SIGCONT);  // a stopped one does not see the other
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (!processes(root).empty()) {
        if (std::chrono::steady_clock::now() > until) {
            signal_all(processes(root), SIGKILL);
            break;
        }
        co_await aio::sleep(kLook);
    }
}

Task<> end_from_within(runtime::ContainerRuntime& runtime, std::string container_id,
                       std::string session) {
    // Its own environment does not carry the mark: exec's is given anew.
    static constexpr std::string_view kScript =
        "for s in TERM KILL; do for d in /proc/[0-9]*; do "
        "case \"$(cat $d/environ 2>/dev/null | tr '\\0' '\\n')\" in "
        "*\"$1\"*) kill -$s ${d#/proc/} 2>/dev/null; f=1;; esac; done; "
        "[ -n \"$f\" ] && sleep 1; f=; done";
    runtime::ExecSpec spec;
    spec.container = std::move(container_id);
    spec.command = {"/bin/sh", "-c", std::string(kScript), "sh",
                    fmt::format("{}={}", kMark, session)};
    spec.user = "0";
    const auto stream = co_await runtime.exec(std::move(spec));
    while (!(co_await stream->read()).data.empty()) {
    }
    const auto code = co_await stream->exit_code();
    if (code.value_or(0) >= 126) {
        throw Error(ErrorKind::unavailable,
                    "the container has no shell, and this agent does not see the host's processes "
                    "(run it with --pid host)");
    }
}

}  // namespace trailer::sessions
