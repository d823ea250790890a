#include "runtime/docker/process.h"

#include <deque>

#include "base/error.h"
#include "base/log.h"
#include "runtime/docker/codec.h"
#include "runtime/docker/output_frames.h"
#include "wire/json.h"

namespace trailer::runtime::docker {
namespace {

using namespace std::chrono_literals;

const json::value* member(const json::value& value, std::string_view name) {
    const auto* object = value.if_object();
    return object != nullptr ? object->if_contains(name) : nullptr;
}

std::int64_t number(const json::value& value, std::string_view name) {
    const auto* found = member(value, name);
    return found != nullptr && found->is_int64() ? found->as_int64() : 0;
}

bool truth(const json::value& value, std::string_view name) {
    const auto* found = member(value, name);
    return found != nullptr && found->is_bool() && found->as_bool();
}

std::string size_query(protocol::TerminalSize size) {
    return fmt::format("/resize?w={}&h={}", size.cols, size.rows);
}

// A process' streams over one connection to the engine.
class Process : public ProcessStream {
  public:
    Process(EngineApi& api, std::unique_ptr<net::ByteStream> bytes, bool tty)
        : api_(api), bytes_(std::move(bytes)), frames_(tty), tty_(tty) {}

    Task<Output> read() override {
        while (pieces_.empty()) {
            auto bytes = co_await bytes_->read();
            if (bytes.empty()) co_return Output{};
            auto pieces = frames_.feed(std::move(bytes));
            std::ranges::move(pieces, std::back_inserter(pieces_));
        }
        auto piece = std::move(pieces_.front());
        pieces_.pop_front();
        co_return piece;
    }
    // To be read next.
    void unread(std::string data) {
        if (!data.empty()) pieces_.push_front({.errors = false, .data = std::move(data)});
    }
    Task<> write(std::string data) override { co_await bytes_->write(std::move(data)); }
    void close_input() override { bytes_->shutdown_write(); }
    bool tty() const override { return tty_; }

  protected:
    EngineApi& api() { return api_; }

  private:
    EngineApi& api_;
    std::unique_ptr<net::ByteStream> bytes_;
    OutputFrames frames_;
    std::deque<Output> pieces_;
    bool tty_;
};

class Exec : public Process {
  public:
    Exec(EngineApi& api, std::unique_ptr<net::ByteStream> bytes, bool tty, std::string id)
        : Process(api, std::move(bytes), tty), id_(std::move(id)) {}

    Task<> resize(protocol::TerminalSize size) override {
        co_await api().call("POST", "/exec/" + id_ + size_query(size), nullptr,
                            "resizing the terminal of a command");
    }
    Task<std::optional<int>> exit_code() override {
        const auto state = co_await look();
        if (truth(state, "Running")) co_return std::nullopt;
        co_return static_cast<int>(number(state, "ExitCode"));
    }
    Task<std::int64_t> process_id() override {
        const auto state = co_await look();
        co_return truth(state, "Running") ? number(state, "Pid") : 0;
    }

  private:
    Task<json::value> look() {
        co_return co_await api().get("/exec/" + id_ + "/json", "looking at a command");
    }

    std::string id_;
};

class Attached : public Process {
  public:
    Attached(EngineApi& api, std::unique_ptr<net::ByteStream> bytes, const Container& container)
        : Process(api, std::move(bytes), container.tty),
          id_(container.id),
          started_(container.started) {}

    Task<> resize(protocol::TerminalSize size) override {
        co_await api().call("POST", "/containers/" + path_escape(id_) + size_query(size), nullptr,
                            "resizing the terminal of container " + short_id(id_));
    }
    // Of the run that was attached to: the engine notes its end a moment after the output's, and
    // may start it again soon after that, which forgets the code.
    Task<std::optional<int>> exit_code() override {
        for (auto pause = 1ms; pause < kMostPause; pause *= 2) {
            const auto found = co_await look();
            if (!found || found->started != started_) break;
            if (found->state == ContainerState::exited ||
                found->state == ContainerState::restarting) {
                co_return found->exit_code;
            }
            co_await aio::sleep(pause);
        }
        co_return std::nullopt;
    }
    Task<std::int64_t> process_id() override {
        const auto found = co_await look();
        co_return found ? found->process_id : 0;
    }

  private:
    static constexpr auto kMostPause = 512ms;

    Task<std::optional<Container>> look() {
        const auto found = co_await api().find("/containers/" + path_escape(id_) + "/json",
                                               "looking at container " + short_id(id_));
        if (!found) co_return std::nullopt;
        co_return container_from(*found);
    }

    std::string id_;
    std::optional<Timestamp> started_;
};

class Logs : public LogStream {
  public:
    Logs(std::unique_ptr<net::ResponseStream> stream, bool tty)
        : stream_(std::move(stream)), entries_(tty) {}

    Task<std::span<const LogEntry>> read() override {
        for (;;) {
            // The engine sends line by line; those of a busy log are taken together.
            if (Clock::now() - last_read_ < kGather) co_await aio::sleep(kGather);
            auto bytes = co_await stream_->read();
            last_read_ = Clock::now();
            if (bytes.empty()) co_return entries_.finish();
            const auto entries = entries_.feed(std::move(bytes));
            if (!entries.empty()) co_return entries;
        }
    }

  private:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds kGather{1};

    std::unique_ptr<net::ResponseStream> stream_;
    LogEntries entries_;
    Clock::time_point last_read_;
};

json::object exec_body(const ExecSpec& spec) {
    json::object body{{"AttachStdin", true},
                      {"AttachStdout", true},
                      {"AttachStderr", true},
                      {"Tty", spec.tty},
                      {"Cmd", wire::to_json(spec.command)}};
    if (!spec.env.empty()) body["Env"] = wire::to_json(spec.env);
    if (!spec.user.empty()) body["User"] = spec.user;
    if (!spec.working_dir.empty()) body["WorkingDir"] = spec.working_dir;
    return body;
}

// "2026-11-24T01:02:03.123456789Z" -> "1795482123.123456789", as the engine's queries take it.
std::string unix_time(const std::string& text) {
    const auto time = parse_rfc3339(text);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    std::string fraction = "0";
    if (const auto dot = text.find('.'); dot != text.npos) {
        const auto end = text.find_first_not_of("0123456789", dot + 1);
        fraction = text.substr(dot + 1, end == text.npos ? end : end - dot - 1);
    }
    fraction.resize(9, '0');
    return fmt::format("{}.{}", seconds.time_since_epoch().count(), fraction);
}

// API 1.41 runs a command at once, and gives its terminal a size when it already runs: what asks
// for it first finds 0x0. So where there is a shell, it reads a line first, which is sent when the
// size is set, and then becomes the command.
constexpr const char* kHold = "IFS= read -r _; exec \"$@\"";

Task<bool> has_shell(EngineApi& api, const std::string& container) {
    net::Request request{.method = "HEAD",
                         .target = "/containers/" + path_escape(container) +
                                   "/archive?path=" + path_escape("/bin/sh")};
    co_return co_await api.status(std::move(request), "looking for a shell") == 200;
}

// Takes away what the terminal echoes of the line that lets the command begin.
Task<> let_begin(Process& process) {
    std::string line = "\n";
    co_await process.write(std::move(line));
    std::string echoed;
    while (echoed.size() < 2) {
        const auto piece = co_await process.read();
        if (piece.data.empty()) co_return;
        echoed += piece.data;
        if (!std::string_view("\r\n").starts_with(std::string_view(echoed).substr(0, 2))) break;
    }
    if (echoed.starts_with("\r\n")) echoed.erase(0, 2);
    process.unread(std::move(echoed));
}

}  // namespace

Task<std::unique_ptr<ProcessStream>> exec_process(EngineApi& api, ExecSpec spec) {
    const auto doing = "running a command in container " + short_id(spec.container);
    const bool sized = spec.tty && spec.size.cols > 0 && spec.size.rows > 0;
    const bool held = sized && co_await has_shell(api, spec.container);
    if (held) {
        const std::array prefix{"/bin/sh", "-c", kHold, "sh"};
        spec.command.insert(spec.command.begin(), prefix.begin(), prefix.end());
    }
    json::value body = exec_body(spec);
    const auto made = co_await api.call(
        "POST", "/containers/" + path_escape(spec.container) + "/exec", std::move(body), doing);
    const auto* id_value = member(made, "Id");
    if (id_value == nullptr || !id_value->is_string()) {
        throw Error(ErrorKind::internal, "{}: the engine named no command", doing);
    }
    std::string id(id_value->as_string());
    json::value start = json::object{{"Detach", false}, {"Tty", spec.tty}};
    auto bytes = co_await api.upgrade("/exec/" + id + "/start", std::move(start), doing);
    auto exec = std::make_unique<Exec>(api, std::move(bytes), spec.tty, std::move(id));
    if (!sized) co_return exec;
    try {
        co_await exec->resize(spec.size);
        if (held) co_await let_begin(*exec);
    } catch (const Error& e) {
        // A command that has ended, or never began, has no terminal: its output tells why.
        log::debug("{}: {}", doing, describe(e));
    }
    co_return exec;
}

Task<std::unique_ptr<ProcessStream>> attach_process(EngineApi& api, std::string container_id) {
    const auto doing = "attaching to container " + short_id(container_id);
    const auto path = "/containers/" + path_escape(container_id);
    const auto seen = co_await api.get(path + "/json", doing);
    const auto container = container_from(seen);
    if (container.state != ContainerState::running) {
        throw Error(ErrorKind::conflict, "{}: it does not run", doing);
    }
    auto bytes =
        co_await api.upgrade(path + "/attach?stream=1&stdin=1&stdout=1&stderr=1", nullptr, doing);
    co_return std::make_unique<Attached>(api, std::move(bytes), container);
}

Task<std::unique_ptr<LogStream>> read_logs(EngineApi& api, LogSpec spec) {
    const auto doing = "reading the log of container " + short_id(spec.container);
    const auto path = "/containers/" + path_escape(spec.container);
    const auto seen = co_await api.get(path + "/json", doing);
    auto target = fmt::format("{}/logs?stdout=1&stderr=1&timestamps=1&follow={}&tail={}", path,
                              spec.follow ? 1 : 0, spec.tail ? std::to_string(*spec.tail) : "all");
    if (!spec.since.empty()) target += "&since=" + unix_time(spec.since);
    if (!spec.until.empty()) target += "&until=" + unix_time(spec.until);
    auto stream = co_await api.open(std::move(target), doing);
    co_return std::make_unique<Logs>(std::move(stream), container_from(seen).tty);
}

}  // namespace trailer::runtime::docker
