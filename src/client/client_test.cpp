#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/file.h"
#include "base/id.h"
#include "client/arguments.h"
#include "client/columns.h"
#include "client/completion.h"
#include "client/connection.h"
#include "client/documents.h"
#include "client/failure.h"
#include "client/sse.h"
#include "client/table.h"
#include "client/wait.h"
#include "wire/json.h"

namespace {

using namespace trailer;
using namespace trailer::client;
using protocol::Kind;
using protocol::State;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

// --- server-sent events

std::vector<ServerSentEvent> events_of(SseParser& parser) {
    std::vector<ServerSentEvent> events;
    while (auto event = parser.next()) events.push_back(std::move(*event));
    return events;
}

TEST(SseTest, IsTheSameWhereverThePiecesAreCut) {
    const std::string stream =
        ": a comment\r\nid: e-1\r\nevent: resource\r\ndata: one\r\ndata: two\r\n\r\n"
        "retry: 250\ndata\n\nid: e-2\rdata:no blank\r\revent: reset\ndata: {}\n\n";
    const std::vector<ServerSentEvent> expected{{"resource", "one\ntwo", "e-1"},
                                                {"message", "", "e-1"},
                                                {"message", "no blank", "e-2"},
                                                {"reset", "{}", "e-2"}};
    for (std::size_t size = 1; size <= stream.size(); ++size) {
        SseParser parser;
        for (std::size_t at = 0; at < stream.size(); at += size) {
            parser.feed(std::string_view(stream).substr(at, size));
        }
        EXPECT_EQ(events_of(parser), expected) << "in pieces of " << size;
        EXPECT_EQ(parser.retry_ms(), 250);
    }
}

TEST(SseTest, AnIdWithoutDataMovesThePlaceToResumeFrom) {
    SseParser parser;
    parser.feed("id: e-7\n\n");
    EXPECT_THAT(events_of(parser), IsEmpty());
    EXPECT_EQ(parser.last_event_id(), "e-7");
}

TEST(SseTest, AnEventWithoutEndIsRefused) {
    SseParser parser;
    const std::string piece(1 << 20, 'x');
    EXPECT_THROW(
        {
            for (int i = 0; i < 20; ++i) parser.feed(piece);
        },
        Error);
}

// --- documents

std::vector<std::string> faults_of(std::string_view text) {
    std::vector<std::string> faults;
    parse_documents("f.yml", text, faults);
    return faults;
}

TEST(DocumentsTest, SeveralInAFileAndAJsonListAreTheSame) {
    std::vector<std::string> faults;
    const auto yaml = parse_documents(
        "f.yml", "kind: Network\nname: lab\n---\n# nothing\n---\nkind: Volume\nname: data\n",
        faults);
    const auto listed = parse_documents(
        "f.json", R"([{"kind": "Network", "name": "lab"}, {"kind": "Volume", "name": "data"}])",
        faults);
    EXPECT_THAT(faults, IsEmpty());
    ASSERT_EQ(yaml.size(), 2U);
    EXPECT_EQ(request_body(yaml), request_body(listed));
    EXPECT_EQ(yaml[1].place_of("/name"), "f.yml:7:1");
    EXPECT_THAT(listed[1].place_of("/name"), StartsWith("f.json:1:"));
}

TEST(DocumentsTest, AFaultOfTheServersIsShownWhereItStands) {
    std::vector<std::string> faults;
    const auto documents = parse_documents(
        "f.yml",
        "kind: Network\nname: lab\n---\nkind: Workspace\nname: dev\nspec:\n  ports:\n"
        "    - host: eighty\n",
        faults);
    EXPECT_THAT(placed({{"/1/spec/ports/0/host", "expected a number"}}, documents),
                ElementsAre("f.yml:8:7: /spec/ports/0/host: expected a number"));
    EXPECT_THAT(placed({{"/1/spec/image", "is required"}}, documents),
                ElementsAre(HasSubstr("/spec/image: is required")));
}

TEST(DocumentsTest, WhatTheClientCanKnowIsToldBeforeTheServerIsAsked) {
    EXPECT_THAT(faults_of("name: dev\n"), ElementsAre(HasSubstr("kind")));
    EXPECT_THAT(faults_of("kind: Workspase\nname: dev\n"), ElementsAre(HasSubstr("f.yml:1:1")));
    EXPECT_THAT(faults_of("kind: Volume\n"), ElementsAre(HasSubstr("name")));
    EXPECT_THAT(faults_of("kind: [Volume\n"), ElementsAre(StartsWith("f.yml:")));
    EXPECT_THAT(faults_of("just text\n"), Not(IsEmpty()));
}

TEST(DocumentsTest, StandardInputAndTwoOfOneName) {
    std::istringstream input("kind: Volume\nname: data\n");
    const auto documents = load_documents({.files = {"-"}}, input).documents;
    ASSERT_EQ(documents.size(), 1U);
    EXPECT_EQ(documents[0].file, "<stdin>");
    std::istringstream twice("kind: Volume\nname: data\n---\nkind: Volume\nname: data\n");
    EXPECT_THROW(load_documents({.files = {"-"}}, twice), BadDocuments);
    std::istringstream nothing("# nothing\n");
    EXPECT_THROW(load_documents({.files = {"-"}}, nothing), Error);
    std::istringstream unused;
    EXPECT_THROW(load_documents({.files = {"/no/such/file.yml"}}, unused), Error);
}

// --- what people see

TEST(TableTest, ColumnsStandUnderEachOtherWhateverTheirTextHolds) {
    Table table({"NAME", "STATUS"});
    const Palette plain(false);
    const auto text = table.render({{{"größe"}, {"running"}}, {{"x"}, {"error"}}}, plain);
    EXPECT_EQ(text, "NAME    STATUS\ngröße   running\nx       error\n");
}

TEST(TableTest, ColourIsLeftOutWhereItIsNotWanted) {
    Table table({"STATUS"});
    const std::vector<Row> rows{{{"error", Style::bad}}};
    EXPECT_THAT(table.render(rows, Palette(true)), HasSubstr("\x1b["));
    EXPECT_THAT(table.render(rows, Palette(false)), Not(HasSubstr("\x1b")));
    ::setenv("NO_COLOR", "1", 1);
    EXPECT_FALSE(palette_for(stdout).enabled());
    ::unsetenv("NO_COLOR");
}

TEST(TerminalTest, TextFromElsewhereCantSteerTheTerminal) {
    EXPECT_EQ(one_line("a\x1b[31mb\nc\td"), "a?[31mb c d");
    EXPECT_EQ(printable("a\x07\nb"), "a?\nb");
    EXPECT_EQ(shorten("größer", 4), "grö…");
    EXPECT_EQ(width_of("größe"), 5U);
}

TEST(ColumnsTest, SaysWhatMattersInAFewLetters) {
    const auto now = parse_rfc3339("2026-11-23T12:00:00Z");
    EXPECT_EQ(short_age(now - std::chrono::seconds(41), now), "41s");
    EXPECT_EQ(short_age(now - std::chrono::hours(49), now), "2d");
    EXPECT_EQ(short_bytes(512LL << 20), "512M");
    const Timestamp time{};
    EXPECT_EQ(main_message({{protocol::Severity::info, "waits", time},
                            {protocol::Severity::error, "no such image", time}}),
              "no such image");
    protocol::ResourceView view;
    view.observed =
        wire::parse(R"({"ports": [{"host": 8080, "container": 80, "protocol": "tcp"}]})")
            .as_object();
    EXPECT_THAT(ports_text(view), HasSubstr("8080->80"));
    EXPECT_EQ(style_of(State::error), Style::bad);
    EXPECT_EQ(style_of(State::running), Style::good);
}

// --- arguments

TEST(ArgumentsTest, KindsAreTakenAsPeopleTypeThem) {
    for (const auto* word : {"ws", "workspace", "Workspaces", "WORKSPACE"}) {
        EXPECT_EQ(parse_subject(word), Subject::workspace) << word;
    }
    EXPECT_EQ(parse_subject("hosts"), Subject::host);
    EXPECT_EQ(parse_subject("nonsense"), std::nullopt);
    EXPECT_THAT(parse_named("workspace/dev", {}).names, ElementsAre("dev"));
    EXPECT_THAT(parse_named("ws", {"a1", "b2"}).names, ElementsAre("a1", "b2"));
    EXPECT_THROW(parse_named("nonsense", {}), UsageError);
    EXPECT_EQ(path_of(Subject::volume, "a/b"), "/api/volumes/a%2Fb");
}

TEST(FailureTest, UsageEndsWith2AndOtherFailuresWith1) {
    EXPECT_EQ(describe_failure("get", UsageError("no such kind")).exit_code, 2);
    const auto failure = describe_failure("get workspaces", Error(ErrorKind::conflict, "taken"));
    EXPECT_EQ(failure.exit_code, 1);
    EXPECT_THAT(failure.text, HasSubstr("trailer: get workspaces: taken"));
    const auto faults = describe_failure(
        "apply",
        InvalidInput(std::vector<FieldError>{{"/0/name", "is required"}, {"/1/kind", "what"}}));
    EXPECT_THAT(faults.text, testing::AllOf(HasSubstr("/0/name"), HasSubstr("/1/kind")));
}

// --- who is asked, with which token

class ConnectionTest : public testing::Test {
  protected:
    void TearDown() override { std::filesystem::remove_all(directory_); }

    std::filesystem::path directory_ =
        std::filesystem::temp_directory_path() / ("trailer-client-" + new_id());
    std::filesystem::path file_ = directory_ / "client.yml";
};

TEST_F(ConnectionTest, WhatLoginSavesIsPrivateAndReadBack) {
    EXPECT_EQ(load_target(file_), std::nullopt);
    const Target target{"http://example:8090", "secret"};
    save_target(file_, target);
    struct stat status{};
    ASSERT_EQ(::stat(file_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
    EXPECT_EQ(load_target(file_), target);
}

TEST_F(ConnectionTest, ASavedTokenGoesToTheServerThatGaveItAndToNoOther) {
    save_target(file_, {"http://example:8090", "secret"});
    EXPECT_EQ(resolve_target(file_, {}).token, "secret");
    EXPECT_EQ(resolve_target(file_, {.server = "http://other:8090"}).token, "");
    EXPECT_EQ(resolve_target(file_, {.server = "http://other:8090"}).server, "http://other:8090");
}

TEST_F(ConnectionTest, ATokenFileHoldsOneWord) {
    write_file_atomically(directory_ / "token", "one\n", 0600);
    const ConnectionFlags flags{.token_file = (directory_ / "token").string()};
    EXPECT_EQ(resolve_target(file_, flags).token, "one");
    write_file_atomically(directory_ / "token", "two words\n", 0600);
    EXPECT_THROW(resolve_target(file_, flags), Error);
}

// --- when a wait is over

Verdict judged(State state, bool running = true, Kind kind = Kind::workspace) {
    protocol::ResourceView view;
    view.kind = kind;
    view.status = state;
    if (kind == Kind::workspace) view.running = running;
    return judge({.kind = kind, .name = "x"}, &view);
}

TEST(WaitTest, KnowsWhatHasSettled) {
    EXPECT_EQ(judged(State::running), Verdict::done);
    EXPECT_EQ(judged(State::deploying), Verdict::pending);
    EXPECT_EQ(judged(State::running, false), Verdict::pending);
    EXPECT_EQ(judged(State::stopped, false), Verdict::done);
    EXPECT_EQ(judged(State::error), Verdict::failed);
    EXPECT_EQ(judged(State::unhealthy), Verdict::failed);
    EXPECT_EQ(judged(State::created, true, Kind::network), Verdict::done);
    EXPECT_EQ(judged(State::building, true, Kind::image), Verdict::pending);
    EXPECT_EQ(judged(State::build_finished, true, Kind::image), Verdict::done);
    const Goal gone{.name = "x", .aim = Goal::Aim::gone};
    EXPECT_EQ(judge(gone, nullptr), Verdict::done);
    EXPECT_EQ(judge({.name = "x"}, nullptr), Verdict::failed);
}

// --- completion

TEST(CompletionTest, EachShellTakesItsScript) {
    const std::vector<CommandShape> commands{
        {"get",
         "Show it's resources",
         {{"output", "o", "Form: 'table' or \"json\"", "table|json"}, {"watch", "w", "Follow", ""}},
         Arguments::kind_and_names},
        {"apply", "Apply", {{"file", "f", "A file", "FILE"}}, Arguments::none}};
    const auto file = std::filesystem::temp_directory_path() / ("completion-" + new_id());
    struct Case {
        Shell shell;
        const char* program;
    };
    for (const auto& [shell, program] :
         {Case{Shell::bash, "bash"}, Case{Shell::zsh, "zsh"}, Case{Shell::fish, "fish"}}) {
        const auto script = completion_script(shell, commands);
        for (const auto* word : {"get", "apply", "output", "json"}) {
            EXPECT_THAT(script, HasSubstr(word)) << program;
        }
        if (std::system(fmt::format("command -v {} >/dev/null", program).c_str()) != 0) continue;
        std::ofstream(file) << script;
        EXPECT_EQ(std::system(fmt::format("{} -n {}", program, file.string()).c_str()), 0)
            << program << " does not take its script:\n"
            << script;
    }
    std::filesystem::remove(file);
    EXPECT_EQ(parse_shell("zsh"), Shell::zsh);
    EXPECT_EQ(parse_shell("tcsh"), std::nullopt);
}

}  // namespace
