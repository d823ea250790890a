#include "metrics/nvidia.h"

#include <gmock/gmock.h>

#include <cstdio>
#include <fstream>

#include "base/crypto.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "metrics/fake_nvml.h"
#include "metrics/nvml.h"

namespace {

using namespace trailer;
using namespace trailer::metrics;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

class NvidiaTest : public testing::Test {
  protected:
    static Nvidia open() { return std::move(Nvidia::open(FakeNvml::kPath).value()); }

    static std::string fault(const std::function<void()>& action) {
        try {
            action();
        } catch (const Error& e) {
            return e.what();
        }
        return "it did not fail";
    }

    FakeNvml nvml_;
};

TEST_F(NvidiaTest, TellsWhichCardsThereAre) {
    const auto gpus = open().gpus();
    const std::vector<protocol::Gpu> expected{
        {"GPU-11111111-2222-3333-4444-555555555555", "NVIDIA Fake 80GB", 80LL << 30},
        {"GPU-66666666-7777-8888-9999-000000000000", "NVIDIA Fake 24GB", 24LL << 30}};
    EXPECT_EQ(gpus, expected);
}

TEST_F(NvidiaTest, SamplesPercentBytesDegreesAndWatts) {
    auto samples = open().sample();
    ASSERT_EQ(samples.size(), 2U);
    EXPECT_NE(samples[0].at, Timestamp{});
    const protocol::GpuMetrics expected{.at = samples[0].at,
                                        .uuid = "GPU-11111111-2222-3333-4444-555555555555",
                                        .name = "NVIDIA Fake 80GB",
                                        .utilization_percent = 37,
                                        .memory_total = 80LL << 30,
                                        .memory_free = 60LL << 30,
                                        .memory_used = 20LL << 30,
                                        .temperature_c = 41,
                                        .power_w = 123.456};
    EXPECT_EQ(samples[0], expected);
    EXPECT_EQ(samples[1].utilization_percent, 0) << "idle is not unknown";
    EXPECT_EQ(samples[1].memory_used, 0);
}

TEST_F(NvidiaTest, WhatACardDoesNotTellIsAbsent) {
    auto nvidia = open();
    EXPECT_FALSE(nvidia.sample().at(1).power_w.has_value());
    nvml_.fail("nvmlDeviceGetMemoryInfo", nvml::kNotSupported);
    EXPECT_EQ(nvidia.gpus().at(0).memory_total, 0);
    EXPECT_FALSE(nvidia.sample().at(0).memory_total.has_value());
    EXPECT_FALSE(nvidia.sample().at(0).memory_free.has_value());
    EXPECT_FALSE(nvidia.sample().at(0).memory_used.has_value());
    nvml_.fail("nvmlDeviceGetUtilizationRates", nvml::kNotSupported);
    EXPECT_FALSE(nvidia.sample().at(0).utilization_percent.has_value());
    nvml_.fail("nvmlDeviceGetTemperature", nvml::kNotSupported);
    EXPECT_FALSE(nvidia.sample().at(0).temperature_c.has_value());
    nvml_.fail("nvmlDeviceGetName", nvml::kNotSupported);
    EXPECT_EQ(nvidia.gpus().at(0).name, "");
}

TEST_F(NvidiaTest, ADriverThatDoesNotStartIsTriedAgain) {
    nvml_.fail("nvmlInit_v2", nvml::kDriverNotLoaded);
    auto nvidia = open();
    EXPECT_EQ(fault([&] { nvidia.gpus(); }),
              "starting NVIDIA's NVML: Driver Not Loaded (NVML error 9)");
    EXPECT_THROW(nvidia.sample(), Error);
    nvml_.fail("nvmlDeviceGetCount_v2", nvml::kGpuIsLost);
    EXPECT_EQ(fault([&] { nvidia.gpus(); }), "counting NVIDIA's GPUs: Fake Error (NVML error 15)");
    nvml_.fail(nullptr, 0);
    EXPECT_EQ(nvidia.gpus().size(), 2U);
}

TEST_F(NvidiaTest, LetsTheDriverGo) {
    {
        auto nvidia = open();
        EXPECT_EQ(nvml_.sessions(), 0);
        nvidia.gpus();
        nvidia.sample();
        EXPECT_EQ(nvml_.sessions(), 1);
        auto other = open();
        other.gpus();
        nvidia = std::move(other);
        EXPECT_EQ(nvml_.sessions(), 1);
    }
    EXPECT_EQ(nvml_.sessions(), 0);
}

TEST_F(NvidiaTest, ACardThatIsLostIsLeftOutAndToldOnce) {
    const auto directory = fs::path(testing::TempDir()) / ("nvidia-" + to_hex(random_bytes(6)));
    fs::create_directories(directory);
    log::set_stderr(false);
    log::open(directory, "t", 100'000);
    auto nvidia = open();
    nvml_.lose(0);
    EXPECT_EQ(nvidia.gpus().at(0).name, "NVIDIA Fake 24GB");
    EXPECT_EQ(nvidia.gpus().size(), 1U);
    EXPECT_EQ(nvidia.sample().size(), 1U);
    log::set_stderr(true);
    const std::string said = "GPU 0 of this host is left out: Fake Error (NVML error 15)";
    const auto text = read_file(directory / "t.log");
    const auto at = text.find(said);
    EXPECT_NE(at, text.npos);
    EXPECT_EQ(text.find(said, at + 1), text.npos);
    fs::remove_all(directory);
}

TEST_F(NvidiaTest, WithoutALibraryThereIsNone) {
    EXPECT_FALSE(Nvidia::open("libnvidia-nowhere.so.1").has_value());
    EXPECT_FALSE(Nvidia::open("/nowhere/libnvidia-ml.so.1").has_value());
}

TEST_F(NvidiaTest, ALibraryThatIsNoneIsToldWithTheReason) {
    const auto file = fs::path(testing::TempDir()) / ("nvml-" + to_hex(random_bytes(6)) + ".so");
    std::ofstream(file) << "not a library";
    EXPECT_THAT(fault([&] { Nvidia::open(file); }),
                AllOf(HasSubstr("opening NVIDIA's " + file.string()), Not(HasSubstr("No such"))));
    fs::remove(file);
    EXPECT_EQ(fault([] { Nvidia::open("libm.so.6"); }),
              "using NVIDIA's libm.so.6: it has no nvmlInit_v2");
}

// What nvidia-smi says, a line a card; nothing where it can't be asked.
std::vector<std::string> nvidia_smi(const std::string& fields) {
    const auto command =
        "nvidia-smi --query-gpu=" + fields + " --format=csv,noheader,nounits 2>/dev/null";
    auto* const output = ::popen(command.c_str(), "r");
    if (output == nullptr) return {};
    std::string text;
    std::array<char, 4096> buffer{};
    while (const auto count = std::fread(buffer.data(), 1, buffer.size(), output)) {
        text.append(buffer.data(), count);
    }
    if (::pclose(output) != 0) return {};
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

TEST(RealNvidia, TellsWhatNvidiaSmiTells) {
    auto nvidia = Nvidia::open();
    if (!nvidia) GTEST_SKIP() << "this host has no " << kNvidiaLibrary;
    const auto expected = nvidia_smi("uuid,name,memory.total");
    if (expected.empty()) GTEST_SKIP() << "nvidia-smi tells of no card";
    std::vector<std::string> lines;
    for (const auto& gpu : nvidia->gpus()) {
        lines.push_back(fmt::format("{}, {}, {}", gpu.uuid, gpu.name, gpu.memory_total >> 20));
    }
    EXPECT_EQ(lines, expected);
}

TEST(RealNvidia, SamplesWhatCanBe) {
    auto nvidia = Nvidia::open();
    if (!nvidia) GTEST_SKIP() << "this host has no " << kNvidiaLibrary;
    const auto cards = nvidia_smi("uuid");
    if (cards.empty()) GTEST_SKIP() << "nvidia-smi tells of no card";
    const auto begun = std::chrono::steady_clock::now();
    const auto samples = nvidia->sample();
    const auto took = std::chrono::steady_clock::now() - begun;
    ASSERT_EQ(samples.size(), cards.size());
    for (const auto& each : samples) {
        SCOPED_TRACE(wire::to_json_text(each));
        EXPECT_GE(each.utilization_percent.value_or(0), 0);
        EXPECT_LE(each.utilization_percent.value_or(0), 100);
        EXPECT_LE(each.memory_used.value_or(0), each.memory_total.value_or(0));
        EXPECT_LE(each.memory_free.value_or(0), each.memory_total.value_or(0));
        EXPECT_GT(each.temperature_c.value_or(20), 0);
        EXPECT_LT(each.temperature_c.value_or(20), 120);
        EXPECT_LT(each.power_w.value_or(1), 2'000);
        fmt::print("{}\n", wire::to_json_text(each));
    }
    const auto again = std::chrono::steady_clock::now();
    nvidia->sample();
    using std::chrono::duration;
    fmt::print("the first sample took {:.1f} ms, the next {:.1f} ms\n",
               duration<double, std::milli>(took).count(),
               duration<double, std::milli>(std::chrono::steady_clock::now() - again).count());
}

}  // namespace
