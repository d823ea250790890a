// Who may, who listens, and the form of what is told.
#include "server/trial.h"

namespace {

using namespace trailer;
using namespace trailer::server;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ServerTest : public WorldTest {};

// --- who may

Task<> needs_login(World& world) {
    for (const auto* path : {"/api/hosts", "/api/workspaces", "/api/events", "/metrics"}) {
        const auto answer = co_await world.call("GET", path);
        EXPECT_EQ(answer.status, 401) << path;
        EXPECT_EQ(answer.headers.get("Content-Type"), "application/problem+json");
    }
    EXPECT_EQ((co_await world.call("GET", "/healthz")).status, 200);
    EXPECT_EQ((co_await world.call("GET", "/readyz")).status, 200);
    co_await world.log_in();
    const auto me = co_await world.call("GET", "/api/auth/me");
    EXPECT_EQ(me.text_at("username"), "admin");
    co_await world.call("POST", "/api/auth/logout");
    EXPECT_EQ((co_await world.call("GET", "/api/auth/me")).status, 401);
}

TEST_F(ServerTest, NothingIsShownToStrangers) {
    play(needs_login);
}

Task<> guesses(World& world) {
    json::object wrong{{"username", "admin"}, {"password", "wrong"}};
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ((co_await world.call("POST", "/api/auth/login", wrong)).status, 401);
    }
    const auto refused = co_await world.call("POST", "/api/auth/login", wrong);
    EXPECT_EQ(refused.status, 429);
    EXPECT_FALSE(refused.headers.get("Retry-After").empty());
    json::object right{{"username", "admin"}, {"password", world.password}};
    EXPECT_EQ((co_await world.call("POST", "/api/auth/login", right)).status, 429);
}

TEST_F(ServerTest, PasswordsCantBeGuessedOneAfterAnother) {
    play(guesses);
}

Task<> cookies(World& world) {
    json::object right{{"username", "admin"}, {"password", world.password}};
    const auto login = co_await world.call("POST", "/api/auth/login", right);
    std::string session;
    std::string csrf;
    for (const auto& [name, value] : login.headers) {
        if (name != "Set-Cookie") continue;
        EXPECT_THAT(value, HasSubstr("SameSite=Strict"));
        const auto text = value.substr(0, value.find(';'));
        if (text.starts_with("trailer_session=")) {
            EXPECT_THAT(value, HasSubstr("HttpOnly"));
            session = text;
        } else {
            csrf = text.substr(text.find('=') + 1);
        }
    }
    net::Headers cookie{{"Cookie", "other=1; " + session}};
    EXPECT_EQ((co_await world.call("GET", "/api/auth/me", nullptr, cookie)).status, 200);
    json::object name{{"name", "ci"}};
    EXPECT_EQ((co_await world.call("POST", "/api/tokens", name, cookie)).status, 403);
    cookie.set("X-CSRF-Token", csrf);
    EXPECT_EQ((co_await world.call("POST", "/api/tokens", name, cookie)).status, 201);
}

TEST_F(ServerTest, ACookieNeedsTheHeaderThatOnlyOurPageSends) {
    play(cookies);
}

Task<> password_change(World& world) {
    co_await world.log_in();
    const auto first = world.token;
    co_await world.log_in();
    json::object wrong{{"current", "x"}, {"new", "long enough it is"}};
    const auto refused = co_await world.call("POST", "/api/auth/password", wrong);
    EXPECT_THAT(refused.pointers(), ElementsAre("/current"));
    EXPECT_TRUE(std::filesystem::exists(world.directory() / "initial_admin_password"));
    json::object right{{"current", world.password}, {"new", "long enough it is"}};
    EXPECT_EQ((co_await world.call("POST", "/api/auth/password", right)).status, 204);
    EXPECT_FALSE(std::filesystem::exists(world.directory() / "initial_admin_password"));
    net::Headers other{{"Authorization", "Bearer " + first}};
    EXPECT_EQ((co_await world.call("GET", "/api/auth/me", nullptr, other)).status, 401);
    EXPECT_EQ((co_await world.call("GET", "/api/auth/me")).status, 200);
}

TEST_F(ServerTest, ANewPasswordEndsOtherSessionsAndTheFileOfTheFirstOne) {
    play(password_change);
}

// --- who listens

Task<protocol::ControlMessage> next_of(net::WebSocket& socket) {
    auto message = co_await socket.read();
    co_return wire::from_json_text<protocol::ControlMessage>(message.value().data);
}

Task<std::string> realtime_health(World& world) {
    const auto host = co_await world.call("GET", "/api/hosts/host-1");
    co_return std::string(host.at("realtime").as_object().at("status").as_string());
}

// An agent that answers plans by hand.
Task<> answer_one_plan(World& world) {
    net::Request request{"GET", "/api/agent/realtime", world.as_agent(), ""};
    auto socket = co_await world.client().websocket(request, aio::Deadline::in(5s));
    protocol::ControlMessage control;
    while (control.type != protocol::ControlType::plan) control = co_await next_of(*socket);
    const auto path = fmt::format("/api/agent/plans/{}", control.id.value());
    EXPECT_EQ((co_await world.call("GET", path)).status, 401) << "a person's token";
    const auto asked = co_await world.call("GET", path, nullptr, world.as_agent());
    const auto question = wire::from_json<protocol::DesiredState>(asked.value);
    EXPECT_EQ(question.workspaces.at(0).name, "dev");
    EXPECT_EQ(question.networks.size(), 1U);
    const auto body = wire::parse(
        R"({"steps": [{"kind": "Workspace", "name": "dev", "action": "create_container",
            "reason": "is not there"}]})");
    EXPECT_EQ((co_await world.call("POST", path, body, world.as_agent())).status, 204);
}

Task<> plans(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    const auto documents = wire::parse(kDocuments);
    auto answer = co_await world.call("POST", "/api/apply?dry_run=true", documents);
    EXPECT_THAT(answer.text, HasSubstr("the host is not connected"));
    aio::TaskGroup agent(co_await asio::this_coro::executor);
    agent.spawn(answer_one_plan(world));
    for (int i = 0; i < 200 && answer.text.find("not connected") != answer.text.npos; ++i) {
        co_await aio::sleep(10ms);
        answer = co_await world.call("POST", "/api/apply?dry_run=true", documents);
    }
    co_await agent.join();
    const auto plans = wire::from_json<protocol::ApplyAnswer>(answer.value).plans.value();
    EXPECT_EQ(plans.at(0).host, "host-1");
    EXPECT_EQ(plans.at(0).plan.steps.at(0).action, "create_container");
    EXPECT_THAT((co_await world.call("GET", "/api/workspaces")).names(), IsEmpty());
    EXPECT_EQ((co_await world.call("GET", "/api/agent/plans/1", nullptr, world.as_agent())).status,
              404);
}

TEST_F(ServerTest, ADryRunTellsWhatTheAgentWouldDo) {
    play(plans);
}

Task<> realtime(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    net::Request request{"GET", "/api/agent/realtime", world.as_agent(), ""};
    auto socket = co_await world.client().websocket(request, aio::Deadline::in(5s));
    auto control = co_await next_of(*socket);
    EXPECT_EQ(control.type, protocol::ControlType::echo);
    control.type = protocol::ControlType::echo_reply;
    co_await socket->write(wire::to_json_text(control));
    for (int i = 0; i < 100 && co_await realtime_health(world) != "ok"; ++i)
        co_await aio::sleep(10ms);
    EXPECT_EQ(co_await realtime_health(world), "ok");
    co_await world.apply(kDocuments);
    control = co_await next_of(*socket);
    EXPECT_EQ(control.type, protocol::ControlType::nudge);
    EXPECT_EQ(control.revision, 1);
    co_await world.call("PATCH", "/api/hosts/host-1", wire::parse(R"({"enabled": false})"));
    control = co_await next_of(*socket);
    EXPECT_EQ(control.type, protocol::ControlType::settings);
    co_await socket->close();
    for (int i = 0; i < 100 && co_await realtime_health(world) == "ok"; ++i)
        co_await aio::sleep(10ms);
    EXPECT_EQ(co_await realtime_health(world), "unknown") << "of a disabled host";
}

TEST_F(ServerTest, AChangeIsNudgedOverTheRealtimeConnection) {
    play(realtime);
}

Task<std::string> read_events(World& world, net::Headers headers, std::string until) {
    headers.set("Authorization", "Bearer " + world.token);
    net::Request request{"GET", "/api/events", std::move(headers), ""};
    auto stream = co_await world.client().open(std::move(request), aio::Deadline::in(5s));
    std::string text;
    while (text.find(until) == text.npos) {
        auto reading = stream->read();
        text += co_await aio::with_deadline(std::move(reading), aio::Deadline::in(5s), "events");
    }
    co_return text;
}

std::string last_id(const std::string& text) {
    const auto begin = text.rfind("id: ") + 4;
    return text.substr(begin, text.find('\n', begin) - begin);
}

Task<> events(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    const auto greeting = co_await read_events(world, {}, "\n\n");
    EXPECT_THAT(greeting, HasSubstr("id: "));
    co_await world.apply(kDocuments);
    const net::Headers resume{{"Last-Event-ID", last_id(greeting)}};
    const auto text = co_await read_events(world, resume, "\"dev\"");
    EXPECT_THAT(text, HasSubstr("event: resource"));
    EXPECT_THAT(text, HasSubstr(R"("type":"created","kind":"Network")"));
    const net::Headers unknown{{"Last-Event-ID", "gone-1"}};
    EXPECT_THAT(co_await read_events(world, unknown, "\n\n"), HasSubstr("event: reset"));
}

TEST_F(ServerTest, EventsResumeWhereTheyBrokeOrSayThatTheyCant) {
    play(events);
}

// --- form

Task<> form(World& world) {
    EXPECT_EQ((co_await world.call("GET", "/api/nothing")).status, 404);
    const auto method = co_await world.call("DELETE", "/api/apply");
    EXPECT_EQ(method.status, 405);
    EXPECT_EQ(method.headers.get("Allow"), "POST");
    co_await world.log_in();
    co_await world.add_host();
    json::array many;
    for (int i = 10; i < 17; ++i) {
        many.emplace_back(json::object{{"kind", "Workspace"},
                                       {"name", fmt::format("w{}", i)},
                                       {"spec", json::object{{"image", "x"}}}});
    }
    co_await world.call("POST", "/api/apply", many);
    std::vector<std::string> names;
    std::string cursor;
    do {
        const auto page = co_await world.call("GET", "/api/workspaces?limit=3" + cursor);
        for (const auto& name : page.names()) names.push_back(name);
        const auto* next = page.value.as_object().if_contains("next_cursor");
        cursor = next == nullptr ? "" : "&cursor=" + std::string(next->as_string());
    } while (!cursor.empty());
    EXPECT_THAT(names, ElementsAre("w10", "w11", "w12", "w13", "w14", "w15", "w16"));
    EXPECT_EQ((co_await world.call("GET", "/api/workspaces?limit=5000")).status, 422);
    const auto metrics = co_await world.call("GET", "/metrics");
    EXPECT_THAT(metrics.text,
                HasSubstr(R"(trailer_resources{kind="workspace",status="deployment_pending"} 7)"));
}

TEST_F(ServerTest, ListsProblemsAndMetricsHaveTheirForm) {
    play(form);
}

}  // namespace
