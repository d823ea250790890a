#include "agent/gpu_watch.h"

#include <gmock/gmock.h>

#include "agent/host_tree.h"
#include "agent/play.h"
#include "base/file.h"
#include "base/log.h"
#include "metrics/fake_nvml.h"
#include "metrics/nvml.h"

namespace {

using namespace trailer;
using namespace trailer::agent;
namespace nvml = trailer::metrics::nvml;
using testing::IsEmpty;
using testing::SizeIs;

class World : public Stage {
  public:
    explicit World(std::string library = metrics::FakeNvml::kPath)
        : watch(executor(), std::move(library), [this] { ++news; }) {
        log::set_stderr(false);
        log::open(directory.root(), "t", 100'000);
        beside().spawn(watch.run());
    }
    ~World() { log::set_stderr(true); }

    std::size_t warnings() const {
        const auto text = read_file(directory.root() / "t.log");
        constexpr std::string_view kSaid = "looking at this host's GPUs: ";
        std::size_t count = 0;
        for (auto at = text.find(kSaid); at != text.npos; at = text.find(kSaid, at + 1)) ++count;
        return count;
    }

    metrics::FakeNvml nvml;
    HostTree directory;
    GpuWatch watch;
    int news = 0;
};

Task<> a_library_that_is_not_there(World& world) {
    co_await until([&] { return world.watch.looked(); }, "the first look");
    EXPECT_THAT(world.watch.gpus(), IsEmpty());
    EXPECT_THAT(co_await world.watch.measure(), IsEmpty());
    world.watch.rest();
    EXPECT_EQ(world.warnings(), 0U);
    EXPECT_EQ(world.news, 1);
}

TEST(GpuWatch, WithoutADriverThereIsNothingToSay) {
    World world("libnone.so.1");
    world.play(a_library_that_is_not_there(world));
}

Task<> a_driver_that_is_not_loaded(World& world) {
    world.nvml.fail("nvmlInit_v2", nvml::kDriverNotLoaded);
    co_await until([&] { return world.watch.looked(); }, "the first look");
    EXPECT_THAT(world.watch.gpus(), IsEmpty());
    EXPECT_EQ(world.warnings(), 1U);
    EXPECT_THAT(read_file(world.directory.root() / "t.log"),
                testing::HasSubstr("starting NVIDIA's NVML: Driver Not Loaded (NVML error 9)"));
}

TEST(GpuWatch, ADriverThatDoesNotWorkIsToldAndHarmsNothing) {
    World world;
    world.play(a_driver_that_is_not_loaded(world));
}

Task<> a_driver_that_fails_for_a_while(World& world) {
    auto& watch = world.watch;
    co_await until([&] { return watch.looked(); }, "the first look");
    EXPECT_THAT(co_await watch.measure(), SizeIs(2));
    world.nvml.fail("nvmlDeviceGetCount_v2", nvml::kGpuIsLost);
    EXPECT_THAT(co_await watch.measure(), IsEmpty());
    EXPECT_THAT(co_await watch.measure(), IsEmpty());
    EXPECT_THAT(watch.gpus(), SizeIs(2)) << "it takes none away";
    EXPECT_EQ(world.warnings(), 1U);
    world.nvml.fail(nullptr, 0);
    EXPECT_THAT(co_await watch.measure(), SizeIs(2));
    EXPECT_EQ(world.nvml.sessions(), 1);
    EXPECT_EQ(world.news, 1);
    world.nvml.lose(0);
    EXPECT_THAT(co_await watch.measure(), SizeIs(1));
    EXPECT_THAT(watch.gpus(), SizeIs(1));
    EXPECT_EQ(world.news, 2);
}

TEST(GpuWatch, GoesOnAfterADriverThatFailedForAWhile) {
    World world;
    world.play(a_driver_that_fails_for_a_while(world));
}

Task<> a_driver_that_hangs(World& world) {
    using Clock = std::chrono::steady_clock;
    auto& watch = world.watch;
    co_await until([&] { return watch.looked(); }, "the first look");
    world.nvml.wait(600);  // each of two
    auto begun = Clock::now();
    EXPECT_THAT(co_await watch.measure(), IsEmpty());
    EXPECT_LT(Clock::now() - begun, 1s);
    world.nvml.wait(0);
    begun = Clock::now();
    EXPECT_THAT(co_await watch.measure(), IsEmpty());
    EXPECT_LT(Clock::now() - begun, 100ms) << "nobody waits twice for one look";
    std::vector<protocol::GpuMetrics> measured;
    for (int i = 0; i < 100 && measured.empty(); ++i) {
        co_await aio::sleep(50ms);
        measured = co_await watch.measure();
    }
    EXPECT_THAT(measured, SizeIs(2)) << "once it answers again";
}

TEST(GpuWatch, ADriverThatHangsIsNotWaitedFor) {
    World world;
    world.play(a_driver_that_hangs(world));
}

Task<> rests(World& world) {
    auto& watch = world.watch;
    co_await until([&] { return watch.looked(); }, "the first look");
    EXPECT_EQ(world.nvml.sessions(), 1);
    watch.rest();
    watch.rest();
    co_await until([&] { return world.nvml.sessions() == 0; }, "the driver to be let go");
    EXPECT_THAT(watch.gpus(), SizeIs(2));
    for (int i = 0; i < 20; ++i) EXPECT_THAT(co_await watch.measure(), SizeIs(2));
    EXPECT_EQ(world.nvml.sessions(), 1);
}

TEST(GpuWatch, LetsTheDriverGoWhileNobodyMeasures) {
    World world;
    world.play(rests(world));
}

}  // namespace
