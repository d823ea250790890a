#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/write.hpp>
#include <csignal>

#include "client/play.h"
#include "client/session/forwarding.h"
#include "client/session/scripted_sessions.h"

namespace {

using namespace trailer;
using namespace trailer::client;
using namespace std::chrono_literals;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

protocol::SessionEnd exit_with(int code) {
    protocol::SessionEnd end;
    end.exit_code = code;
    return end;
}

// Replaces a descriptor of the process for as long as it lives.
class Replaced {
  public:
    Replaced(int descriptor, int by) : descriptor_(descriptor), before_(::dup(descriptor)) {
        ::dup2(by, descriptor);
        ::close(by);
    }
    ~Replaced() {
        ::dup2(before_, descriptor_);
        ::close(before_);
    }
    Replaced(const Replaced&) = delete;
    Replaced& operator=(const Replaced&) = delete;

  private:
    int descriptor_;
    int before_;
};

class SessionVerbTest : public VerbTest {
  protected:
    SessionVerbTest() { save_target(credentials_file(), {server.url(), "secret"}); }

    // With a file, as `<file` gives it.
    Outcome run_with_input(std::vector<std::string> arguments, const std::string& input) {
        const auto file = write("input", input);
        const Replaced standard_input(0, ::open(file.c_str(), O_RDONLY | O_CLOEXEC));
        return run(std::move(arguments));
    }
    std::string target_of(std::size_t session) const {
        return server.sessions().at(session)->request.target;
    }

    ScriptedSessions server;
};

Task<> count_and_exit(ScriptedSession* session) {
    std::size_t bytes = 0;
    for (;;) {
        const auto message = co_await session->read();
        const auto channel = protocol::channel_of(message);
        if (channel == Channel::close) break;
        if (channel == Channel::input) bytes += message.size() - 1;
    }
    co_await session->write(Channel::output, fmt::format("{} bytes\n", bytes));
    co_await session->write(Channel::errors, "done\n");
    session->end(exit_with(42));
}

TEST_F(SessionVerbTest, ExecReadsItsInputAndExitsWithTheCommandsCode) {
    server.on("/exec", count_and_exit);
    const auto done = run_with_input({"exec", "dev", "-u", "me", "-w", "/tmp", "-e", "A=[1,2]",
                                      "--", "wc", "-c", "[a,b]", "--", ""},
                                     std::string(3'000'000, 'x'));
    EXPECT_EQ(done.exit_code, 42);
    EXPECT_EQ(done.output, "3000000 bytes\n");
    EXPECT_EQ(done.errors, "done\n");
    EXPECT_EQ(target_of(0),
              "/api/workspaces/dev/exec?cmd=wc&cmd=-c&cmd=%5Ba%2Cb%5D&cmd=--&cmd=&env=A%3D%5B1%2C2%"
              "5D&user=me&workdir=%2Ftmp");
}

TEST_F(SessionVerbTest, ExecFailsWith125WhereTheProductDoes) {
    server.on("/exec", [](ScriptedSession* session) -> Task<> {
        protocol::SessionEnd end;
        end.problem = protocol::Problem{.status = 409, .detail = "workspace dev is stopped"};
        session->end(end);
        co_return;
    });
    auto done = run({"exec", "dev", "ls"});
    EXPECT_EQ(done.exit_code, 125);
    EXPECT_THAT(done.errors, HasSubstr("workspace dev is stopped"));
    done = run({"attach", "dev"});  // which the server refuses
    EXPECT_EQ(done.exit_code, 125);
    EXPECT_THAT(done.errors, StartsWith("trailer: attach dev: there is no such thing"));
}

TEST_F(SessionVerbTest, ExecTellsBadUsage) {
    for (const std::vector<std::string>& words : {std::vector<std::string>{"exec", "dev"},
                                                  {"exec", "dev", "-t", "--", "sh"},
                                                  {"exec", "dev", "--detach-keys", "ctrl-1", "ls"},
                                                  {"exec", "dev", "-e", "NOVALUE", "ls"},
                                                  {"exec", "dev", "-x", "ls"}}) {
        const auto done = run_with_input(words, "");
        EXPECT_EQ(done.exit_code, 2) << done.errors;
        EXPECT_THAT(done.errors, Not(HasSubstr("NOVALUE")));
    }
    EXPECT_TRUE(server.sessions().empty());
}

TEST_F(SessionVerbTest, NobodyReadingTheOutputEndsTheSession) {
    server.on("/exec", [](ScriptedSession* session) -> Task<> {
        for (;;) co_await session->write(Channel::output, std::string(1000, 'x'));
    });
    int ends[2] = {};
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    ::close(ends[0]);
    testing::internal::CaptureStdout();
    int code = 0;
    {
        const Replaced output(1, ends[1]);
        const Replaced input(0, ::open("/dev/null", O_RDONLY | O_CLOEXEC));
        const std::array words{"trailer", "exec", "dev", "yes"};
        code = run_command_line(4, words.data(), [](CLI::App&, Chosen&) {});
    }
    testing::internal::GetCapturedStdout();
    EXPECT_EQ(code, 141);
    EXPECT_EQ(server.sessions().front()->left, protocol::SessionLeave{});
}

TEST_F(SessionVerbTest, ASignalEndsTheSessionAndIsTheExitCode) {
    server.on("/exec", [](ScriptedSession* session) -> Task<> {
        ::kill(::getpid(), SIGINT);
        for (;;) co_await session->read();
    });
    const auto done = run_with_input({"exec", "dev", "sleep", "1000"}, "");
    EXPECT_EQ(done.exit_code, 130);
    EXPECT_EQ(server.sessions().front()->left, protocol::SessionLeave{});
}

TEST_F(SessionVerbTest, AttachDoesNotEndTheWorkspacesInput) {
    server.on("/attach", [](ScriptedSession* session) -> Task<> {
        const auto message = co_await session->read();
        co_await session->write(Channel::output, "got " + message.substr(1));
        co_await aio::sleep(100ms);
        session->end({});
    });
    const auto done = run_with_input({"attach", "workspace/dev"}, "hello\n");
    EXPECT_EQ(done.exit_code, 0);
    EXPECT_EQ(done.output, "got hello\n");
    EXPECT_EQ(server.sessions().front()->most_unacknowledged,
              7U);  // that one message, and no close
}

TEST_F(SessionVerbTest, SshProxyJoinsAPortAndItsOutputMayEndFirst) {
    server.on("/ports/22", [](ScriptedSession* session) -> Task<> {
        co_await session->write(Channel::output, "SSH-2.0-x\r\n");
        co_await session->write(Channel::close, std::string(1, '\1'));
        for (;;) {
            const auto message = co_await session->read();
            if (protocol::channel_of(message) == Channel::close) break;
        }
        session->end({});
    });
    const auto done = run_with_input({"ssh-proxy", "dev"}, "SSH-2.0-y\r\n");
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(done.output, "SSH-2.0-x\r\n");
}

// --- logs

Task<> two_lines(ScriptedSession* session) {
    co_await session->write(Channel::output, "T1 one\nT2 two\n");
    co_await session->write(Channel::errors, "T3 three\n");
    session->end({});
}

TEST_F(SessionVerbTest, LogsShowsWhatWasAskedFor) {
    server.on("/logs", two_lines);
    auto done = run({"logs", "dev", "--tail", "5"});
    EXPECT_EQ(done.exit_code, 0);
    EXPECT_EQ(done.output, "one\ntwo\n");
    EXPECT_EQ(done.errors, "three\n");
    EXPECT_EQ(target_of(0), "/api/workspaces/dev/logs?tail=5&timestamps=true");
    done = run({"logs", "-t", "dev"});
    EXPECT_EQ(done.output, "T1 one\nT2 two\n");
    done = run({"logs", "dev", "host/gpu-1"});
    EXPECT_THAT(done.output, HasSubstr("dev        | one\ndev        | two\n"));
    EXPECT_THAT(done.output, HasSubstr("host/gpu-1 | T1 one\n"));
    EXPECT_EQ(target_of(3), "/api/hosts/gpu-1/logs");
}

TEST_F(SessionVerbTest, LogsOfLabelsFindsTheWorkspaces) {
    server.on("/logs", two_lines);
    server.answer("GET /api/workspaces",
                  R"({"items": [
        {"kind": "Workspace", "id": "1", "name": "a", "spec": {"labels": {"team": "x"}}},
        {"kind": "Workspace", "id": "2", "name": "b", "spec": {"labels": {"team": "y"}}},
        {"kind": "Workspace", "id": "3", "name": "c", "spec": {}, "group": "g"}]})");
    auto done = run({"logs", "-l", "team=x"});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(target_of(0), "/api/workspaces/a/logs?timestamps=true");
    done = run({"logs", "-l", "team=z"});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.errors, HasSubstr("no workspace"));
}

// As the person who has seen enough.
Task<> one_line_and_ctrl_c(ScriptedSession* session) {
    co_await session->write(Channel::output, "T1 one\n");
    while (session->pending() > 0) co_await aio::sleep(1ms);
    ::kill(::getpid(), SIGINT);
}

TEST_F(SessionVerbTest, LogsOfLabelsAreFollowedUntilThePersonHasEnough) {
    server.on("/logs", one_line_and_ctrl_c);
    server.answer("GET /api/events", "");
    server.answer(
        "GET /api/workspaces",
        R"({"items": [{"kind": "Workspace", "id": "3", "name": "c", "spec": {}, "group": "g"}]})");
    const auto done = run({"logs", "-f", "-l", "group=g"});
    EXPECT_EQ(done.exit_code, 128 + SIGINT) << done.errors;
    EXPECT_EQ(done.output, "c | one\n");
    EXPECT_EQ(target_of(0), "/api/workspaces/c/logs?follow=true&timestamps=true");
}

// Sends one line, breaks for good, and goes on in another session from where that was.
Task<> lose_the_first(ScriptedSession* session) {
    if (session->request.query().find("skip")) {
        co_await session->write(Channel::output, "T2 b\nT3 c\n");
        session->end({});
        co_return;
    }
    co_await session->write(Channel::output, "T1 a\nT2 b\n");
    while (session->pending() > 0) co_await aio::sleep(1ms);
    session->breaks = [] { return true; };
    co_await session->write(Channel::output, "never\n");
}

TEST_F(SessionVerbTest, AFollowedLogIsOpenedAnewWhereItWas) {
    server.on("/logs", lose_the_first);
    server.refuse_resume = 404;
    const auto done = run({"logs", "-f", "dev"});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(done.output, "a\nb\nc\n");
    EXPECT_EQ(done.errors, "");
    EXPECT_EQ(target_of(1),
              "/api/workspaces/dev/logs?follow=true&skip=1&skip_until=T2&timestamps=true");
}

Task<> lose_more(ScriptedSession* session) {
    if (session->request.query().find("skip")) {
        co_await session->write(Channel::output, "T9 z\n");
        session->end({});
        co_return;
    }
    co_await lose_the_first(session);
}

TEST_F(SessionVerbTest, AGapInAFollowedLogIsTold) {
    server.on("/logs", lose_more);
    server.refuse_resume = 404;
    const auto done = run({"logs", "-f", "dev"});
    EXPECT_EQ(done.output, "a\nb\nz\n");
    EXPECT_THAT(done.errors, HasSubstr("lines between T2 and T9 may be missing"));
}

constexpr const char* kFirstTime = "2026-11-24T01:02:03.001Z";

// A host's log has its times in its lines.
Task<> lose_a_hosts_log(ScriptedSession* session) {
    const std::string known = fmt::format("{} info b\n and more of b\n", kFirstTime);
    if (const auto since = session->request.query().find("since")) {
        EXPECT_EQ(*since, kFirstTime);
        EXPECT_EQ(session->request.query().find("skip"), "1");  // the last is asked for again
        co_await session->write(Channel::output,
                                " and more of b\n2026-11-24T01:02:04.000Z info c\n");
        session->end({});
        co_return;
    }
    co_await session->write(Channel::output, known);
    while (session->pending() > 0) co_await aio::sleep(1ms);
    session->breaks = [] { return true; };
    co_await session->write(Channel::output, "never\n");
}

TEST_F(SessionVerbTest, AHostsLogIsOpenedAnewWhereItWas) {
    server.on("/logs", lose_a_hosts_log);
    server.refuse_resume = 404;
    const auto done = run({"logs", "-f", "host/gpu-1"});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(
        done.output,
        fmt::format("{} info b\n and more of b\n2026-11-24T01:02:04.000Z info c\n", kFirstTime));
    EXPECT_EQ(done.errors, "");
}

// --- port-forward

Task<> echo_port(ScriptedSession* session) {
    for (;;) {
        const auto message = co_await session->read();
        if (protocol::channel_of(message) == Channel::close) break;
        co_await session->write(Channel::output, message.substr(1));
    }
    co_await session->write(Channel::close, std::string(1, '\1'));
    session->end({});
}

Task<> talk(std::uint16_t port, std::string text, std::string* answer) {
    asio::ip::tcp::socket socket(co_await asio::this_coro::executor);
    const asio::ip::tcp::endpoint endpoint(asio::ip::make_address("127.0.0.1"), port);
    co_await socket.async_connect(endpoint, asio::use_awaitable);
    co_await asio::async_write(socket, asio::buffer(text), asio::use_awaitable);
    socket.shutdown(asio::ip::tcp::socket::shutdown_send);
    std::string piece(4096, '\0');
    for (;;) {
        const auto [error, count] = co_await socket.async_read_some(
            asio::buffer(piece), asio::as_tuple(asio::use_awaitable));
        answer->append(piece, 0, count);
        if (error == asio::error::eof) co_return;
        if (error) {
            *answer += "error: " + error.message();
            co_return;
        }
    }
}

std::uint16_t port_of(const std::string& address) {
    return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

TEST_F(SessionVerbTest, ManyConnectionsAreForwardedAtOnceEachToItsEnd) {
    server.on("/ports/80", echo_port);
    Api client({.server = server.url(), .token = "secret"});
    std::vector<std::string> failures;
    Forwarding forwarding(
        client, "/api/workspaces/dev", "127.0.0.1", {0, 80}, [](LinkNews) {},
        [&](const std::string& why) { failures.push_back(why); });
    std::vector<std::string> answers(20);
    const auto run = [](Api* api, Forwarding* forward, std::vector<std::string>* all) -> Task<int> {
        aio::TaskGroup serving(api->executor());
        serving.spawn(forward->run());
        aio::TaskGroup talks(api->executor());
        for (std::size_t i = 0; i < all->size(); ++i) {
            talks.spawn(talk(port_of(forward->local()), std::string(50'000 + i, 'a'), &(*all)[i]));
        }
        co_await talks.join();
        forward->leave();
        co_await serving.join();
        co_return 0;
    };
    client.run(run(&client, &forwarding, &answers));
    for (std::size_t i = 0; i < answers.size(); ++i) {
        EXPECT_TRUE(answers[i] == std::string(50'000 + i, 'a')) << answers[i].substr(0, 100);
    }
    EXPECT_THAT(failures, testing::IsEmpty());
    EXPECT_EQ(server.sessions().size(), 20U);
}

TEST_F(SessionVerbTest, AConnectionThatFailsIsToldAndResetAndOthersGoOn) {
    server.on("/ports/80", [](ScriptedSession* session) -> Task<> {
        protocol::SessionEnd end;
        end.problem = protocol::Problem{.status = 503, .detail = "connection refused"};
        session->end(end);
        co_return;
    });
    Api client({.server = server.url(), .token = "secret"});
    std::vector<std::string> failures;
    Forwarding forwarding(
        client, "/api/workspaces/dev", "127.0.0.1", {0, 80}, [](LinkNews) {},
        [&](const std::string& why) { failures.push_back(why); });
    std::vector<std::string> answers(2);
    const auto run = [](Api* api, Forwarding* forward, std::vector<std::string>* all) -> Task<int> {
        aio::TaskGroup serving(api->executor());
        serving.spawn(forward->run());
        for (auto& answer : *all) co_await talk(port_of(forward->local()), "x", &answer);
        forward->leave();
        co_await serving.join();
        co_return 0;
    };
    client.run(run(&client, &forwarding, &answers));
    EXPECT_THAT(answers, testing::Each(HasSubstr("reset")));
    EXPECT_THAT(failures, testing::ElementsAre(HasSubstr("connection refused"),
                                               HasSubstr("connection refused")));
}

TEST_F(SessionVerbTest, PortForwardTellsATakenPort) {
    server.answer("GET /api/workspaces/dev", R"({"kind": "Workspace", "name": "dev"})");
    Api other({.server = server.url(), .token = "secret"});
    const Forwarding taken(other, "/x", "127.0.0.1", {0, 1}, {}, {});
    const auto port = port_of(taken.local());
    const auto done = run({"port-forward", "dev", fmt::format("{}:80", port)});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.errors, AllOf(HasSubstr("in use"), HasSubstr("0:80 takes any free port")));
}

// --- cp and ssh-config

// What a workspace's `test` and `tar` would do, with one directory, /there.
Task<> play_tar(ScriptedSession* session) {
    const auto words = session->request.query().all("cmd");
    if (words.front() == "test") {
        session->end(exit_with(words.back() == "/there" ? 0 : 1));
        co_return;
    }
    if (words.back() == "./missing") {
        co_await session->write(Channel::errors, "tar: ./missing: No such file or directory\nx\n");
        session->end(exit_with(2));
        co_return;
    }
    if (words.back() == "./none") {
        co_await session->write(Channel::output, "exec: \"tar\": executable file not found");
        session->end(exit_with(127));
        co_return;
    }
    static std::string kept;  // what was copied in comes out again
    if (words[1] == "-xpof") {
        kept.clear();
        for (;;) {
            const auto message = co_await session->read();
            if (protocol::channel_of(message) == Channel::close) break;
            kept += message.substr(1);
        }
    } else {
        for (std::size_t at = 0; at < kept.size(); at += 50'000) {
            co_await session->write(Channel::output, kept.substr(at, 50'000));
        }
    }
    const bool changed = words.back() == "./changing";
    if (changed) {
        co_await session->write(Channel::errors, "tar: ./changing: file changed as we read it\n");
    }
    session->end(exit_with(changed ? 1 : 0));
}

TEST_F(SessionVerbTest, CpTakesAFileThatIsBeingWrittenAndSaysSo) {
    server.on("/exec", play_tar);
    const auto file = write("changing", std::string(3'000'000, 'f'));
    EXPECT_EQ(run({"cp", file, "dev:/there"}).exit_code, 0);
    const auto back = (directory_ / "back").string();
    const auto done = run({"cp", "dev:/there/changing", back});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_THAT(done.errors, HasSubstr("dev: tar: ./changing: file changed as we read it"));
    EXPECT_EQ(read_file(back), std::string(3'000'000, 'f'));
}

TEST_F(SessionVerbTest, CpGoesInAndComesOut) {
    server.on("/exec", play_tar);
    const auto file = write("file", std::string(5'000'000, 'f'), 0640);
    auto done = run({"cp", file, "dev:/there"});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(target_of(1), "/api/workspaces/dev/exec?cmd=tar&cmd=-xpof&cmd=-&cmd=-C&cmd=%2Fthere");
    const auto back = (directory_ / "back").string();
    done = run({"cp", "dev:/there/file", back});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(target_of(2),
              "/api/workspaces/dev/exec?cmd=tar&cmd=-C&cmd=%2Fthere&cmd=-cf&cmd=-&cmd=.%2Ffile");
    EXPECT_EQ(read_file(back), std::string(5'000'000, 'f'));
    EXPECT_EQ(done.output + done.errors, "");  // progress is for terminals
}

TEST_F(SessionVerbTest, CpTellsWhatFailsInTheWorkspaceAndHere) {
    server.on("/exec", play_tar);
    const auto into = directory_.string();
    auto done = run({"cp", "dev:/there/missing", into});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.errors, HasSubstr("dev: tar: ./missing: No such file or directory"));
    done = run({"cp", "dev:/there/none", into});
    EXPECT_THAT(done.errors, HasSubstr("workspace dev has no tar"));
    done = run({"cp", into + "/none", "dev:/there"});
    EXPECT_THAT(done.errors, HasSubstr("No such file"));
    done = run({"cp", into, "dev:/nowhere/"});
    EXPECT_THAT(done.errors, HasSubstr("dev:/nowhere/ is no directory"));
    done = run({"cp", "dev:/there/x", into + "/none/"});
    EXPECT_THAT(done.errors, HasSubstr("/none/ is no directory"));
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"cp", "a", "b"}, {"cp", "a:b", "c:d"}, {"cp", "a"}}) {
        EXPECT_EQ(run(words).exit_code, 2);
    }
}

TEST_F(SessionVerbTest, SshConfigPrintsOrWritesAnEntryForEach) {
    server.answer("GET /api/workspaces",
                  R"({"items": [{"kind": "Workspace", "id": "1", "name": "a"},
                                {"kind": "Workspace", "id": "2", "name": "b"}]})");
    const auto printed = run({"ssh-config", "--user", "me"});
    EXPECT_EQ(printed.exit_code, 0) << printed.errors;
    EXPECT_THAT(printed.output, AllOf(HasSubstr("Host trailer.a\n"), HasSubstr("Host trailer.b\n"),
                                      HasSubstr("'--server' '" + server.url() + "'")));
    const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
    ::setenv("HOME", directory_.c_str(), 1);
    write_file_atomically(directory_ / ".ssh/config", "Host x\n", 0600);
    EXPECT_EQ(run({"ssh-config", "--write"}).exit_code, 0);
    EXPECT_EQ(run({"ssh-config", "--write"}).exit_code, 0);
    ::setenv("HOME", home.c_str(), 1);
    const auto config = read_file(directory_ / ".ssh/config");
    EXPECT_THAT(config, EndsWith("\n\nHost x\n"));
    EXPECT_EQ(config.find("Include"), config.rfind("Include"));
    EXPECT_THAT(read_file(directory_ / ".ssh/trailer_config"), HasSubstr("Host trailer.b\n"));
}

}  // namespace
