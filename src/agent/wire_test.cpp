#include <gmock/gmock.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "agent/desired_copy.h"
#include "agent/play.h"
#include "agent/realtime.h"
#include "agent/server_link.h"
#include "agent/status_sender.h"

namespace {

using namespace trailer;
using namespace trailer::agent;
using protocol::ControlType;
using protocol::Health;
using protocol::State;
using testing::ElementsAre;

Task<> sign_in(ServerLink& link, SigningKey key = SigningKey::generate()) {
    protocol::ChallengeRequest question{key.public_key()};
    const auto challenge = co_await link.challenge(std::move(question));
    protocol::RegisterRequest request;
    request.registration_token = std::string(32, 'a');
    request.public_key = key.public_key();
    request.challenge = challenge.challenge;
    request.signature =
        key.sign(protocol::signed_text(challenge.challenge, request.registration_token));
    request.deployment_name = "host-1";
    request.version = "1";
    co_await link.register_host(std::move(request));
}

Task<ErrorKind> failure_of_heartbeat(ServerLink& link) {
    try {
        protocol::HeartbeatRequest request;
        co_await link.heartbeat(std::move(request));
    } catch (const Error& e) {
        co_return e.kind();
    }
    throw Error(ErrorKind::internal, "the heartbeat was taken");
}

Task<> tells_refusals_apart(Stage& stage) {
    ServerLink link(stage.executor(), stage.server.url());
    EXPECT_EQ(co_await failure_of_heartbeat(link), ErrorKind::unauthenticated);
    using Reason = RegistrationRefused::Reason;
    for (const auto reason : {Reason::pending_approval, Reason::identity_conflict}) {
        stage.server.approved = reason != Reason::pending_approval;
        stage.server.conflict = reason == Reason::identity_conflict;
        try {
            co_await sign_in(link);
            ADD_FAILURE() << "registered";
        } catch (const RegistrationRefused& e) {
            EXPECT_EQ(e.reason(), reason);
        }
    }
    stage.server.conflict = false;
    co_await sign_in(link);
    EXPECT_TRUE(stage.server.signature_is_good);
    for (const auto& [status, kind] :
         {std::pair{503, ErrorKind::unavailable}, std::pair{429, ErrorKind::rate_limited},
          std::pair{422, ErrorKind::invalid}, std::pair{404, ErrorKind::not_found}}) {
        stage.server.fail_with = status;
        EXPECT_EQ(co_await failure_of_heartbeat(link), kind) << status;
    }
}

TEST(ServerLinkTest, TellsTheServersRefusalsApart) {
    Stage stage;
    stage.play(tells_refusals_apart(stage));
}

Task<> gets_desired_state(Stage& stage) {
    ServerLink link(stage.executor(), stage.server.url());
    co_await sign_in(link);
    stage.server.desired.revision = 3;
    stage.server.desired.workspaces.emplace_back().name = "dev";
    auto answer = co_await link.desired_state(2, "");
    EXPECT_TRUE(answer.has_value());
    if (!answer) co_return;
    DesiredCopy copy;
    copy.take(std::move(*answer));
    EXPECT_EQ(copy.state(), stage.server.desired);
    EXPECT_FALSE((co_await link.desired_state(copy.revision(), copy.history())).has_value());
}

TEST(ServerLinkTest, GetsTheDesiredStateOnlyWhenItIsNewer) {
    Stage stage;
    stage.play(gets_desired_state(stage));
}

protocol::StatusReport report(int number, State status = State::running) {
    protocol::StatusReport report;
    report.id = fmt::format("{:04}", number);
    report.status = status;
    return report;
}

Task<> sends_in_batches(Stage& stage) {
    ServerLink link(stage.executor(), stage.server.url());
    co_await sign_in(link);
    StatusSender sender(stage.executor(), link, [] {});
    for (int i = 0; i < 450; ++i) {
        sender.push(report(i, State::starting));
        sender.push(report(i));
    }
    aio::TaskGroup sending(stage.executor());
    sending.spawn(sender.run());
    co_await until([&] { return stage.server.reports.size() >= 450; }, "450 reports");
    EXPECT_EQ(stage.server.reports.size(), 450U);
    EXPECT_EQ(stage.server.status_batches, 3);
    EXPECT_EQ(stage.server.reports[449].id, "0449");
    for (const auto& each : stage.server.reports) EXPECT_EQ(each.status, State::running);
    sending.cancel();
    co_await sending.join();
}

TEST(StatusSenderTest, SendsTheNewestOfEachResourceInBatches) {
    Stage stage;
    stage.play(sends_in_batches(stage));
}

Task<> sends_until_delivered(Stage& stage) {
    ServerLink link(stage.executor(), stage.server.url());
    co_await sign_in(link);
    int rejected = 0;
    StatusSender sender(stage.executor(), link, [&] { ++rejected; });
    aio::TaskGroup sending(stage.executor());
    sending.spawn(sender.run());
    stage.server.fail_with = 503;
    sender.push(report(1, State::starting));
    co_await aio::sleep(50ms);
    sender.push(report(1));
    stage.server.forget_tokens();
    co_await until([&] { return rejected > 0; }, "the 401 to be told");
    stage.server.fail_with = 0;
    co_await sign_in(link);
    co_await until([&] { return !stage.server.reports.empty(); }, "the report");
    EXPECT_EQ(stage.server.reports.size(), 1U);
    EXPECT_EQ(stage.server.reports[0].status, State::running);
    sending.cancel();
    co_await sending.join();
}

TEST(StatusSenderTest, SendsAgainUntilItIsDelivered) {
    Stage stage;
    stage.play(sends_until_delivered(stage));
}

Task<> keeps_what_was_cut_off(Stage& stage) {
    ServerLink link(stage.executor(), stage.server.url());
    co_await sign_in(link);
    StatusSender sender(stage.executor(), link, [] {});
    stage.server.fail_with = 503;
    sender.push(report(1));
    {
        aio::TaskGroup sending(stage.executor());
        sending.spawn(sender.run());
        co_await aio::sleep(30ms);
        sending.cancel();
        co_await sending.join();
    }
    stage.server.fail_with = 0;
    aio::TaskGroup sending(stage.executor());
    sending.spawn(sender.run());
    co_await until([&] { return stage.server.reports.size() == 1; }, "the report");
    sending.cancel();
    co_await sending.join();
}

TEST(StatusSenderTest, KeepsWhatWasOnItsWayWhenItIsCutOff) {
    Stage stage;
    stage.play(keeps_what_was_cut_off(stage));
}

Task<> gives_up_what_is_refused(Stage& stage) {
    ServerLink link(stage.executor(), stage.server.url());
    co_await sign_in(link);
    stage.server.refuse_reports_of = 2;
    StatusSender sender(stage.executor(), link, [] {});
    for (int i = 0; i < 5; ++i) sender.push(report(i));
    aio::TaskGroup sending(stage.executor());
    sending.spawn(sender.run());
    co_await until([&] { return stage.server.reports.size() == 5; }, "5 reports");
    stage.server.refuse_reports_of = -1;  // even one
    sender.push(report(6));
    co_await until([&] { return sender.waiting() == 0; }, "the refused report to be given up");
    co_await aio::sleep(50ms);
    stage.server.refuse_reports_of = 0;
    sender.push(report(7));
    co_await until([&] { return stage.server.reports.size() == 6; }, "the next report");
    EXPECT_EQ(stage.server.reports.back().id, "0007");
    sending.cancel();
    co_await sending.join();
}

TEST(StatusSenderTest, ARefusedReportIsGivenUpAndTheOthersAreDelivered) {
    Stage stage;
    stage.play(gives_up_what_is_refused(stage));
}

struct Heard {
    int opened = 0;
    int settings = 0;
    int rejected = 0;
    std::vector<std::int64_t> nudges;

    Realtime::Handlers handlers() {
        Realtime::Handlers handlers;
        handlers.opened = [this] { ++opened; };
        handlers.nudged = [this](std::int64_t revision) { nudges.push_back(revision); };
        handlers.settings_changed = [this] { ++settings; };
        handlers.unauthenticated = [this] { ++rejected; };
        return handlers;
    }
};

Task<> hears(Stage& stage) {
    ServerLink link(stage.executor(), stage.server.url());
    Heard heard;
    Realtime realtime(link, heard.handlers());
    EXPECT_EQ(realtime.condition().status, Health::unknown);
    aio::TaskGroup listening(stage.executor());
    listening.spawn(realtime.run());
    co_await until([&] { return heard.rejected > 0; }, "the 401 to be told");
    EXPECT_EQ(realtime.condition().status, Health::failing);
    EXPECT_NE(realtime.condition().reason, "");

    co_await sign_in(link);
    co_await until([&] { return heard.opened == 1; }, "the connection");
    EXPECT_EQ(realtime.condition().status, Health::ok);
    stage.server.say({ControlType::nudge, 7, {}});
    stage.server.say({ControlType::settings, {}, {}});
    stage.server.say({ControlType::echo, {}, 42});
    co_await until([&] { return !stage.server.echo_replies.empty(); }, "the echo");
    EXPECT_THAT(stage.server.echo_replies, ElementsAre(42));
    EXPECT_THAT(heard.nudges, ElementsAre(7));
    EXPECT_EQ(heard.settings, 1);

    co_await stage.server.down();
    co_await until([&] { return realtime.condition().status == Health::failing; }, "the failure");
    stage.server.up();
    co_await until([&] { return heard.opened == 2; }, "the connection to be back");
    listening.cancel();
    co_await listening.join();
    co_await until([&] { return stage.server.sockets() == 0; }, "the connection to be closed");
}

TEST(RealtimeTest, HearsTheServerAndConnectsAgain) {
    Stage stage;
    stage.play(hears(stage));
}

// What stands at the address of a server that is away: takes connections, and ends them.
class NoServer {
  public:
    NoServer(const asio::any_io_executor& executor, std::uint16_t port)
        : acceptor_(executor, {asio::ip::make_address("127.0.0.1"), port}), tasks_(executor) {
        tasks_.spawn(accept());
    }
    int taken = 0;
    int open = 0;
    int most_open = 0;

    Task<> end() {
        acceptor_.close();
        tasks_.cancel();
        try {
            co_await tasks_.join();
        } catch (const boost::system::system_error& e) {
            log::debug("ended: {}", e.what());
        }
    }

  private:
    Task<> accept() {
        for (;;) {
            asio::ip::tcp::socket socket(acceptor_.get_executor());
            co_await acceptor_.async_accept(socket, asio::use_awaitable);
            ++taken;
            tasks_.spawn(hold(std::move(socket)));
        }
    }
    Task<> hold(asio::ip::tcp::socket) {
        most_open = std::max(most_open, ++open);
        co_await aio::sleep(5ms);
        --open;
    }

    asio::ip::tcp::acceptor acceptor_;
    aio::TaskGroup tasks_;
};

// As the agent's loops do: again and again, at once.
Task<> beat_until_taken(ServerLink* link, int* failed) {
    for (;;) {
        try {
            protocol::HeartbeatRequest request;
            co_await link->heartbeat(std::move(request));
            co_return;
        } catch (const Error& e) {
            ++*failed;
        }
    }
}

Task<> one_tries_while_it_is_away(Stage& stage) {
    ServerLink link(stage.executor(), stage.server.url());
    co_await sign_in(link);
    co_await stage.server.down();
    const auto port = net::Endpoint::parse(stage.server.url()).port;
    int failed = 0;
    aio::TaskGroup callers(stage.executor());
    {
        NoServer nobody(stage.executor(), port);
        EXPECT_EQ(co_await failure_of_heartbeat(link), ErrorKind::unavailable);
        EXPECT_TRUE(link.away());
        for (int i = 0; i < 8; ++i) callers.spawn(beat_until_taken(&link, &failed));
        co_await until([&] { return nobody.taken >= 3; }, "two more tries");
        EXPECT_EQ(nobody.most_open, 1) << "eight callers, and one connection at a time";
        co_await nobody.end();
    }
    stage.server.up();
    const auto before = failed;
    co_await callers.join();
    EXPECT_LE(failed, before + 1) << "but for one that was under way";
    EXPECT_EQ(stage.server.heartbeats, 8);
}

TEST(ServerLinkTest, OneCallTriesWhileTheServerIsAwayAndAllGoOnWhenItIsBack) {
    Stage stage;
    stage.play(one_tries_while_it_is_away(stage));
}

Task<> spreads_its_return(Stage& stage) {
    // Twenty agents lose their connections at one moment, and are back within what they were told.
    std::vector<std::unique_ptr<ServerLink>> links;
    std::vector<std::unique_ptr<Realtime>> all;
    std::vector<std::chrono::steady_clock::time_point> opened;
    aio::TaskGroup listening(stage.executor());
    for (int i = 0; i < 20; ++i) {
        links.push_back(std::make_unique<ServerLink>(stage.executor(), stage.server.url()));
        co_await sign_in(*links.back());
        Realtime::Handlers handlers;
        handlers.opened = [&] { opened.push_back(std::chrono::steady_clock::now()); };
        handlers.nudged = [](std::int64_t) {};
        handlers.settings_changed = handlers.unauthenticated = [] {};
        all.push_back(std::make_unique<Realtime>(*links.back(), handlers));
        listening.spawn(all.back()->run());
    }
    co_await until([&] { return opened.size() == 20; }, "the connections");
    stage.server.say({.type = ControlType::echo, .id = 1, .spread_ms = 1000});
    co_await until([&] { return stage.server.echo_replies.size() == 20; }, "the echoes");
    opened.clear();
    const auto lost = std::chrono::steady_clock::now();
    stage.server.drop_sockets();
    co_await until([&] { return opened.size() == 20; }, "the connections to be back");
    EXPECT_GT(opened[19] - lost, 500ms) << "they come over a second, not all at once";
    listening.cancel();
    co_await listening.join();
}

TEST(RealtimeTest, ReturnsAtAMomentOfItsOwnOfTheTimeThatTheServerTold) {
    Stage stage;
    stage.play(spreads_its_return(stage));
}

}  // namespace
