// Every file of tests/compose becomes what its first line says, and the server would take it.
#include <gmock/gmock.h>

#include <filesystem>

#include "base/file.h"
#include "compose/project.h"
#include "compose/words.h"
#include "protocol/validate.h"

namespace {

using namespace trailer;
using namespace trailer::compose;
namespace fs = std::filesystem;

std::vector<std::string> corpus() {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(TRAILER_SOURCE "/tests/compose")) {
        if (entry.path().extension() == ".yaml") files.push_back(entry.path().string());
    }
    std::ranges::sort(files);
    return files;
}

class Corpus : public testing::TestWithParam<std::string> {};

TEST_P(Corpus, BecomesWhatItsFirstLineSays) {
    const auto text = read_file(GetParam());
    constexpr std::string_view kBegin = "# becomes: ";
    ASSERT_TRUE(text.starts_with(kBegin));
    const auto expected = split_words(text.substr(kBegin.size(), text.find('\n') - kBegin.size()));
    Options options;
    options.working_directory = fs::path(GetParam()).parent_path().string();
    // As if it stood in a directory of its name.
    const auto stem = fs::path(GetParam()).stem().string();
    const auto place = fs::path(options.working_directory) / stem / "compose.yaml";
    const auto project = read_project(parse_tree(GetParam(), text), place.string(), options);
    EXPECT_THAT(project.findings.faults, testing::IsEmpty());
    EXPECT_THAT(project.findings.unsupported, testing::IsEmpty());
    EXPECT_THAT(project.findings.warnings, testing::IsEmpty());
    std::vector<std::string> names;
    for (const auto& each : project.documents) {
        names.push_back(fmt::format("{}/{}", protocol::noun(each.kind), each.name));
        std::vector<FieldError> errors;
        protocol::check_name(each.name, "/name", errors);
        protocol::check_spec(each.kind, each.value.at("spec").as_object(), errors);
        for (const auto& error : errors) {
            ADD_FAILURE() << names.back() << error.pointer << ": " << error.detail;
        }
        EXPECT_TRUE(each.places.contains("/name") || each.places.contains("")) << names.back();
    }
    EXPECT_EQ(names, *expected);
}

INSTANTIATE_TEST_SUITE_P(Compose, Corpus, testing::ValuesIn(corpus()),
                         [](const auto& each) { return fs::path(each.param).stem().string(); });

}  // namespace
