#include "sessions/sessions.h"

#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "sessions/dial.h"
#include "sessions/file_endpoint.h"
#include "sessions/log_endpoint.h"
#include "sessions/port_endpoint.h"
#include "sessions/process_endpoint.h"
#include "sessions/process_tree.h"

namespace trailer::sessions {
namespace {

using namespace std::chrono_literals;
using protocol::OpenSession;
using protocol::SessionKind;

constexpr auto kDialLimit = 12s;  // a full backlog drops a SYN: it comes again after 1, 3 and 7 s
constexpr auto kPlainGrace = 5s;  // from a session's opening to its connection's first message

Session::Form form_of(const OpenSession& open) {
    if (open.numbered) return Session::Form::numbered;
    return open.kind == SessionKind::port ? Session::Form::raw : Session::Form::plain;
}

}  // namespace

Sessions::Sessions(asio::any_io_executor executor, runtime::ContainerRuntime& runtime,
                   Options options)
    : executor_(executor),
      runtime_(runtime),
      options_(std::move(options)),
      commands_(options_.commands),
      group_(executor),
      never_(executor) {}

Sessions::~Sessions() = default;

Task<> Sessions::run() {
    for (auto& each : commands_.all()) group_.spawn(end_left(std::move(each)));
    std::exception_ptr cancelled;
    try {
        co_await never_.wait();
    } catch (...) {
        cancelled = std::current_exception();
    }
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    group_.cancel();
    co_await group_.join();
    if (cancelled) std::rethrow_exception(cancelled);
}

// Of an agent before this one, which was killed.
Task<> Sessions::end_left(OpenCommands::Command command) {
    constexpr std::chrono::seconds kAgain{5};
    constexpr int kMostTries = 12;
    for (int tries = 1;; ++tries) {
        try {
            const ProcessTree tree(options_.proc, command.container_id, command.session);
            if (!co_await tree.end_marked()) {
                co_await end_from_within(runtime_, command.container_id, command.session);
            }
            log::info("what a session of a former agent had started in container {} was ended",
                      runtime::short_id(command.container_id));
            break;
        } catch (const Error& e) {
            // With the container they have gone as well.
            if (e.kind() == ErrorKind::not_found || e.kind() == ErrorKind::conflict) break;
            if (tries == kMostTries) {
                log::warning("what a session of a former agent had started may still run: {}",
                             describe(e));
                break;
            }
        }
        co_await aio::sleep(kAgain);
    }
    commands_.forget(command.session);
}

Task<> Sessions::serve(Connection* connection, OpenSession open) {
    protocol::SessionOpened opened;
    std::shared_ptr<Session> session;
    const auto received = open.resume ? open.resume->received : 0;
    const auto used = open.resume ? open.resume->used.value_or(received) : 0;
    try {
        opened.session = open.resume ? open.resume->session : co_await begin(open);
        session = open.resume ? find_again(open).session : open_.at(opened.session).session;
        opened.received = session->received();
        opened.used = session->used();
        opened.grace_ms = options_.grace.count();
        opened.tty = session->tty();
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e)) throw;
        opened.problem = protocol::to_problem(e);
    }
    auto text = wire::to_json_text(opened);
    co_await connection->write_text(std::move(text));
    if (session) co_await session->serve(connection, received, used);
    co_await connection->close(session && !session->over() ? "another connection took over" : "");
}

Sessions::Entry& Sessions::find_again(const OpenSession& open) {
    const auto found = open_.find(open.resume->session);
    // Another's session is as good as none.
    if (found == open_.end() || found->second.asked.user != open.user ||
        found->second.asked.workspace != open.workspace || !found->second.asked.numbered) {
        throw Error(ErrorKind::not_found,
                    "this session is no longer there: it has ended, or the agent was restarted");
    }
    return found->second;
}

Task<std::string> Sessions::begin(OpenSession open) {
    if (open_.size() >= options_.most) {
        throw Error(ErrorKind::rate_limited,
                    "this host serves {} sessions already, which is as many as it takes",
                    options_.most);
    }
    auto id = random_token(16);
    auto endpoint = co_await make_endpoint(open, id);
    auto session = std::make_shared<Session>(executor_, std::move(endpoint), form_of(open),
                                             open.numbered ? options_.grace : kPlainGrace);
    open_[id] = {std::move(open), session};
    group_.spawn(live(id, std::move(session)));
    co_return id;
}

Task<> Sessions::live(std::string id, std::shared_ptr<Session> session) {
    std::exception_ptr cancelled;
    try {
        co_await session->run();
    } catch (const std::exception& e) {
        if (aio::is_cancellation(e)) cancelled = std::current_exception();
        log::debug("session: {}", describe(e));
    }
    open_.erase(id);
    if (cancelled) std::rethrow_exception(cancelled);
}

runtime::Container Sessions::running_container(const std::string& workspace_id) const {
    auto place = options_.find(workspace_id);
    if (!place.container || place.container->state != runtime::ContainerState::running) {
        throw Error(ErrorKind::conflict, "workspace {} does not run: start it first",
                    place.name.empty() ? workspace_id : place.name);
    }
    return std::move(*place.container);
}

Task<std::unique_ptr<Endpoint>> Sessions::make_endpoint(const OpenSession& open, std::string id) {
    switch (open.kind) {
        case SessionKind::logs: {
            auto find = [this, workspace = open.workspace] { return options_.find(workspace); };
            auto logs = std::make_unique<LogEndpoint>(
                runtime_, std::move(find), open.logs.value_or(protocol::LogQuery{}), open.numbered);
            co_await logs->open();
            co_return logs;
        }
        case SessionKind::exec: {
            const auto container = running_container(open.workspace);
            if (!open.exec || open.exec->command.empty()) {
                throw InvalidInput("?cmd", "expected the command and its arguments");
            }
            runtime::ExecSpec spec{.container = container.id,
                                   .command = open.exec->command,
                                   .env = open.exec->env,
                                   .user = open.exec->user,
                                   .working_dir = open.exec->working_dir,
                                   .tty = open.exec->tty,
                                   .size = open.exec->size};
            spec.env.push_back(fmt::format("{}={}", kMark, id));
            commands_.note(id, container.id);
            std::unique_ptr<runtime::ProcessStream> stream;
            try {
                stream = co_await runtime_.exec(std::move(spec));
            } catch (...) {
                commands_.forget(id);
                throw;
            }
            CommandMark mark{.session = id,
                             .container_id = container.id,
                             .proc = options_.proc,
                             .noted = &commands_};
            co_return std::make_unique<ProcessEndpoint>(runtime_, std::move(stream),
                                                        std::move(mark));
        }
        case SessionKind::attach: {
            const auto container = running_container(open.workspace);
            auto stream = co_await runtime_.attach(container.id);
            if (stream->tty() && open.size.cols > 0 && open.size.rows > 0) {
                co_await stream->resize(open.size);
            }
            co_return std::make_unique<ProcessEndpoint>(runtime_, std::move(stream), std::nullopt);
        }
        case SessionKind::port: {
            auto container = running_container(open.workspace);
            auto socket = co_await dial(pool_, options_.proc, std::move(container),
                                        open.port.value_or(0), aio::Deadline::in(kDialLimit));
            co_return std::make_unique<PortEndpoint>(std::move(socket), open.numbered);
        }
        case SessionKind::host_logs:
            co_return std::make_unique<FileEndpoint>(options_.log_file,
                                                     open.logs.value_or(protocol::LogQuery{}));
    }
    throw Error(ErrorKind::invalid, "this agent is older than what it is asked for");
}

}  // namespace trailer::sessions
