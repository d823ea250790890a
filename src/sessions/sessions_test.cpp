#include "sessions/sessions.h"

#include <gmock/gmock.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <fstream>
#include <random>

#include "base/crypto.h"
#include "base/error.h"
#include "base/id.h"
#include "runtime/fake_runtime.h"
#include "sessions/file_endpoint.h"
#include "sessions/memory_connection.h"
#include "sessions/process_tree.h"

namespace trailer::sessions {
namespace {

using namespace std::chrono_literals;
using protocol::Channel;
using protocol::OpenSession;
using protocol::SessionKind;
using runtime::FakeRuntime;

using Wire = MemoryConnection;

class SessionsTest : public testing::Test {
  public:
    SessionsTest() {
        engine.add_image("tools:1");
        engine.put_container({.name = "dev", .image = "tools:1"});
    }

    Options options() {
        Options made;
        made.commands = commands;
        made.find = [this](const std::string& id) {
            runtime::Place place{.wanted = id == "w1", .name = "dev", .container = {}};
            if (const auto* container = engine.container("dev"); container != nullptr) {
                place.container = *container;
            }
            return place;
        };
        made.grace = grace;
        made.proc = "/nonexistent";
        return made;
    }

    void play(Task<> script) {
        std::exception_ptr failure;
        bool ended = false;
        asio::co_spawn(context, run(std::move(script)), [&](std::exception_ptr error) {
            failure = std::move(error);
            ended = true;
        });
        context.run_for(30s);
        ASSERT_TRUE(ended) << "the script did not end";
        if (failure) FAIL() << describe(failure);
    }

    std::shared_ptr<Wire> open(OpenSession open) {
        auto wire = std::make_shared<Wire>(context.get_executor());
        beside.spawn(serve(wire, std::move(open)));
        return wire;
    }

    static OpenSession exec(std::vector<std::string> command, bool numbered) {
        OpenSession open{.kind = SessionKind::exec, .workspace = "w1", .user = "u1"};
        open.numbered = numbered;
        open.exec = protocol::ExecQuery{.command = std::move(command)};
        return open;
    }
    static OpenSession logs(protocol::LogQuery query, bool numbered = false) {
        OpenSession open{.kind = SessionKind::logs, .workspace = "w1", .user = "u1"};
        open.numbered = numbered;
        open.logs = std::move(query);
        return open;
    }
    static OpenSession again(const protocol::SessionOpened& opened, std::uint64_t received) {
        OpenSession open{.kind = SessionKind::exec, .workspace = "w1", .user = "u1"};
        open.numbered = true;
        open.resume = {.session = opened.session, .received = received};
        return open;
    }

    static Task<protocol::SessionOpened> opened(Wire* wire) {
        const auto text = co_await wire->receive();
        if (!text) throw Error(ErrorKind::internal, "the wire was closed");
        co_return wire::from_json_text<protocol::SessionOpened>(*text);
    }

    // Of what comes: data of one channel until the end, and the end.
    struct Heard {
        std::string output;
        std::string errors;
        std::optional<protocol::SessionEnd> end;
    };
    static Task<Heard> hear(Wire* wire) {
        Heard heard;
        while (auto message = co_await wire->receive()) {
            const auto data = protocol::data_of(*message);
            switch (protocol::channel_of(*message)) {
                case Channel::output:
                    heard.output += data;
                    break;
                case Channel::errors:
                    heard.errors += data;
                    break;
                case Channel::end:
                    heard.end = protocol::read_end(data);
                    co_return heard;
                default:
                    break;
            }
        }
        co_return heard;
    }

    static Task<std::string> next(Wire* wire) {
        const auto message = co_await wire->receive();
        co_return message.value_or("gone");
    }

    asio::io_context context;
    std::chrono::milliseconds grace = 10s;
    std::filesystem::path commands;
    FakeRuntime engine{context.get_executor()};
    std::unique_ptr<Sessions> sessions;
    aio::TaskGroup beside{context.get_executor()};

  private:
    Task<> serve(std::shared_ptr<Wire> wire, OpenSession open) {
        try {
            co_await sessions->serve(wire.get(), std::move(open));
        } catch (const Error&) {
            wire->cut();
        }
    }
    Task<> run(Task<> script) {
        sessions = std::make_unique<Sessions>(context.get_executor(), engine, options());
        beside.spawn(sessions->run());
        std::exception_ptr failure;
        try {
            co_await std::move(script);
        } catch (...) {
            failure = std::current_exception();
        }
        beside.cancel();
        co_await beside.join();
        if (failure) std::rethrow_exception(failure);
    }
};

TEST_F(SessionsTest, RunsACommandAndTellsItsExitCode) {
    play([](SessionsTest* test) -> Task<> {
        const auto wire = test->open(exec({"echo", "hello", "world"}, false));
        const auto answer = co_await opened(wire.get());
        EXPECT_FALSE(answer.problem);
        const auto heard = co_await hear(wire.get());
        EXPECT_EQ(heard.output, "hello world\n");
        EXPECT_EQ(heard.end->exit_code, 0);
        while (test->sessions->size() > 0 || !wire->host_closed()) co_await aio::sleep(1ms);
    }(this));
}

TEST_F(SessionsTest, PassesInputAndItsEndOn) {
    play([](SessionsTest* test) -> Task<> {
        const auto wire = test->open(exec({"cat"}, false));
        co_await opened(wire.get());
        const std::string binary("\0\xFF\n\x03", 4);
        wire->send_input(binary);
        wire->send(protocol::session_message(Channel::close, std::string(1, '\0')));
        const auto heard = co_await hear(wire.get());
        EXPECT_EQ(heard.output, binary);
        EXPECT_EQ(heard.end->exit_code, 0);
    }(this));
}

TEST_F(SessionsTest, SaysWhyASessionCanNotBeOpened) {
    play([](SessionsTest* test) -> Task<> {
        test->engine.kill_container("dev", 1);
        const auto wire = test->open(exec({"cat"}, false));
        const auto answer = co_await opened(wire.get());
        EXPECT_EQ(answer.problem.value().status, 409);
        EXPECT_THAT(answer.problem->detail, testing::HasSubstr("dev does not run"));
    }(this));
}

TEST_F(SessionsTest, APlainSessionEndsWithItsConnection) {
    play([](SessionsTest* test) -> Task<> {
        const auto wire = test->open(exec({"cat"}, false));
        co_await opened(wire.get());
        EXPECT_EQ(test->sessions->size(), 1U);
        wire->leave();
        while (test->sessions->size() > 0) co_await aio::sleep(1ms);
    }(this));
}

TEST_F(SessionsTest, ANumberedSessionGoesOnOverAnotherConnection) {
    play([](SessionsTest* test) -> Task<> {
        const auto first = test->open(exec({"cat"}, true));
        const auto answer = co_await opened(first.get());
        first->send_input("one");
        const auto message = co_await first->receive();
        EXPECT_TRUE(message.has_value());
        first->cut();
        const auto second = test->open(again(answer, 0));
        const auto resumed = co_await opened(second.get());
        EXPECT_EQ(resumed.received, 1U);
        second->send_input("two");
        second->send(protocol::session_message(Channel::close, std::string(1, '\0')));
        const auto heard = co_await hear(second.get());
        EXPECT_EQ(heard.output, "onetwo") << "what was not acknowledged comes again";
        EXPECT_EQ(heard.end->exit_code, 0);
    }(this));
}

TEST_F(SessionsTest, WhatHasOnlyArrivedIsNotToldAsUsedOverAnotherConnection) {
    play([](SessionsTest* test) -> Task<> {
        constexpr std::uint64_t kCount = 48;
        auto wire = test->open(exec({"cat"}, true));
        const auto answer = co_await opened(wire.get());
        // Nobody reads what it echoes, so it stops reading.
        for (std::uint64_t i = 0; i < kCount; ++i) wire->send_input(std::string(64 << 10, 'x'));
        co_await aio::sleep(50ms);
        wire->cut();
        wire = test->open(again(answer, 0));
        const auto resumed = co_await opened(wire.get());
        EXPECT_EQ(resumed.received, kCount);
        EXPECT_LT(resumed.used, kCount);
        // And one that sends more than a window beyond that is no person of ours.
        while (test->sessions->size() > 0) {
            wire->send_input(std::string(64 << 10, 'x'));
            co_await aio::sleep(1ms);
        }
    }(this));
}

TEST_F(SessionsTest, ASessionIsTakenUpByWhoBeganItAlone) {
    play([](SessionsTest* test) -> Task<> {
        const auto first = test->open(exec({"cat"}, true));
        const auto answer = co_await opened(first.get());
        auto other = again(answer, 0);
        other.user = "u2";
        const auto wire = test->open(other);
        const auto refused = co_await opened(wire.get());
        EXPECT_EQ(refused.problem.value().status, 404);
    }(this));
}

TEST_F(SessionsTest, IsOverWhenNobodyComesBackInTime) {
    grace = 50ms;
    play([](SessionsTest* test) -> Task<> {
        const auto wire = test->open(exec({"cat"}, true));
        co_await opened(wire.get());
        wire->cut();
        while (test->sessions->size() > 0) co_await aio::sleep(1ms);
    }(this));
}

TEST_F(SessionsTest, AProcessWhoseOutputNobodyReadsIsHeldUp) {
    play([](SessionsTest* test) -> Task<> {
        const auto wire = test->open(exec({"yes"}, true));
        co_await opened(wire.get());
        std::size_t bytes = 0;
        // Without an acknowledgement a window comes, and no more.
        for (;;) {
            if (wire->waiting() == 0) {
                co_await aio::sleep(50ms);
                if (wire->waiting() == 0) break;
            }
            const auto message = co_await wire->receive();
            bytes += message.value().size();
        }
        EXPECT_GE(bytes, protocol::kWindow);
        EXPECT_LT(bytes, protocol::kWindow + protocol::kMostSessionData);
        wire->send(protocol::session_message(Channel::end, ""));
        while (test->sessions->size() > 0) co_await aio::sleep(1ms);
    }(this));
}

TEST_F(SessionsTest, AnAcknowledgementOfWhatWasNeverSentEndsTheConnection) {
    play([](SessionsTest* test) -> Task<> {
        const auto wire = test->open(exec({"cat"}, true));
        co_await opened(wire.get());
        wire->send(protocol::ack_message(7));
        EXPECT_FALSE((co_await wire->receive()).has_value());
    }(this));
}

TEST(OutboxTest, ManySmallMessagesFillItBeforeTheyTakeMoreMemoryThanTheWindow) {
    protocol::Outbox outbox;
    while (!outbox.full()) outbox.push(protocol::session_message(Channel::output, "x"));
    EXPECT_LE(outbox.end(), protocol::kWindow / protocol::kMessageCost);
    outbox.acknowledge(outbox.end());
    EXPECT_FALSE(outbox.full());
    while (!outbox.full()) {
        outbox.push(protocol::session_message(Channel::output, std::string(64 << 10, 'x')));
    }
    EXPECT_GE(outbox.bytes(), protocol::kWindow - (64 << 10)) << "large ones have the window";
}

// What a person does whose line is cut at random, and who comes back each time.
TEST_F(SessionsTest, LosesAndRepeatsNothingHoweverOftenTheLineIsCut) {
    play([](SessionsTest* test) -> Task<> {
        std::minstd_rand random(7);
        std::string sent;
        for (int i = 0; i < 20'000; ++i) sent += fmt::format("line {}\n", i);
        auto wire = test->open(exec({"cat"}, true));
        const auto first = co_await opened(wire.get());
        protocol::Outbox outbox;
        std::size_t at = 0;
        while (at < sent.size()) {
            const auto size = std::min<std::size_t>(sent.size() - at, 1 + random() % 5000);
            outbox.push(
                protocol::session_message(Channel::input, std::string_view(sent).substr(at, size)));
            at += size;
        }
        outbox.push(protocol::session_message(Channel::close, std::string(1, '\0')));
        std::uint64_t next = 0;
        std::uint64_t received = 0;
        std::string heard;
        int cuts = 0;
        for (bool ended = false; !ended;) {
            for (int i = 0; i < 3 && next < outbox.end() && outbox.at(next)->size() > 0; ++i) {
                wire->send(*outbox.at(next++));
            }
            const auto message = random() % 7 == 0 ? std::nullopt : co_await wire->receive();
            if (!message) {
                ++cuts;
                wire->cut();
                wire = test->open(test->again(first, received));
                const auto resumed = co_await opened(wire.get());
                next = resumed.received;
                continue;
            }
            const auto channel = protocol::channel_of(*message);
            if (channel == Channel::ack) continue;
            ++received;
            if (channel == Channel::output) heard += protocol::data_of(*message);
            ended = channel == Channel::end;
            if (random() % 2 == 0) wire->send(protocol::ack_message(received));
        }
        EXPECT_GT(cuts, 5);
        EXPECT_TRUE(heard == sent);
    }(this));
}

TEST_F(SessionsTest, TellsALogAndItsEnd) {
    play([](SessionsTest* test) -> Task<> {
        test->engine.print("dev", "one\n");
        test->engine.print("dev", "two\n", true);
        test->engine.print("dev", "three\n");
        const auto wire = test->open(logs({.tail = 2}));
        co_await opened(wire.get());
        const auto heard = co_await hear(wire.get());
        EXPECT_EQ(heard.output, "three\n");
        EXPECT_EQ(heard.errors, "two\n");
        EXPECT_FALSE(heard.end->exit_code);
    }(this));
}

TEST_F(SessionsTest, FollowsALogAcrossAnEngineThatBreaksOffAndAReplacement) {
    play([](SessionsTest* test) -> Task<> {
        auto& engine = test->engine;
        engine.print("dev", "one\n");
        const auto wire = test->open(logs({.follow = true}, true));
        co_await opened(wire.get());
        EXPECT_EQ(co_await next(wire.get()), "\x01one\n");
        engine.set_down(true);
        co_await aio::sleep(20ms);
        engine.set_down(false);
        engine.print("dev", "two\n");
        EXPECT_EQ(co_await next(wire.get()), "\x01two\n") << "and not the first line again";
        engine.delete_container("dev");
        engine.put_container({.name = "dev", .image = "tools:1"});
        engine.print("dev", "three\n");
        EXPECT_THAT(co_await next(wire.get()), testing::HasSubstr("has a new container"));
        EXPECT_EQ(co_await next(wire.get()), "\x01three\n");
    }(this));
}

TEST_F(SessionsTest, OfTheLastLinesOfALogOnlyThoseSinceATimeAreGiven) {
    play([](SessionsTest* test) -> Task<> {
        for (const auto* line : {"one\n", "two\n", "three\n"}) test->engine.print("dev", line);
        const auto wire = test->open(logs({.tail = 2, .since = "2026-01-01T00:00:00.000002000Z"}));
        co_await opened(wire.get());
        const auto heard = co_await hear(wire.get());
        EXPECT_EQ(heard.output, "three\n");
    }(this));
}

// The fake's lines are of long ago: none of them is given when the log is opened again.
TEST_F(SessionsTest, WhoAskedForNoLineOfBeforeGetsNoneWhenTheLogIsOpenedAgain) {
    play([](SessionsTest* test) -> Task<> {
        test->engine.print("dev", "one\n");
        const auto wire = test->open(logs({.follow = true, .tail = 0}, true));
        co_await opened(wire.get());
        test->engine.set_down(true);
        co_await aio::sleep(20ms);
        test->engine.set_down(false);
        co_await aio::sleep(500ms);
        test->engine.delete_container("dev");
        test->engine.put_container({.name = "dev", .image = "tools:1"});
        test->engine.print("dev", "two\n");
        EXPECT_THAT(co_await next(wire.get()), testing::HasSubstr("has a new container"));
        EXPECT_EQ(co_await next(wire.get()), "\x01two\n");
    }(this));
}

TEST_F(SessionsTest, GoesOnWithALogWhereThePersonWas) {
    play([](SessionsTest* test) -> Task<> {
        for (const auto* line : {"one\n", "two\n", "three\n"}) test->engine.print("dev", line);
        const auto wire = test->open(logs({.since = "2026-01-01T00:00:00.000001000Z", .skip = 1}));
        co_await opened(wire.get());
        const auto heard = co_await hear(wire.get());
        EXPECT_EQ(heard.output, "three\n");
    }(this));
}

// It is another container's: all its lines are newer than those that are known.
TEST_F(SessionsTest, OfALogThatIsNewNoLineIsKnown) {
    play([](SessionsTest* test) -> Task<> {
        for (const auto* line : {"one\n", "two\n", "three\n"}) test->engine.print("dev", line);
        const auto wire = test->open(logs(
            {.since = "2025-01-01T00:00:00Z", .skip = 2, .skip_until = "2025-01-01T00:00:02Z"}));
        co_await opened(wire.get());
        const auto heard = co_await hear(wire.get());
        EXPECT_EQ(heard.output, "one\ntwo\nthree\n");
    }(this));
}

TEST_F(SessionsTest, ALogThatIsFollowedUntilATimeEndsThen) {
    play([](SessionsTest* test) -> Task<> {
        test->engine.print("dev", "one\n");
        const auto wire =
            test->open(logs({.follow = true, .until = format_rfc3339(now() + 300ms)}));
        co_await opened(wire.get());
        const auto heard = co_await hear(wire.get());
        EXPECT_EQ(heard.output, "one\n");
        EXPECT_TRUE(heard.end);
    }(this));
}

TEST_F(SessionsTest, NotesWhichCommandsRunUntilTheyEndOrAreLetGo) {
    const auto directory = std::filesystem::path(testing::TempDir()) / ("commands-" + new_id());
    commands = directory;
    play([](SessionsTest* test) -> Task<> {
        const OpenCommands noted(test->commands);
        auto wire = test->open(exec({"cat"}, true));
        const auto first = co_await opened(wire.get());
        EXPECT_EQ(noted.all().size(), 1U);
        EXPECT_EQ(noted.all()[0].session, first.session);
        EXPECT_EQ(noted.all()[0].container_id, test->engine.container("dev")->id);
        wire->send(protocol::session_message(Channel::close, std::string(1, '\0')));
        co_await hear(wire.get());
        wire->send(protocol::ack_message(1));
        while (test->sessions->size() > 0) co_await aio::sleep(1ms);
        EXPECT_TRUE(noted.all().empty());
        wire = test->open(exec({"cat"}, true));
        co_await opened(wire.get());
        wire->send(protocol::session_message(Channel::end, R"({"detach":true})"));
        while (test->sessions->size() > 0) co_await aio::sleep(1ms);
        EXPECT_TRUE(noted.all().empty());
    }(this));
    std::filesystem::remove_all(directory);
}

// A process of a container, as proc(5) shows it.
class ProcTree {
  public:
    ~ProcTree() { std::filesystem::remove_all(root); }
    void put(int id, int parent, int session, std::string_view environment = "") const {
        const auto directory = root / std::to_string(id);
        std::filesystem::create_directories(directory);
        std::ofstream(directory / "stat")
            << fmt::format("{} (a) b) S {} 1 {} 0 0", id, parent, session);
        std::ofstream(directory / "cgroup") << "0::/docker/c1\n";
        std::ofstream(directory / "environ") << environment;
    }
    std::filesystem::path root = std::filesystem::path(testing::TempDir()) / ("proc-" + new_id());
};

TEST(ProcessTreeTest, FindsDescendantsThoseOfTheTerminalAndThoseWithTheMark) {
    const ProcTree proc;
    proc.put(1, 0, 1);
    proc.put(10, 0, 10);  // the command
    proc.put(11, 10, 10);
    proc.put(12, 11, 12);  // a child with a terminal session of its own
    proc.put(13, 1, 10);   // an orphan of the same terminal session
    proc.put(14, 1, 14, std::string("A=1\0TRAILER_SESSION=s1\0", 23));
    proc.put(15, 1, 15, "TRAILER_SESSION=s10");
    const ProcessTree tree(proc.root, "c1", "s1");
    EXPECT_THAT(tree.processes(10), testing::ElementsAre(10, 11, 12, 13, 14));
    EXPECT_TRUE(tree.sees(10));
    EXPECT_FALSE(tree.sees(99));
    EXPECT_FALSE(ProcessTree(proc.root, "c2", "s1").sees(10));
}

// --- a host's own log

class HostLog {
  public:
    HostLog() { std::filesystem::create_directories(directory_); }
    ~HostLog() { std::filesystem::remove_all(directory_); }
    HostLog(const HostLog&) = delete;
    HostLog& operator=(const HostLog&) = delete;

    std::filesystem::path file() const { return directory_ / "agent.log"; }
    void write(const std::string& text) const { std::ofstream(file(), std::ios::app) << text; }
    void move_aside() const {
        const auto one = directory_ / "agent.1.log";
        if (std::filesystem::exists(one)) std::filesystem::rename(one, directory_ / "agent.2.log");
        std::filesystem::rename(file(), one);
    }

  private:
    std::filesystem::path directory_ =
        std::filesystem::path(testing::TempDir()) / ("log-" + random_token(6));
};

std::string at(int second, const std::string& text) {
    return fmt::format("2026-11-24T01:02:{:02}.000Z info {}\n", second, text);
}

Task<> read_to_the_end(FileEndpoint* endpoint, std::string* text) {
    for (;;) {
        const auto message = co_await endpoint->read();
        if (protocol::channel_of(message) == Channel::end) co_return;
        *text += protocol::data_of(message);
    }
}

std::string read_log(const HostLog& log, protocol::LogQuery query) {
    asio::io_context context;
    FileEndpoint endpoint(log.file(), std::move(query));
    std::string text;
    asio::co_spawn(context, read_to_the_end(&endpoint, &text), asio::detached);
    context.run_for(10s);
    return text;
}

TEST(FileEndpointTest, GivesAllOrTheLastLines) {
    const HostLog log;
    const auto all = at(1, "a") + at(2, "b") + at(3, "c");
    log.write(all);
    EXPECT_EQ(read_log(log, {}), all);
    EXPECT_EQ(read_log(log, {.tail = 2}), at(2, "b") + at(3, "c"));
    EXPECT_EQ(read_log(log, {.tail = 0}), "");
    log.write("cut off");
    EXPECT_EQ(read_log(log, {.tail = 1}), "cut off");
}

TEST(FileEndpointTest, GoesOnFromWhatIsKnown) {
    const HostLog log;
    log.write(at(1, "a") + at(2, "b") + "of b\n" + at(2, "c") + at(3, "d"));
    const std::string since = "2026-11-24T01:02:02.000Z";
    EXPECT_EQ(read_log(log, {.since = since}), at(2, "b") + "of b\n" + at(2, "c") + at(3, "d"));
    EXPECT_EQ(read_log(log, {.since = since, .skip = 2}), at(2, "c") + at(3, "d"));
    EXPECT_EQ(read_log(log, {.since = since, .skip = 3}), at(3, "d"));
    EXPECT_EQ(read_log(log, {.since = "2026-11-24T01:02:59Z"}), "");
}

TEST(FileEndpointTest, FindsWhatIsKnownInTheFileThatWasMovedAside) {
    const HostLog log;
    log.write(at(1, "a") + at(2, "b") + at(3, "c"));
    log.move_aside();
    log.write(at(4, "d"));
    EXPECT_EQ(read_log(log, {.since = "2026-11-24T01:02:02.000Z", .skip = 1}),
              at(3, "c") + at(4, "d"));
    EXPECT_EQ(read_log(log, {.since = "2026-11-24T01:02:04.000Z"}), at(4, "d"));
}

TEST(FileEndpointTest, ReadsThroughAllFilesFromTheOne) {
    const HostLog log;
    log.write(at(1, "a") + at(2, "b"));
    log.move_aside();
    log.write(at(3, "c"));
    log.move_aside();
    log.write(at(4, "d") + at(5, "e"));
    EXPECT_EQ(read_log(log, {}), at(1, "a") + at(2, "b") + at(3, "c") + at(4, "d") + at(5, "e"));
    EXPECT_EQ(read_log(log, {.tail = 2}), at(4, "d") + at(5, "e"));
    EXPECT_EQ(read_log(log, {.tail = 4}), at(2, "b") + at(3, "c") + at(4, "d") + at(5, "e"));
    EXPECT_EQ(read_log(log, {.tail = 9}), read_log(log, {}));
    EXPECT_EQ(read_log(log, {.tail = 0}), "");
    EXPECT_EQ(read_log(log, {.since = "2026-11-24T01:02:02.000Z"}),
              at(2, "b") + at(3, "c") + at(4, "d") + at(5, "e"));
}

TEST(FileEndpointTest, EndsWhereItIsToEvenWhileItFollows) {
    const HostLog log;
    log.write(at(1, "a") + at(2, "b") + "of b\n" + at(3, "c"));
    const std::string until = "2026-11-24T01:02:02.500Z";
    EXPECT_EQ(read_log(log, {.until = until}), at(1, "a") + at(2, "b") + "of b\n");
    EXPECT_EQ(read_log(log, {.follow = true, .until = until}), at(1, "a") + at(2, "b") + "of b\n");
    // Nothing later has been written, and nothing of that time comes any more.
    EXPECT_EQ(read_log(log, {.follow = true, .until = "2026-11-24T01:02:09.000Z"}),
              read_log(log, {}));
}

}  // namespace
}  // namespace trailer::sessions
