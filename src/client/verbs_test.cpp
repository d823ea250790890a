#include <gmock/gmock.h>
#include <sys/stat.h>

#include "client/play.h"
#include "wire/yaml.h"

namespace {

using namespace trailer;
using namespace trailer::client;
using protocol::ApplyAnswer;
using protocol::ApplyResult;
using protocol::Kind;
using protocol::ResourceView;
using protocol::State;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

ResourceView workspace(const std::string& name, State status = State::running) {
    ResourceView view;
    view.id = "id-" + name;
    view.name = name;
    view.host = "gpu-1";
    view.running = true;
    view.spec["image"] = "debian";
    view.status = status;
    view.created = now() - std::chrono::hours(5);
    view.updated = view.created;
    return view;
}

std::string list_of(const std::vector<ResourceView>& views, const std::string& next = {}) {
    boost::json::object answer{{"items", wire::to_json(views)}};
    if (!next.empty()) answer["next_cursor"] = next;
    return boost::json::serialize(answer);
}

std::string applied(const std::string& name, ApplyResult result,
                    std::vector<std::string> changes = {}) {
    ApplyAnswer answer;
    answer.items.push_back({Kind::workspace, name, "id-" + name, result, std::move(changes)});
    return wire::to_json_text(answer);
}

class GetTest : public VerbTest {
  protected:
    void SetUp() override {
        log_in();
        api.on("GET /api/workspaces", list_of({workspace("dev"), workspace("x", State::error)}));
        api.on("GET /api/workspaces/dev", wire::to_json_text(workspace("dev")));
    }
};

TEST_F(GetTest, ListsInColumnsAndSendsTheSavedToken) {
    const auto done = run({"get", "ws"});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(done.output,
              "NAME   HOST    STATUS    IMAGE    PORTS   AGE\n"
              "dev    gpu-1   running   debian   -       5h\n"
              "x      gpu-1   error     debian   -       5h\n");
    EXPECT_EQ(api.last().headers.get("Authorization"), "Bearer secret");
}

TEST_F(GetTest, JsonIsAListOfAllAndTheThingItselfForOneName) {
    const auto all = wire::parse(run({"get", "workspaces", "-o", "json"}).output);
    ASSERT_TRUE(all.is_array());
    EXPECT_EQ(all.get_array().size(), 2U);
    const auto one = wire::parse(run({"get", "workspace", "dev", "-o", "json"}).output);
    EXPECT_EQ(wire::from_json<ResourceView>(one).id, "id-dev");
    const auto two = wire::parse(run({"get", "ws", "dev", "dev", "-o", "json"}).output);
    EXPECT_TRUE(two.is_array());
}

TEST_F(GetTest, YamlSaysWhatJsonSays) {
    const auto yaml = wire::parse_yaml(run({"get", "ws", "-o", "yaml"}).output);
    ASSERT_EQ(yaml.size(), 1U);
    EXPECT_EQ(yaml[0].value, wire::parse(run({"get", "ws", "-o", "json"}).output));
}

TEST_F(GetTest, NamesAndTheWideTableAreToBeHadToo) {
    EXPECT_EQ(run({"get", "ws", "-o", "name"}).output, "dev\nx\n");
    EXPECT_THAT(run({"get", "ws", "--output=wide"}).output,
                AllOf(HasSubstr("MESSAGE"), HasSubstr("id-dev")));
    EXPECT_THAT(run({"get", "ws", "-o", "table"}).output, Not(HasSubstr("id-dev")));
}

TEST_F(GetTest, ReadsPageAfterPage) {
    api.on("GET /api/networks?limit=1000", list_of({workspace("a")}, "c/1"));
    api.on("GET /api/networks?limit=1000&cursor=c%2F1", list_of({workspace("b")}));
    EXPECT_EQ(run({"get", "networks", "-o", "name"}).output, "a\nb\n");
}

TEST_F(GetTest, AnEmptyListIsNoFailure) {
    api.on("GET /api/volumes", list_of({}));
    const auto done = run({"get", "volumes", "-o", "json"});
    EXPECT_EQ(done.exit_code, 0);
    EXPECT_EQ(wire::parse(done.output), boost::json::array());
    EXPECT_THAT(run({"get", "volumes"}).output, StartsWith("NAME"));
}

TEST_F(GetTest, WhatIsNotThereEndsWith1AndLeavesStandardOutputAlone) {
    const auto done = run({"get", "ws", "dev", "nobody"});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.output, IsEmpty());
    EXPECT_EQ(done.errors, "trailer: get: there is no such thing\n");
}

TEST_F(GetTest, ALoginThatEndedSaysHowToLogIn) {
    api.refuse("GET /api/images", 401, "the token has expired");
    const auto done = run({"get", "images"});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.errors, AllOf(HasSubstr("the token has expired"), HasSubstr("trailer login")));
    EXPECT_THAT(done.errors, Not(HasSubstr("secret")));
}

TEST_F(GetTest, AnAnswerOfSomethingElseIsToldAsSuch) {
    api.on("GET /api/images", {200, "<html>", "text/html"});
    api.on("GET /api/hosts", {502, "<html>", "text/html"});
    EXPECT_THAT(run({"get", "images"}).errors, HasSubstr("no Trailer server"));
    const auto done = run({"get", "hosts"});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.errors, HasSubstr("502 Bad Gateway"));
}

TEST_F(GetTest, AServerThatIsNotThereIsNamed) {
    const auto done = run({"get", "ws", "--server", "http://127.0.0.1:1"});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.errors, AllOf(HasSubstr("127.0.0.1:1"), HasSubstr("trailer doctor")));
}

TEST_F(GetTest, AWatchShowsWhatIsThereThenEachChangeUntilItIsRefused) {
    const auto event = [](State status) {
        return protocol::ResourceEvent{.kind = "Workspace",
                                       .id = "id-dev",
                                       .name = "dev",
                                       .resource = wire::to_json(workspace("dev", status))};
    };
    std::string text;
    for (const auto& each : {event(State::running), event(State::stopping)}) {
        text += "event: resource\nid: 7\ndata: " + wire::to_json_text(each) + "\n\n";
    }
    api.on("GET /api/events", {200, text, "text/event-stream"});
    api.refuse("GET /api/events", 401, "the token has expired");
    const auto done = run({"get", "ws", "dev", "-w"});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_EQ(done.output,
              "NAME   HOST    STATUS    IMAGE    PORTS   AGE\n"
              "dev    gpu-1   running   debian   -       5h\n"
              "dev    gpu-1   stopping   debian   -       5h\n");
    EXPECT_EQ(api.last().headers.get("Last-Event-ID"), "7");
}

class UsageTest : public VerbTest {};

TEST_F(UsageTest, ABadCommandLineEndsWith2AndAsksTheServerNothing) {
    const auto file = write("ok.yml", "kind: Volume\nname: data\n");
    const std::vector<std::vector<std::string>> lines{
        {},
        {"frobnicate"},
        {"get"},
        {"get", "gadgets"},
        {"get", "ws", "--colour"},
        {"get", "ws", "-o", "xml"},
        {"get", "ws", "-o", "json|yaml"},
        {"get", "ws", "a/b"},
        {"get", "ws", "--server", "localhost"},
        {"apply"},
        {"apply", "-f"},
        {"apply", "-f", file, "more"},
        {"apply", "-f", file, "-o", "wide"},
        {"apply", "-f", file, "--dryrun"},
        {"apply", "-f", file, "--timeout", "5"},
        {"apply", "-f", file, "--wait", "--timeout", "0"},
        {"apply", "-f", file, "--wait", "--timeout", "-5"},
        {"apply", "-f", file, "--wait", "--timeout", "1.5"},
        {"delete"},
        {"delete", "workspace"},
        {"delete", "ws", "dev", "-f", file},
        {"start"},
        {"stop", "network/dev"},
        {"login", "-u"},
        {"completion", "tcsh"},
        {"help", "frobnicate"},
    };
    for (const auto& line : lines) {
        const auto done = run(line);
        EXPECT_EQ(done.exit_code, 2) << testing::PrintToString(line) << "\n" << done.errors;
        EXPECT_THAT(done.output, IsEmpty()) << testing::PrintToString(line);
        EXPECT_THAT(done.errors, Not(IsEmpty())) << testing::PrintToString(line);
    }
    EXPECT_THAT(api.calls(), IsEmpty());
}

TEST_F(UsageTest, ASlipOfThePenGetsAHint) {
    EXPECT_THAT(run({"aply"}).errors, HasSubstr("did you mean apply?"));
    EXPECT_THAT(run({"apply", "-f", "x", "--dryrun"}).errors, HasSubstr("did you mean --dry-run?"));
    EXPECT_THAT(run({"apply"}).errors, HasSubstr("see: trailer apply --help"));
}

TEST_F(UsageTest, HelpExplainsTheCommandThatIsAskedFor) {
    for (const std::string flag : {"--help", "-h"}) {
        EXPECT_THAT(run({"get", flag}).output, HasSubstr("--watch"));
        EXPECT_EQ(run({flag}).output, run({"help"}).output);
    }
    const auto overview = run({"help"});
    EXPECT_EQ(overview.exit_code, 0) << overview.errors;
    EXPECT_THAT(overview.output, AllOf(HasSubstr("apply"), HasSubstr("completion")));
    const auto one = run({"help", "get"});
    EXPECT_EQ(one.exit_code, 0) << one.errors;
    EXPECT_EQ(one.output, run({"get", "--help"}).output);
}

TEST_F(UsageTest, AResourceMayHaveTheNameOfACommand) {
    log_in();
    api.on("DELETE /api/workspaces/start", {204, ""});
    api.on("POST /api/workspaces/get/stop", "{}");
    EXPECT_EQ(run({"delete", "workspace", "start"}).output, "workspace/start deleted\n");
    EXPECT_EQ(run({"stop", "get"}).output, "workspace/get is to stop\n");
}

TEST_F(UsageTest, TheVersionIsToldInEachForm) {
    EXPECT_THAT(run({"--version"}).output, StartsWith("trailer "));
    const auto facts = wire::parse(run({"version", "-o", "json"}).output);
    EXPECT_EQ(run({"version", "-o", "name"}).output,
              std::string(facts.at("version").as_string()) + "\n");
}

class ApplyTest : public VerbTest {
  protected:
    void SetUp() override { log_in(); }
    const std::string dev_ = "kind: Workspace\nname: dev\nspec:\n  image: debian\n";
};

TEST_F(ApplyTest, SendsEveryDocumentOfEveryFileInOneCall) {
    const auto one = write("one.yml", "kind: Network\nname: lab\n---\n" + dev_);
    const auto two = write("two.json", R"({"kind": "Volume", "name": "data"})");
    api.on("POST /api/apply", applied("dev", ApplyResult::updated, {"/spec/image", "/spec/env/A"}));
    const auto done = run({"apply", "-f", one, "-f", two});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(done.output, "workspace/dev updated (/spec/image, /spec/env/A)\n");
    EXPECT_THAT(api.calls(), ElementsAre("POST /api/apply"));
    EXPECT_EQ(wire::parse(api.last().body), wire::parse(R"([{"kind": "Network", "name": "lab"},
                              {"kind": "Workspace", "name": "dev", "spec": {"image": "debian"}},
                              {"kind": "Volume", "name": "data"}])"));
}

TEST_F(ApplyTest, ReadsStandardInput) {
    api.on("POST /api/apply", applied("dev", ApplyResult::created));
    EXPECT_EQ(run({"apply", "-f", "-"}, dev_).output, "workspace/dev created\n");
}

TEST_F(ApplyTest, TheAnswerIsToBeHadForProgramsToo) {
    const auto answer = applied("dev", ApplyResult::unchanged);
    api.on("POST /api/apply", answer);
    EXPECT_EQ(wire::parse(run({"apply", "-f", "-", "-o", "json"}, dev_).output),
              wire::parse(answer));
    EXPECT_EQ(wire::parse_yaml(run({"apply", "-f", "-", "-o", "yaml"}, dev_).output).at(0).value,
              wire::parse(answer));
    EXPECT_EQ(run({"apply", "-f", "-", "-o", "name"}, dev_).output, "workspace/dev\n");
}

TEST_F(ApplyTest, EveryFaultOfTheServersIsShownWithItsLine) {
    const auto file = write("dev.yml", "kind: Network\nname: lab\n---\n" + dev_ +
                                           "  ports:\n    - host: eighty\n      container: 0\n");
    api.refuse("POST /api/apply", 422, "the input is at fault",
               {{"/1/spec/ports/0/host", "expected a whole number"},
                {"/1/spec/ports/0/container", "expected 1 to 65535"},
                {"/0/spec/driver", "is required"}});
    const auto done = run({"apply", "-f", file});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.output, IsEmpty());
    EXPECT_EQ(done.errors,
              fmt::format("trailer: apply: documents are at fault, nothing was changed\n"
                          "  {0}:9:7: /spec/ports/0/host: expected a whole number\n"
                          "  {0}:10:7: /spec/ports/0/container: expected 1 to 65535\n"
                          "  {0}:1:1: /spec/driver: is required\n",
                          file));
}

TEST_F(ApplyTest, FaultsThatTheClientKnowsAreToldWithoutAsking) {
    const auto file = write("bad.yml", "kind: Workspase\nname: dev\n---\nkind: Volume\n");
    const auto done = run({"apply", "-f", file});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.errors, AllOf(HasSubstr(file + ":1:1: /kind: expected one of"),
                                   HasSubstr(file + ":4:1: /name: is required")));
    EXPECT_EQ(run({"apply", "-f", "/no/such/file.yml"}).exit_code, 1);
    EXPECT_THAT(run({"apply", "-f", directory_.string()}).errors, HasSubstr("is a directory"));
    EXPECT_THAT(api.calls(), IsEmpty());
}

TEST_F(ApplyTest, ADryRunShowsThePlanAndWaitsForNothing) {
    ApplyAnswer answer;
    answer.items.push_back({Kind::workspace, "dev", "", ApplyResult::created, {}});
    protocol::PlanOfHost host{.host = "gpu-1"};
    host.plan.steps.push_back(
        {.name = "dev", .action = "create_container", .reason = "is not there"});
    host.plan.steps.push_back({.name = "old", .action = "remove_container", .reason = "extra"});
    answer.plans = {host, {.host = "gpu-2"}};
    api.on("POST /api/apply?dry_run=true", wire::to_json_text(answer));
    const auto done = run({"apply", "-f", "-", "--dry-run", "--wait"}, dev_);
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(done.output,
              "workspace/dev created (dry run)\n"
              "on gpu-1\n"
              "  + create_container dev (is not there)\n"
              "  - remove_container old (extra)\n"
              "on gpu-2\n"
              "  nothing to do\n");
    EXPECT_THAT(api.calls(), ElementsAre("POST /api/apply?dry_run=true"));
}

TEST_F(ApplyTest, AWaitEndsWithWhatTheWorkspaceComesTo) {
    api.on("POST /api/apply", applied("dev", ApplyResult::created));
    api.on("GET /api/workspaces/id-dev", wire::to_json_text(workspace("dev", State::deploying)));
    auto later = workspace("dev");
    api.say({{.kind = "Workspace", .id = "id-dev", .resource = wire::to_json(later)}});
    const auto well = run({"apply", "-f", "-", "--wait"}, dev_);
    EXPECT_EQ(well.exit_code, 0) << well.errors;
    EXPECT_EQ(well.errors, "workspace/dev: deploying\nworkspace/dev: running\n");
}

TEST_F(ApplyTest, AWaitThatFailsEndsWith1AndSaysWhy) {
    api.on("POST /api/apply", applied("dev", ApplyResult::created));
    auto broken = workspace("dev", State::error);
    broken.messages.push_back({protocol::Severity::error, "no such image\nat all"});
    api.on("GET /api/workspaces/id-dev", wire::to_json_text(broken));
    api.say({});
    const auto done = run({"apply", "-f", "-", "--wait", "--timeout", "30"}, dev_);
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.errors, AllOf(HasSubstr("workspace/dev: ended as error"),
                                   HasSubstr("  no such image\n  at all\n")));
}

class DeleteTest : public VerbTest {
  protected:
    void SetUp() override {
        log_in();
        api.on("DELETE /api/workspaces/dev", {204, ""});
        api.on("DELETE /api/networks/lab", {204, ""});
    }
};

TEST_F(DeleteTest, TakesAKindAndNames) {
    const auto done = run({"delete", "workspace/dev"});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(done.output, "workspace/dev deleted\n");
    EXPECT_THAT(api.calls(), ElementsAre("DELETE /api/workspaces/dev"));
}

TEST_F(DeleteTest, GoesOnAfterOneThatFails) {
    api.refuse("DELETE /api/networks/used", 409, "network used is in use by dev");
    const auto done = run({"delete", "network", "used", "lab"});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_EQ(done.output, "network/lab deleted\n");
    EXPECT_EQ(done.errors, "trailer: delete network used: network used is in use by dev\n");
}

TEST_F(DeleteTest, EndsAtOnceWhereNothingElseWouldFareBetter) {
    api.refuse("DELETE /api/networks/first", 401, "the token has expired");
    EXPECT_EQ(run({"delete", "network", "first", "lab"}).exit_code, 1);
    EXPECT_THAT(api.calls(), ElementsAre("DELETE /api/networks/first"));
}

TEST_F(DeleteTest, AFilesDocumentsGoLastToFirstAndMayBeGoneAlready) {
    const auto file = write("all.yml",
                            "kind: Network\nname: lab\n---\nkind: Volume\nname: gone\n---\n"
                            "kind: Workspace\nname: dev\n");
    api.say({});
    const auto done = run({"delete", "-f", file});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(done.output,
              "workspace/dev deleted\nvolume/gone is not there\nnetwork/lab deleted\n");
    EXPECT_THAT(api.calls(), ElementsAre("DELETE /api/workspaces/dev", "DELETE /api/volumes/gone",
                                         "DELETE /api/networks/lab"));
}

TEST_F(DeleteTest, TheOrderOfAFileMeansNothing) {
    const auto file = write("all.yml",
                            "kind: Workspace\nname: dev\n---\nkind: Workspace\nname: db\n---\n"
                            "kind: Network\nname: lab\n");
    api.refuse("DELETE /api/workspaces/db", 409, "workspace db is used by dev");
    api.on("DELETE /api/workspaces/db", {204, ""});
    auto done = run({"delete", "-f", file});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(done.output, "network/lab deleted\nworkspace/dev deleted\nworkspace/db deleted\n");
    api.refuse("DELETE /api/networks/kept", 409, "network kept is used by another");
    done = run({"delete", "network", "kept", "lab"});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_EQ(done.errors, "trailer: delete network kept: network kept is used by another\n");
}

TEST_F(DeleteTest, WaitsUntilItIsGone) {
    api.on("GET /api/workspaces/dev", wire::to_json_text(workspace("dev", State::deleting)));
    api.say({{.type = protocol::EventType::deleted, .kind = "Workspace", .name = "dev"}});
    const auto done = run({"delete", "ws", "dev", "--wait"});
    EXPECT_EQ(done.exit_code, 0);
    EXPECT_EQ(done.errors, "workspace/dev: deleting\nworkspace/dev: deleted\n");
}

class PowerTest : public VerbTest {
  protected:
    void SetUp() override { log_in(); }
};

TEST_F(PowerTest, EachVerbIsACallOfItsOwn) {
    for (const std::string verb : {"start", "stop", "restart"}) {
        api.on("POST /api/workspaces/dev/" + verb, "{}");
        const auto done = run({verb, "workspace/dev"});
        EXPECT_EQ(done.exit_code, 0) << done.errors;
        EXPECT_EQ(done.output, "workspace/dev is to " + verb + "\n");
    }
    EXPECT_THAT(api.calls(),
                ElementsAre("POST /api/workspaces/dev/start", "POST /api/workspaces/dev/stop",
                            "POST /api/workspaces/dev/restart"));
}

TEST_F(PowerTest, OneThatFailsKeepsNoOtherFromItsTurn) {
    api.on("POST /api/workspaces/b/stop", "{}");
    const auto done = run({"stop", "a", "b"});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_EQ(done.output, "workspace/b is to stop\n");
    EXPECT_EQ(done.errors, "trailer: stop a: there is no such thing\n");
}

TEST_F(PowerTest, AWaitThatRunsOutOfTimeEndsWith1) {
    api.on("POST /api/workspaces/dev/start", "{}");
    api.on("GET /api/workspaces/dev", wire::to_json_text(workspace("dev", State::starting)));
    api.say({});
    const auto done = run({"start", "dev", "--wait", "--timeout", "1"});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.errors, HasSubstr("workspace/dev: still starting after 1 s; it goes on: "
                                       "trailer get workspaces dev -w"));
}

TEST_F(PowerTest, AWaitOutlivesABrokenConnectionAndLooksAnewAfterAReset) {
    api.on("POST /api/workspaces/dev/start", "{}");
    api.on("GET /api/workspaces/dev", wire::to_json_text(workspace("dev", State::starting)));
    api.on("GET /api/workspaces/dev", wire::to_json_text(workspace("dev")));
    api.on("GET /api/events", {200, "id: 3\ndata: x\n\n", "text/event-stream"});
    api.refuse("GET /api/events", 503, "starting");
    api.on("GET /api/events", {200, "event: reset\n\n", "text/event-stream", true});
    const auto done = run({"start", "dev", "--wait", "--timeout", "30"});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(done.errors,
              "workspace/dev: starting\n"
              "connection lost, trying again: the server ended the stream of events\n"
              "workspace/dev: running\n");
    EXPECT_THAT(api.calls(), ElementsAre("POST /api/workspaces/dev/start", "GET /api/events",
                                         "GET /api/workspaces/dev", "GET /api/events",
                                         "GET /api/events", "GET /api/workspaces/dev"));
}

TEST_F(PowerTest, AWaitForAStopEndsWhereItIsStopped) {
    auto stopped = workspace("dev", State::stopped);
    stopped.running = false;
    auto running = workspace("dev");
    running.running = false;
    api.on("POST /api/workspaces/dev/stop", "{}");
    api.on("GET /api/workspaces/dev", wire::to_json_text(running));
    stopped.updated = running.updated + std::chrono::seconds(1);
    api.say({{.kind = "Host", .name = "dev", .resource = boost::json::object()},
             {.kind = "Workspace", .name = "dev", .resource = wire::to_json(stopped)}});
    const auto done = run({"stop", "dev", "--wait"});
    EXPECT_EQ(done.exit_code, 0);
    EXPECT_EQ(done.errors, "workspace/dev: running\nworkspace/dev: stopped\n");
}

TEST_F(PowerTest, AHostWithTwoKeysIsApprovedOnlyByTheOneThatIsMeant) {
    protocol::HostView host;
    host.name = "gpu-1";
    host.fingerprint = "key-a";
    host.identity_conflict = protocol::IdentityConflict{.fingerprint = "key-b"};
    api.on("GET /api/hosts/gpu-1", wire::to_json_text(host));
    api.on("POST /api/hosts/gpu-1/approve", "{}");
    const auto refused = run({"approve", "gpu-1"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, AllOf(HasSubstr("key-a is approved"), HasSubstr("key-b was")));
    EXPECT_THAT(api.calls(), Not(Contains("POST /api/hosts/gpu-1/approve")));
    EXPECT_EQ(run({"approve", "gpu-1", "--fingerprint", "key-b"}).exit_code, 0);
    EXPECT_EQ(wire::parse(api.last().body), wire::parse(R"({"fingerprint": "key-b"})"));
}

class LoginTest : public VerbTest {
  protected:
    void SetUp() override {
        protocol::LoginAnswer answer{"new-token", {"u-1", "admin", protocol::Role::admin}};
        api.on("POST /api/auth/login", wire::to_json_text(answer));
        password_ = write("password", "hunter2\n");
    }

    Outcome log_in_by_hand() {
        return run({"login", "--server", api.url(), "-u", "admin", "--password-file", password_});
    }

    std::string password_;
};

TEST_F(LoginTest, KeepsTheTokenWhereOnlyItsOwnerReadsIt) {
    const auto done = log_in_by_hand();
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(done.output, fmt::format("logged in to {} as admin (admin)\n", api.url()));
    EXPECT_EQ(wire::parse(api.last().body),
              wire::parse(R"({"username": "admin", "password": "hunter2"})"));
    EXPECT_EQ(load_target(credentials_file()), (Target{api.url(), "new-token"}));
    struct stat status{};
    ASSERT_EQ(::stat(credentials_file().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U);
}

TEST_F(LoginTest, AWrongPasswordSavesNothingAndShowsNoSecret) {
    ScriptedApi other;
    other.refuse("POST /api/auth/login", 401, "wrong username or password");
    const auto done =
        run({"login", "--server", other.url(), "-u", "admin", "--password-file", password_});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.errors,
                AllOf(HasSubstr("wrong username or password"), Not(HasSubstr("hunter2"))));
    EXPECT_FALSE(std::filesystem::exists(credentials_file()));
}

TEST_F(LoginTest, ABrokenFileOfCredentialsIsNoObstacle) {
    write("trailer.dev/client.yml", "just text\n");
    const auto other = run({"get", "ws"});
    EXPECT_EQ(other.exit_code, 1);
    EXPECT_THAT(other.errors, HasSubstr("trailer login --server URL"));
    EXPECT_EQ(log_in_by_hand().exit_code, 0);
    EXPECT_EQ(load_target(credentials_file()), (Target{api.url(), "new-token"}));
}

TEST_F(LoginTest, LoggingOutForgetsTheTokenEvenWhereItIsNoLongerGood) {
    log_in();
    api.refuse("POST /api/auth/logout", 401, "the token has expired");
    const auto done = run({"logout"});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_EQ(api.last().headers.get("Authorization"), "Bearer secret");
    EXPECT_EQ(load_target(credentials_file()), (Target{api.url(), ""}));
    EXPECT_THAT(run({"logout"}).output, StartsWith("not logged in"));
}

class TokenFileTest : public VerbTest {
  protected:
    Outcome get_with(const std::string& file) {
        return run({"get", "ws", "--server", api.url(), "--token-file", file});
    }
};

TEST_F(TokenFileTest, ServesOneCall) {
    api.on("GET /api/workspaces", list_of({}));
    EXPECT_EQ(get_with(write("token", "once\n", 0600)).exit_code, 0);
    EXPECT_EQ(api.last().headers.get("Authorization"), "Bearer once");
    EXPECT_FALSE(std::filesystem::exists(credentials_file()));
    EXPECT_EQ(get_with(write("token", "once\n", 0400)).exit_code, 0);
}

TEST_F(TokenFileTest, IsRefusedWhereOthersMayUseIt) {
    for (const mode_t mode : {0640U, 0604U, 0644U, 0620U, 0666U}) {
        const auto file = write("token", "once\n", mode);
        const auto done = get_with(file);
        EXPECT_EQ(done.exit_code, 1);
        EXPECT_THAT(done.errors,
                    AllOf(HasSubstr(fmt::format("has mode {:04o}", mode)),
                          EndsWith(fmt::format("chmod 600 {}\n", file)), Not(HasSubstr("once"))));
    }
    EXPECT_THAT(api.calls(), IsEmpty());
}

TEST_F(TokenFileTest, WhatLoginSavedIsHeldToTheSame) {
    log_in();
    std::filesystem::permissions(credentials_file(), std::filesystem::perms(0644));
    const auto done = run({"get", "ws"});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.errors, HasSubstr("has mode 0644"));
    EXPECT_THAT(api.calls(), IsEmpty());
}

}  // namespace
