// What the client reads: documents, server-sent events, arguments.
#include <gmock/gmock.h>

#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "base/id.h"
#include "client/arguments.h"
#include "client/documents.h"
#include "client/failure.h"
#include "client/sse.h"

namespace {

using namespace trailer;
using namespace trailer::client;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<ServerSentEvent> events_of(std::initializer_list<std::string_view> pieces) {
    SseParser parser;
    std::vector<ServerSentEvent> events;
    for (const auto piece : pieces) {
        parser.feed(piece);
        while (auto event = parser.next()) events.push_back(std::move(*event));
    }
    return events;
}

TEST(SseTest, NothingComesBeforeTheBlankLine) {
    EXPECT_THAT(events_of({"data: one\n"}), IsEmpty());
    EXPECT_THAT(events_of({"data: one"}), IsEmpty());
    EXPECT_THAT(events_of({"data: one\n", "\n"}),
                ElementsAre(ServerSentEvent{"message", "one", ""}));
}

TEST(SseTest, ACutBetweenCrAndLfMakesNoBlankLine) {
    EXPECT_THAT(events_of({"data: one\r", "\ndata: two\r", "\n", "\r", "\n"}),
                ElementsAre(ServerSentEvent{"message", "one\ntwo", ""}));
}

TEST(SseTest, CommentsAndUnknownFieldsAreNoEvents) {
    EXPECT_THAT(events_of({":\n\n: alive\n\n:data: x\n\nfuture: x\n\n"}), IsEmpty());
    EXPECT_THAT(events_of({"data: a\n: between\ndata: b\n\n"}),
                ElementsAre(ServerSentEvent{"message", "a\nb", ""}));
}

TEST(SseTest, OneBlankAfterTheColonIsNotPartOfTheValue) {
    EXPECT_THAT(events_of({"data:  two\ndata:\ndata: a: b\n\n"}),
                ElementsAre(ServerSentEvent{"message", " two\n\na: b", ""}));
}

TEST(SseTest, AnIdHoldsUntilTheNextAndTheNameForOneEvent) {
    EXPECT_THAT(
        events_of({"id: 1\nevent: resource\ndata: a\n\ndata: b\n\nid\ndata: c\n\n"}),
        ElementsAre(ServerSentEvent{"resource", "a", "1"}, ServerSentEvent{"message", "b", "1"},
                    ServerSentEvent{"message", "c", ""}));
    const std::string with_zero("id: 1\nid: 2\0x\ndata: a\n\n", 23);
    EXPECT_THAT(events_of({with_zero}), ElementsAre(ServerSentEvent{"message", "a", "1"}));
}

TEST(SseTest, AByteOrderMarkIsSkippedAtTheBeginningAlone) {
    EXPECT_THAT(events_of({"\xEF", "\xBB\xBF", "data: a\n\n\xEF\xBB\xBF", "data: b\n\n"}),
                ElementsAre(ServerSentEvent{"message", "a", ""}));
}

TEST(SseTest, AResetNeedsNoData) {
    EXPECT_THAT(events_of({"event: reset\n\n"}), ElementsAre(ServerSentEvent{"reset", "", ""}));
}

TEST(SseTest, ARetryThatIsNoNumberIsPassedOver) {
    SseParser parser;
    parser.feed("retry: soon\nretry: -1\nretry: 5s\nretry:\n");
    EXPECT_EQ(parser.retry_ms(), std::nullopt);
    parser.feed("retry: 5\n");
    EXPECT_EQ(parser.retry_ms(), 5);
}

TEST(SseTest, ManyLinesOfOneEventAreBoundedTogether) {
    SseParser parser;
    const auto line = "data: " + std::string(1 << 20, 'x') + "\n";
    const auto flood = [&] {
        for (int i = 0; i < 20; ++i) parser.feed(line);
    };
    EXPECT_THROW(flood(), Error);
}

std::vector<std::string> faults_of(std::string_view text) {
    std::vector<std::string> faults;
    parse_documents("f.yml", text, faults);
    return faults;
}

TEST(DocumentsTest, EveryFaultOfAFileIsToldAtOnce) {
    EXPECT_THAT(
        faults_of("kind: Volume\n---\nname: x\n---\n- kind: Image\n- 5\n"),
        ElementsAre("f.yml:1:1: /name: is required", "f.yml:3:1: /kind: is required",
                    HasSubstr("f.yml:5:3: /name"), HasSubstr("f.yml:6:3: expected a document")));
}

TEST(DocumentsTest, APluralOrALowerCaseKindIsPutRight) {
    for (const auto* kind : {"workspace", "workspaces", "WS"}) {
        EXPECT_THAT(faults_of(fmt::format("kind: {}\nname: x\n", kind)),
                    ElementsAre(HasSubstr("did you mean Workspace?")))
            << kind;
    }
}

TEST(DocumentsTest, ANameThatYamlTakesForANumberWantsQuotes) {
    EXPECT_THAT(faults_of("kind: Volume\nname: 42\n"),
                ElementsAre("f.yml:2:1: /name: expected text; write it in quotes"));
    EXPECT_THAT(faults_of("kind: Volume\nname: ''\n"), ElementsAre(HasSubstr("must not be empty")));
    EXPECT_THAT(faults_of("kind: Volume\nname: \"42\"\n"), IsEmpty());
}

TEST(DocumentsTest, WhatIsNoYamlOrJsonIsToldWithItsPlace) {
    EXPECT_THAT(faults_of("kind: Volume\nname: [x\n"), ElementsAre(HasSubstr("f.yml:3:")));
    EXPECT_THAT(faults_of("kind: Volume\nkind: Image\n"), ElementsAre(HasSubstr("f.yml:2:")));
    EXPECT_THAT(faults_of("{\"kind\": \"Volume\",\n \"name\": }{"),
                ElementsAre(HasSubstr("f.yml:2:")));
}

TEST(DocumentsTest, PointersOfAJsonListLeadToItsElement) {
    std::vector<std::string> faults;
    const auto documents =
        parse_documents("f.json",
                        "[{\"kind\": \"Volume\", \"name\": \"a\"},\n"
                        " {\"kind\": \"Volume\", \"name\": \"b\",\n  \"spec\": {\"driver\": 5}}]",
                        faults);
    EXPECT_THAT(placed({{"/1/spec/driver", "expected text"}, {"/1", "is refused"}}, documents),
                ElementsAre("f.json:3:12: /spec/driver: expected text", "f.json:2:2: is refused"));
}

TEST(DocumentsTest, AFaultWithoutADocumentIsShownAsItCame) {
    std::vector<std::string> faults;
    const auto documents = parse_documents("f.yml", "kind: Volume\nname: a\n", faults);
    EXPECT_THAT(
        placed({{"", "too many"}, {"/7/name", "what"}, {"/x", "odd"}, {"/0x", "odder"}}, documents),
        ElementsAre("too many", "/7/name: what", "/x: odd", "/0x: odder"));
}

TEST(DocumentsTest, AnEscapedMemberIsFoundByItsPointer) {
    std::vector<std::string> faults;
    const auto documents = parse_documents(
        "f.yml", "kind: Volume\nname: a\nspec:\n  labels:\n    a/b: 1\n    c~d: 2\n", faults);
    EXPECT_THAT(placed({{"/0/spec/labels/a~1b", "x"}, {"/0/spec/labels/c~0d", "y"}}, documents),
                ElementsAre(HasSubstr("f.yml:5:"), HasSubstr("f.yml:6:")));
}

TEST(DocumentsTest, DoublesAreFoundAcrossFilesAndKindsKeptApart) {
    const auto file = std::filesystem::temp_directory_path() / ("documents-" + new_id() + ".yml");
    write_file_atomically(file, "# mine\nkind: Volume\nname: data\n", 0600);
    std::istringstream twice("kind: Volume\nname: data\n");
    try {
        load_documents({.files = {file.string(), "-"}}, twice);
        ADD_FAILURE() << "both were taken";
    } catch (const BadDocuments& e) {
        EXPECT_THAT(e.lines(),
                    ElementsAre(fmt::format("<stdin>:2:1: /name: volume data stands here a second "
                                            "time, first at {}:3:1",
                                            file.string())));
    }
    std::istringstream other("kind: Network\nname: data\n");
    const auto documents = load_documents({.files = {file.string(), "-"}}, other).documents;
    ASSERT_EQ(documents.size(), 2U);
    EXPECT_EQ(documents[0].kind, protocol::Kind::volume);
    EXPECT_EQ(documents[1].kind, protocol::Kind::network);
    std::filesystem::remove(file);
}

TEST(ArgumentsTest, NamesMayCarryTheirKind) {
    const auto named = parse_named("ws", {"workspace/a", "ws/b", "c"});
    EXPECT_EQ(named.subject, Subject::workspace);
    EXPECT_THAT(named.names, ElementsAre("a", "b", "c"));
    EXPECT_THAT(parse_named("host/gpu-1", {"gpu-2"}).names, ElementsAre("gpu-1", "gpu-2"));
    EXPECT_THAT(parse_named("volumes", {}).names, IsEmpty());
}

TEST(ArgumentsTest, ANameOfAnotherKindOrNoneIsRefused) {
    EXPECT_THROW(parse_named("ws", {"network/a"}), UsageError);
    EXPECT_THROW(parse_named("ws", {""}), UsageError);
    EXPECT_THROW(parse_named("ws/", {}), UsageError);
    EXPECT_THROW(parse_named("ws", {"a/b"}), UsageError);
    EXPECT_THROW(parse_named("", {}), UsageError);
}

TEST(SubjectTest, EachIsReadBackFromItsOwnNames) {
    for (const auto subject : kAllSubjects) {
        for (const auto& word : {title(subject), noun(subject), plural(subject)}) {
            EXPECT_EQ(parse_subject(word), subject) << word;
        }
        const auto kind = kind_of(subject);
        EXPECT_EQ(kind.has_value(), subject != Subject::host && subject != Subject::group);
        if (kind) EXPECT_EQ(subject_of(*kind), subject);
    }
    EXPECT_EQ(parse_subject("net"), Subject::network);
    EXPECT_EQ(parse_subject("vol"), Subject::volume);
    EXPECT_EQ(parse_subject("img"), Subject::image);
    EXPECT_EQ(parse_subject(""), std::nullopt);
}

TEST(SubjectTest, APathHoldsTheNameEncoded) {
    EXPECT_EQ(path_of(Subject::host), "/api/hosts");
    EXPECT_EQ(path_of(Subject::workspace, "a b?c"), "/api/workspaces/a%20b%3Fc");
    EXPECT_EQ(path_of(Subject::image, ".."), "/api/images/..");
}

}  // namespace
