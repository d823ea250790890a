// What people see: tables, columns, progress, completion.
#include <gmock/gmock.h>
#include <pty.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/id.h"
#include "client/columns.h"
#include "client/completion.h"
#include "client/describe.h"
#include "client/plan_text.h"
#include "client/progress.h"
#include "client/table.h"
#include "wire/json.h"

namespace {

using namespace trailer;
using namespace trailer::client;
using protocol::Health;
using protocol::HostState;
using protocol::State;
using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::StartsWith;

// A file that a test reads back.
class Page {
  public:
    ~Page() { std::fclose(file_); }
    std::FILE* stream() { return file_; }
    std::string text() {
        if (std::fseek(file_, 0, SEEK_SET) != 0) return "";
        std::string text(1 << 16, '\0');
        text.resize(std::fread(text.data(), 1, text.size(), file_));
        return text;
    }

  private:
    std::FILE* file_ = std::tmpfile();
};

// A terminal of its own size, whose screen a test reads as it was written.
class Screen {
  public:
    Screen(unsigned short columns, unsigned short rows) {
        winsize size{.ws_row = rows, .ws_col = columns};
        int terminal = -1;
        if (::openpty(&keyboard_, &terminal, nullptr, nullptr, &size) != 0) std::abort();
        file_ = ::fdopen(terminal, "w");
    }
    ~Screen() {
        std::fclose(file_);
        ::close(keyboard_);
    }
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;

    std::FILE* stream() { return file_; }
    // What came since the last call. A pseudo-terminal passes text on when it likes: all of it is
    // there once the mark behind it is.
    std::string text() {
        print(file_, "\x01");
        std::string text;
        char c = 0;
        while (::read(keyboard_, &c, 1) == 1 && c != '\x01') text += c;
        return text;
    }

  private:
    int keyboard_ = -1;
    std::FILE* file_ = nullptr;
};

// An environment in which colour is neither asked for nor refused.
class TerminalTest : public testing::Test {
  protected:
    TerminalTest() {
        ::unsetenv("NO_COLOR");
        ::setenv("TERM", "xterm", 1);
    }

  public:
    ~TerminalTest() override { ::unsetenv("NO_COLOR"); }
};
using ProgressTest = TerminalTest;
using ColourTest = TerminalTest;

TEST_F(ColourTest, IsForTerminalsThatWantIt) {
    Screen screen(80, 24);
    Page page;
    EXPECT_TRUE(palette_for(screen.stream()).enabled());
    EXPECT_FALSE(palette_for(page.stream()).enabled());
    ::setenv("NO_COLOR", "", 1);
    EXPECT_TRUE(palette_for(screen.stream()).enabled());
    ::setenv("NO_COLOR", "0", 1);
    EXPECT_FALSE(palette_for(screen.stream()).enabled());
    ::unsetenv("NO_COLOR");
    ::setenv("TERM", "dumb", 1);
    EXPECT_FALSE(palette_for(screen.stream()).enabled());
}

TEST_F(ColourTest, TheSizeIsTheTerminals) {
    Screen screen(132, 50);
    Page page;
    EXPECT_EQ(columns_of(screen.stream()), 132);
    EXPECT_EQ(rows_of(screen.stream()), 50);
    EXPECT_EQ(columns_of(page.stream()), 80);
    EXPECT_EQ(rows_of(page.stream()), 24);
}

TEST(TableTest, ColourTakesNoColumns) {
    const std::vector<Row> rows{{{"a", Style::good}, {"x"}}, {{"bcdef", Style::bad}, {"y"}}};
    EXPECT_EQ(Table({"NAME", "S"}).render(rows, Palette(true)),
              "\x1b[2mNAME\x1b[0m    \x1b[2mS\x1b[0m\n"
              "\x1b[32ma\x1b[0m       x\n"
              "\x1b[31mbcdef\x1b[0m   y\n");
}

TEST(TableTest, ARowOfAWatchStandsUnderThoseBefore) {
    Table table({"NAME", "STATUS"});
    const Palette plain(false);
    table.fit({{{"workspace-1"}, {"running"}}});
    EXPECT_EQ(table.header(plain), "NAME          STATUS\n");
    EXPECT_EQ(table.row({{"a"}, {"error"}}, plain), "a             error\n");
    EXPECT_EQ(table.row({{"a-longer-name-yet"}, {""}}, plain), "a-longer-name-yet   -\n");
    EXPECT_EQ(table.row({{"b"}, {"running"}}, plain), "b                   running\n");
}

TEST(TableTest, ACellStaysOneLineOfPlainText) {
    Table table({"A", "B"});
    EXPECT_EQ(table.render({{{"x\ny\x1b[2J"},
                             {"\xC2\x9B"
                              "31m"}}},
                           Palette(false)),
              "A         B\nx y?[2J   ?31m\n");
}

TEST(TableTest, ATableOfNothingIsItsTitles) {
    EXPECT_EQ(Table({"NAME", "AGE"}).render({}, Palette(false)), "NAME   AGE\n");
}

TEST(ColumnsTest, ARowHasACellForEachTitle) {
    protocol::ResourceView view;
    const auto item = wire::to_json(view);
    const auto host = wire::to_json(protocol::HostView{});
    for (const auto subject : kAllSubjects) {
        const auto& shown = subject == Subject::host ? host : item;
        for (const auto width : {Width::normal, Width::wide}) {
            EXPECT_EQ(columns(subject, shown, width, now()).size(),
                      column_titles(subject, width).size())
                << plural(subject);
        }
        EXPECT_LT(lasting_columns(subject, shown, Width::normal).size(),
                  column_titles(subject, Width::normal).size());
        EXPECT_THAT(column_titles(subject, Width::wide),
                    IsSupersetOf(column_titles(subject, Width::normal)));
    }
}

TEST(ColumnsTest, WhatGrowsByItselfIsNoNews) {
    protocol::ResourceView view;
    view.name = "dev";
    view.created = now();
    const auto before = lasting_columns(Subject::workspace, wire::to_json(view), Width::wide);
    view.created = now() - std::chrono::hours(5);
    EXPECT_EQ(lasting_columns(Subject::workspace, wire::to_json(view), Width::wide), before);
    view.status = State::running;
    EXPECT_NE(lasting_columns(Subject::workspace, wire::to_json(view), Width::wide), before);
}

TEST(ColumnsTest, AHostSaysWhichOfItsPartsDoNotWork) {
    protocol::HostView host;
    host.name = "gpu-1";
    host.status = HostState::online;
    for (auto* part : {&host.heartbeat, &host.realtime, &host.engine, &host.reconcile}) {
        part->status = Health::ok;
    }
    const auto parts = [&] {
        return columns(Subject::host, wire::to_json(host), Width::normal, now()).back();
    };
    EXPECT_EQ(parts(), (Cell{"ok", Style::good}));
    host.realtime.status = Health::unknown;
    EXPECT_EQ(parts(), (Cell{"realtime:unknown", Style::busy}));
    host.heartbeat.status = Health::failing;
    EXPECT_EQ(parts(), (Cell{"heartbeat:failing,realtime:unknown", Style::bad}));
}

TEST(ColumnsTest, AHostsStatusHasWhatElseMatters) {
    protocol::HostView host;
    host.status = HostState::online;
    EXPECT_EQ(status_text(host), "online");
    EXPECT_EQ(style_of(host), Style::good);
    host.enabled = false;
    EXPECT_EQ(status_text(host), "online,disabled");
    EXPECT_EQ(style_of(host), Style::dim);
    host.identity_conflict.emplace();
    EXPECT_EQ(status_text(host), "online,disabled,conflict");
    EXPECT_EQ(style_of(host), Style::bad);
}

TEST(ColumnsTest, PortsAreTheEnginesOnceItHasPickedThem) {
    protocol::ResourceView view;
    view.spec = wire::parse(R"({"ports": [{"container": 80}]})").as_object();
    EXPECT_EQ(ports_text(view), "80");
    view.observed = wire::parse(R"({"ports": [
        {"host": 32768, "container": 80, "address": "127.0.0.1"},
        {"host": 53, "container": 53, "protocol": "udp"}]})")
                        .as_object();
    EXPECT_EQ(ports_text(view), "127.0.0.1:32768->80,53->53/udp");
    view.observed["ports"] = wire::parse(R"([{"container": "soon"}])");
    EXPECT_EQ(ports_text(view), "80");
}

TEST(ColumnsTest, TheLastPlansReasonsAreSaidOnce) {
    protocol::ResourceView view;
    view.observed = wire::parse(R"({"last_plan": [
        {"reason": "the image is another"}, {"reason": "the image is another"}, 5,
        {"reason": "is not there"}]})")
                        .as_object();
    const auto titles = column_titles(Subject::workspace, Width::wide);
    const auto at = std::ranges::find(titles, "LAST PLAN") - titles.begin();
    const auto row = columns(Subject::workspace, wire::to_json(view), Width::wide, now());
    EXPECT_EQ(row.at(static_cast<std::size_t>(at)).text, "the image is another; is not there");
}

TEST(ColumnsTest, AgesAndSizesChangeTheirUnitsInTime) {
    const auto now = parse_rfc3339("2026-11-23T12:00:00Z");
    const auto age = [&](std::int64_t seconds) {
        return short_age(now - std::chrono::seconds(seconds), now);
    };
    EXPECT_EQ(age(0), "0s");
    EXPECT_EQ(age(-5), "0s");
    EXPECT_EQ(age(119), "119s");
    EXPECT_EQ(age(120), "2m");
    EXPECT_EQ(age(7199), "119m");
    EXPECT_EQ(age(7200), "2h");
    EXPECT_EQ(age(172'800), "2d");
    EXPECT_EQ(short_age(Timestamp{}, now), "");
    EXPECT_EQ(short_bytes(0), "0B");
    EXPECT_EQ(short_bytes(1023), "1023B");
    EXPECT_EQ(short_bytes(1536), "1.5K");
    EXPECT_EQ(short_bytes(8'375'186'227), "7.8G");
}

TEST(ColumnsTest, TheGravestMessageIsTheOneToShow) {
    using protocol::Severity;
    const Timestamp early{};
    const auto late = early + std::chrono::seconds(5);
    EXPECT_EQ(main_message({}), "");
    EXPECT_EQ(main_message({{Severity::error, "old", early},
                            {Severity::error, "new", late},
                            {Severity::info, "pulling", late}}),
              "new");
}

TEST(DescriptionTest, OfASpecItHasWhatIsSet) {
    protocol::WorkspaceSpec spec;
    spec.image = "redis:7";
    spec.env["DEBUG"] = "";
    spec.ports.push_back({.container = 6379});
    spec.health_check = protocol::HealthCheck{.retries = 7};
    protocol::ResourceView view;
    view.kind = protocol::Kind::workspace;
    view.name = "cache";
    view.spec = wire::to_json(spec).as_object();
    const auto text = description(Subject::workspace, wire::to_json(view), Palette(false), now());
    EXPECT_THAT(text, HasSubstr("Spec\n"
                                "  image: redis:7\n"
                                "  env:\n"
                                "    DEBUG: \"\"\n"
                                "  ports:\n"
                                "    - container: 6379\n"
                                "      protocol: tcp\n"
                                "  health_check:\n"
                                "    retries: 7\n"));
}

TEST(DescriptionTest, OfAHostItHasALineForEachGpuAndItsLoad) {
    protocol::HostView host;
    host.capabilities.gpus = {{"GPU-1", "NVIDIA A", 80LL << 30}, {"GPU-2", "NVIDIA B"}};
    host.metrics.gpus = {{.at = now(),
                          .uuid = "GPU-1",
                          .name = "NVIDIA A",
                          .utilization_percent = 37,
                          .memory_total = 80LL << 30,
                          .memory_used = 20LL << 30,
                          .temperature_c = 41,
                          .power_w = 123.456},
                         {.at = now(), .uuid = "GPU-2", .name = "NVIDIA B"}};
    const auto text = description(Subject::host, wire::to_json(host), Palette(false), now());
    EXPECT_THAT(text, HasSubstr("  GPU:          NVIDIA A (80G, GPU-1)\n"
                                "  GPU:          NVIDIA B (GPU-2)\n"));
    EXPECT_THAT(text,
                HasSubstr("Load of the GPUs\n"
                          "  GPU        BUSY   MEMORY       TEMPERATURE   POWER   AGE   UUID\n"
                          "  NVIDIA A   37 %   20G of 80G   41 C          123 W   0s    GPU-1\n"
                          "  NVIDIA B   -      -            -             -       0s    GPU-2\n"));
}

TEST_F(ProgressTest, ElsewhereThanOnATerminalEachChangeIsOnePlainLine) {
    Page page;
    Progress progress(page.stream(), {"workspace/dev", "volume/data"});
    EXPECT_FALSE(progress.live());
    const Progress::Line deploying{.status = "deploying", .message = "pulling\nnow"};
    progress.update(0, deploying);
    progress.update(0, deploying);
    progress.tick();
    progress.note("connection lost");
    progress.update(1, {.status = "created", .style = Style::good, .ended = true});
    EXPECT_EQ(page.text(),
              "workspace/dev: deploying: pulling now\nconnection lost\nvolume/data: created\n");
}

TEST_F(ProgressTest, OnATerminalTheLinesAreDrawnInPlace) {
    Screen screen(80, 24);
    Progress progress(screen.stream(), {"workspace/dev", "volume/data"});
    ASSERT_TRUE(progress.live());
    progress.update(0, {.status = "deploying"});
    EXPECT_THAT(screen.text(), AllOf(Not(StartsWith("\x1b[2A")), HasSubstr("workspace/dev"),
                                     HasSubstr("deploying"), HasSubstr("waiting")));
    progress.update(0, {.status = "error", .style = Style::bad, .ended = true});
    EXPECT_THAT(screen.text(), AllOf(StartsWith("\x1b[2A"), HasSubstr("✗")));
    progress.note("connection lost");
    EXPECT_THAT(screen.text(), HasSubstr("connection lost"));
    progress.update(1, {.status = "created", .style = Style::good, .ended = true});
    EXPECT_THAT(screen.text(), HasSubstr("✓"));
}

TEST_F(ProgressTest, AMessageIsCutToTheTerminalsWidth) {
    Screen screen(80, 24);
    Progress progress(screen.stream(), {"workspace/dev"});
    progress.update(0, {.status = "error", .message = std::string(200, 'x')});
    const auto text = screen.text();
    EXPECT_THAT(text, HasSubstr("x…"));
    EXPECT_LE(std::ranges::count(text, 'x'), 80);
}

TEST_F(ProgressTest, WhatDoesNotFitOnTheScreenIsNotDrawnInPlace) {
    Screen low(80, 4);
    EXPECT_TRUE(Progress(low.stream(), {"a", "b"}).live());
    EXPECT_FALSE(Progress(low.stream(), {"a", "b", "c"}).live());
    Screen narrow(60, 24);
    EXPECT_TRUE(Progress(narrow.stream(), {"workspace/dev"}).live());
    EXPECT_FALSE(Progress(narrow.stream(), {"workspace/" + std::string(30, 'x')}).live());
}

const std::vector<CommandShape> kCommands{
    {"get",
     "It's a list",
     {{"output", "o", "Form", "table|json"},
      {"watch", "w", "Follow", ""},
      {"server", "", "Where", "URL"}},
     Arguments::kind_and_names},
    {"apply", "Apply", {{"file", "f", "A file", "FILE"}}, Arguments::none},
    {"stop", "Stop", {{"wait", "", "Wait", ""}}, Arguments::workspaces},
    {"completion", "Script", {}, Arguments::shells},
    {"help", "Explain", {}, Arguments::verbs}};

// Runs the scripts beside a `trailer` that prints names.
class CompletionScriptTest : public testing::Test {
  protected:
    CompletionScriptTest() {
        names_are("dev\ndata\n");
        for (const auto& [shell, name] :
             {std::pair{Shell::bash, "bash"}, {Shell::zsh, "zsh"}, {Shell::fish, "fish"}}) {
            write_file_atomically(directory_ / name, completion_script(shell, kCommands), 0600);
        }
    }

  public:
    ~CompletionScriptTest() override { std::filesystem::remove_all(directory_); }

  protected:
    void names_are(const std::string& names) {
        write_file_atomically(directory_ / "names", names, 0600);
        write_file_atomically(directory_ / "trailer",
                              fmt::format("#!/bin/sh\n[ \"$1 $3 $4\" = 'get -o name' ] && "
                                          "sed \"s/^/$2-/\" {}\n",
                                          (directory_ / "names").string()),
                              0700);
    }

    std::string output_of(const std::string& command) const {
        const auto whole = fmt::format("PATH={}:$PATH; {} 2>&1", directory_.string(), command);
        std::string text;
        auto* pipe = ::popen(whole.c_str(), "r");
        if (pipe == nullptr) return "no pipe";
        std::array<char, 4096> piece{};
        while (const auto count = std::fread(piece.data(), 1, piece.size(), pipe)) {
            text.append(piece.data(), count);
        }
        ::pclose(pipe);
        return text;
    }
    static bool installed(const std::string& program) {
        return std::system(fmt::format("command -v {} >/dev/null", program).c_str()) == 0;
    }

    // What bash offers for the last word.
    std::vector<std::string> offered(const std::vector<std::string>& words) const {
        std::string list;
        for (const auto& word : words) list += " '" + word + "'";
        const auto script = fmt::format(
            "compopt() {{ :; }}; cd {}; source ./bash; COMP_WORDS=({}); COMP_CWORD={}; _trailer; "
            "[ ${{#COMPREPLY[@]}} = 0 ] || printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            directory_.string(), list, words.size() - 1);
        write_file_atomically(directory_ / "ask", script, 0600);
        auto text = output_of(fmt::format("bash {}", (directory_ / "ask").string()));
        std::vector<std::string> result;
        for (std::size_t end = 0; (end = text.find('\n')) != text.npos; text.erase(0, end + 1)) {
            result.push_back(text.substr(0, end));
        }
        return result;
    }

    std::filesystem::path directory_ =
        std::filesystem::temp_directory_path() / ("trailer-completion-" + new_id());
};

TEST_F(CompletionScriptTest, EachShellFindsItsScriptWellFormed) {
    for (const std::string shell : {"bash", "zsh", "fish"}) {
        if (!installed(shell)) continue;
        EXPECT_EQ(output_of(fmt::format("{} -n {}", shell, (directory_ / shell).string())), "");
    }
}

TEST_F(CompletionScriptTest, BashOffersVerbsKindsAndFlags) {
    EXPECT_THAT(offered({"trailer", ""}),
                ElementsAre("get", "apply", "stop", "completion", "help"));
    EXPECT_THAT(offered({"trailer", "a"}), ElementsAre("apply"));
    EXPECT_THAT(offered({"trailer", "get", "work"}), ElementsAre("workspaces"));
    EXPECT_THAT(offered({"trailer", "get", "--"}), ElementsAre("--output", "--watch", "--server"));
    EXPECT_THAT(offered({"trailer", "completion", ""}), ElementsAre("bash", "zsh", "fish"));
    EXPECT_THAT(offered({"trailer", "help", "g"}), ElementsAre("get"));
}

TEST_F(CompletionScriptTest, BashOffersWhatAFlagTakes) {
    EXPECT_THAT(offered({"trailer", "get", "-o", ""}), ElementsAre("table", "json"));
    EXPECT_THAT(offered({"trailer", "get", "--output", "=", "j"}), ElementsAre("json"));
    EXPECT_THAT(offered({"trailer", "get", "--output", "="}), ElementsAre("table", "json"));
    EXPECT_THAT(offered({"trailer", "get", "--server", ""}), IsEmpty());
    EXPECT_THAT(offered({"trailer", "apply", "-f", "tra"}), ElementsAre("trailer"));
}

TEST_F(CompletionScriptTest, BashAsksTheServerForNames) {
    EXPECT_THAT(offered({"trailer", "get", "volumes", ""}),
                ElementsAre("volumes-dev", "volumes-data"));
    EXPECT_THAT(offered({"trailer", "get", "-o", "json", "hosts", "hosts-de"}),
                ElementsAre("hosts-dev"));
    EXPECT_THAT(offered({"trailer", "stop", "workspaces-da"}), ElementsAre("workspaces-data"));
}

TEST_F(CompletionScriptTest, ANameIsNeverRunAsACommand) {
    const auto trace = directory_ / "trace";
    names_are(fmt::format("$(touch${{IFS}}{0})\n`touch${{IFS}}{0}`\n*\n", trace.string()));
    EXPECT_THAT(offered({"trailer", "stop", "workspaces-*"}), ElementsAre("workspaces-*"));
    EXPECT_EQ(offered({"trailer", "stop", ""}).size(), 3U);
    EXPECT_FALSE(std::filesystem::exists(trace));
}

TEST_F(CompletionScriptTest, FishOffersTheSame) {
    if (!installed("fish")) GTEST_SKIP() << "fish is not installed";
    const auto asked = [&](const std::string& line) {
        return output_of(
            fmt::format("HOME={0} fish --no-config -c 'source {0}/fish; complete -C \"{1}\"'",
                        directory_.string(), line));
    };
    EXPECT_THAT(asked("trailer a"), StartsWith("apply"));
    EXPECT_THAT(asked("trailer get work"), StartsWith("workspaces"));
    EXPECT_THAT(asked("trailer get volumes "),
                AllOf(HasSubstr("volumes-dev"), HasSubstr("volumes-data")));
    EXPECT_THAT(asked("trailer get -o "), AllOf(HasSubstr("table"), HasSubstr("json")));
    EXPECT_THAT(asked("trailer g"), EndsWith("It's a list\n"));
}

TEST(PlanText, IsLikeADiff) {
    protocol::PlanOfHost host{.host = "gpu-1"};
    const std::string why = "image: a:1 -> a:2, env/A: none -> another value";
    const std::vector<protocol::FieldChange> changes{{"image", "a:1", "a:2"},
                                                     {"env/A", "none", "another value"}};
    host.plan.steps = {
        {.name = "lab", .action = "create_network", .reason = "is not there"},
        {.name = "old", .action = "remove_container", .reason = "is deleted"},
        {.name = "dev",
         .action = "update_container",
         .reason = "resources/pids: 50 -> 60",
         .changes = {{"resources/pids", "50", "60"}}},
        {.name = "web.next", .action = "create_container", .reason = why, .changes = changes},
        {.name = "web", .action = "start_replacement", .reason = why, .changes = changes},
        {.name = "db.next", .action = "create_container", .reason = why, .changes = changes}};
    for (std::size_t i = 3; i < host.plan.steps.size(); ++i) host.plan.steps[i].replaces = true;
    EXPECT_EQ(plan_text(host, Palette(false)),
              "on gpu-1\n"
              "  + create_network lab (is not there)\n"
              "  - remove_container old (is deleted)\n"
              "  ~ update_container dev (resources/pids: 50 -> 60)\n"
              "  + create_container web.next [replaces] (image: a:1 -> a:2, env/A: none -> another "
              "value)\n"
              "  ~ start_replacement web [replaces]\n"
              "  + create_container db.next [replaces] (image: a:1 -> a:2, env/A: none -> another "
              "value)\n");
    const Palette palette(true);
    EXPECT_THAT(
        plan_text(host, palette),
        testing::AllOf(testing::HasSubstr(palette.paint(Style::good, "+") + " create_network"),
                       testing::HasSubstr(palette.paint(Style::bad, "-") + " remove_container"),
                       testing::HasSubstr("resources/pids: " + palette.paint(Style::bad, "50") +
                                          " -> " + palette.paint(Style::good, "60"))));
}

}  // namespace
