#include <gmock/gmock.h>

#include <random>

#include "client/session/scripted_sessions.h"
#include "client/session/session_client.h"

namespace {

using namespace trailer;
using namespace trailer::client;
using namespace std::chrono_literals;
using protocol::Channel;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string random_bytes(std::size_t count, unsigned seed) {
    std::minstd_rand random(seed);
    std::string bytes(count, '\0');
    for (auto& byte : bytes) byte = static_cast<char>(random());
    return bytes;
}

protocol::SessionEnd exit_with(int code) {
    protocol::SessionEnd end;
    end.exit_code = code;
    return end;
}

Task<> echo(ScriptedSession* session) {
    for (;;) {
        const auto message = co_await session->read();
        const auto channel = protocol::channel_of(message);
        if (channel == Channel::close) break;
        if (channel != Channel::input) continue;
        co_await session->write(Channel::output, message.substr(1));
    }
    session->end(exit_with(0));
}

Task<> say_hello_and_wait(ScriptedSession* session) {
    co_await session->write(Channel::output, "hello");
    for (;;) co_await session->read();
}

// A person's side that sends `input` in pieces of any size and collects what comes.
class Person {
  public:
    explicit Person(const std::string& url, std::string session = "exec?cmd=cat")
        : api({.server = url, .token = "secret"}),
          client(api, {"/api/workspaces/dev", std::move(session)},
                 [this](LinkNews each) { news.push_back(each); }) {}

    Task<int> run(std::string input) {
        co_await client.open();
        aio::TaskGroup tasks(api.executor());
        tasks.spawn(client.run());
        tasks.spawn(send(std::move(input)));
        tasks.spawn(collect());
        co_await tasks.join();
        co_return end.exit_code.value_or(-1);
    }

    Task<> send(std::string input) {
        std::minstd_rand random(7);
        for (std::size_t at = 0; at < input.size();) {
            const auto size = std::min<std::size_t>(random() % 50'000 + 1, input.size() - at);
            auto message =
                protocol::session_message(Channel::input, std::string_view(input).substr(at, size));
            co_await client.send(std::move(message));
            at += size;
        }
        client.post(protocol::session_message(Channel::close, std::string(1, '\0')));
    }

    Task<> collect() {
        for (bool ended = false; !ended;) {
            for (const auto& message : co_await client.receive()) {
                const auto channel = protocol::channel_of(message);
                if (channel == Channel::output) output += protocol::data_of(message);
                if (channel == Channel::end) {
                    end = protocol::read_end(protocol::data_of(message));
                    ended = true;
                }
            }
            client.used();
        }
    }

    Api api;
    std::vector<LinkNews> news;
    SessionClient client;
    std::string output;
    protocol::SessionEnd end;
};

TEST(SessionClientTest, CarriesBytesBothWaysAndTheEnd) {
    ScriptedSessions server;
    server.on("/exec", echo);
    Person person(server.url());
    const auto input = random_bytes(3 << 20, 1);
    EXPECT_EQ(person.api.run(person.run(input)), 0);
    EXPECT_TRUE(person.output == input);
    EXPECT_THAT(person.news, IsEmpty());
    EXPECT_EQ(server.sessions().front()->connections, 1);
}

class BreakingTest : public testing::TestWithParam<unsigned> {};

TEST_P(BreakingTest, NothingIsLostOrRepeatedWhereverTheConnectionBreaks) {
    std::minstd_rand random(GetParam());
    int breaks = 0;
    ScriptedSessions server;
    server.on("/exec", echo);
    server.opened = [&](ScriptedSession& session) {
        session.breaks = [&] {
            const bool now = breaks < 12 && random() % 60 == 0;
            if (now) ++breaks;
            return now;
        };
    };
    Person person(server.url());
    const auto input = random_bytes(4 << 20, GetParam());
    EXPECT_EQ(person.api.run(person.run(input)), 0);
    EXPECT_TRUE(person.output == input);
    EXPECT_GE(breaks, 3);
    EXPECT_GE(server.resumes, 3);
}
INSTANTIATE_TEST_SUITE_P(Seeds, BreakingTest, testing::Values(11U, 12U, 13U, 14U, 15U));

TEST(SessionClientTest, StopsSendingWhileTheHostUsesNothing) {
    ScriptedSessions server;
    server.on("/exec", say_hello_and_wait);
    server.on("/attach", [](ScriptedSession*) -> Task<> { co_return; });  // reads nothing
    Person person(server.url(), "attach");
    const auto run = [](Person* self) -> Task<int> {
        co_await self->client.open();
        aio::TaskGroup tasks(self->api.executor());
        tasks.spawn(self->client.run());
        tasks.spawn(self->send(std::string(8 << 20, 'x')));
        co_await aio::sleep(300ms);
        tasks.cancel();
        co_await tasks.join();
        co_return 0;
    };
    person.api.run(run(&person));
    const auto most = server.sessions().front()->most_unacknowledged.load();
    EXPECT_GE(most, protocol::kWindow);
    EXPECT_LT(most, protocol::kWindow + 51'000);
}

TEST(SessionClientTest, StopsSendingHoweverOftenTheConnectionBreaksWhileTheHostUsesNothing) {
    ScriptedSessions server;
    server.on("/attach", [](ScriptedSession*) -> Task<> { co_return; });  // reads nothing
    int passed = 0;
    server.opened = [&](ScriptedSession& session) {
        session.breaks = [&] { return ++passed % 40 == 0; };
    };
    Person person(server.url(), "attach");
    const auto run = [](Person* self, const ScriptedSessions* host) -> Task<int> {
        co_await self->client.open();
        aio::TaskGroup tasks(self->api.executor());
        tasks.spawn(self->client.run());
        tasks.spawn(self->send(std::string(8 << 20, 'x')));
        for (int i = 0; i < 200 && host->resumes == 0; ++i) co_await aio::sleep(20ms);
        co_await aio::sleep(500ms);
        tasks.cancel();
        co_await tasks.join();
        co_return 0;
    };
    person.api.run(run(&person, &server));
    EXPECT_GE(server.resumes, 1);
    EXPECT_LT(server.sessions().front()->most_unacknowledged.load(), protocol::kWindow + 51'000);
}

TEST(SessionClientTest, AReaderThatUsesNothingHoldsUpTheHost) {
    ScriptedSessions server;
    server.on("/exec", [](ScriptedSession* session) -> Task<> {
        for (;;) co_await session->write(Channel::output, std::string(9'999, 'x'));
    });
    Person person(server.url());
    const auto run = [](Person* self) -> Task<int> {
        co_await self->client.open();
        aio::TaskGroup tasks(self->api.executor());
        tasks.spawn(self->client.run());
        co_await self->client.receive();
        co_await aio::sleep(300ms);
        tasks.cancel();
        co_await tasks.join();
        co_return 0;
    };
    person.api.run(run(&person));
    const auto written = server.sessions().front()->written.load();
    EXPECT_GE(written, protocol::kWindow);
    EXPECT_LT(written, protocol::kWindow + 10'000);
}

TEST(SessionClientTest, ASessionThatIsGoneIsToldAsSuch) {
    ScriptedSessions server;
    server.on("/exec", [](ScriptedSession* session) -> Task<> {
        session->breaks = [] { return true; };
        co_await session->write(Channel::output, "never");
    });
    server.refuse_resume = 404;
    Person person(server.url());
    EXPECT_THROW(person.api.run(person.run("")), SessionGone);
    EXPECT_EQ(server.resumes, 1);
}

TEST(SessionClientTest, GivesUpWhenTheGraceIsOverAndSaysWhy) {
    ScriptedSessions server;
    server.on("/exec", [](ScriptedSession* session) -> Task<> {
        session->breaks = [] { return true; };
        co_await session->write(Channel::output, "never");
    });
    server.opened = [](ScriptedSession& session) { session.grace_ms = 1500; };
    server.refuse_resume = 503;
    Person person(server.url());
    try {
        person.api.run(person.run(""));
        ADD_FAILURE() << "it did not give up";
    } catch (const Error& e) {
        EXPECT_EQ(e.kind(), ErrorKind::unavailable);
        EXPECT_THAT(e.what(), HasSubstr("did not come back"));
        EXPECT_THAT(e.what(), HasSubstr("not now, or never"));
    }
    EXPECT_GE(server.resumes, 3);
    EXPECT_THAT(person.news, ElementsAre(LinkNews::lost));
}

TEST(SessionClientTest, ALongBreakIsToldWithItsEnd) {
    bool broken = false;
    ScriptedSessions server;
    server.on("/exec", echo);
    server.opened = [&](ScriptedSession& session) {
        session.breaks = [&] { return !std::exchange(broken, true); };
    };
    server.refuse_resume = 502;
    Person person(server.url());
    std::thread later([&] {
        std::this_thread::sleep_for(1600ms);
        server.refuse_resume = 0;
    });
    EXPECT_EQ(person.api.run(person.run("hello")), 0);
    later.join();
    EXPECT_EQ(person.output, "hello");
    EXPECT_THAT(person.news, ElementsAre(LinkNews::lost, LinkNews::back));
}

TEST(SessionClientTest, AConnectionThatBreaksAfterTheEndIsNotTakenUpAgain) {
    ScriptedSessions server;
    server.on("/exec", [](ScriptedSession* session) -> Task<> {
        co_await session->write(Channel::output, "all");
        session->end(exit_with(3));
        session->breaks = [session] { return session->pending() == 0; };
    });
    Person person(server.url());
    EXPECT_EQ(person.api.run(person.run("")), 3);
    EXPECT_EQ(person.output, "all");
    EXPECT_EQ(server.resumes, 0);
}

TEST(SessionClientTest, LeavingIsHeardByTheHost) {
    ScriptedSessions server;
    server.on("/exec", say_hello_and_wait);
    Person person(server.url());
    const auto run = [](Person* self) -> Task<int> {
        co_await self->client.open();
        self->client.leave({.detach = true});
        co_await self->client.run();
        co_return 0;
    };
    const auto begun = std::chrono::steady_clock::now();
    person.api.run(run(&person));
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 1s);
    EXPECT_EQ(server.sessions().front()->left, protocol::SessionLeave{.detach = true});
}

TEST(SessionClientTest, ARefusalIsTheServersOwnProblem) {
    ScriptedSessions server;
    Person person(server.url());
    try {
        person.api.run(person.run(""));
        ADD_FAILURE() << "it was not refused";
    } catch (const Error& e) {
        EXPECT_EQ(e.kind(), ErrorKind::not_found);
        EXPECT_THAT(e.what(), HasSubstr("there is no such thing"));
    }
}

}  // namespace
