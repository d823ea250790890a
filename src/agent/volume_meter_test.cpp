#include "agent/volume_meter.h"

#include <gmock/gmock.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "runtime/fake_runtime.h"

namespace {

using namespace trailer;
using namespace trailer::agent;
using namespace std::chrono_literals;

TEST(VolumeMeter, TakesOnePercentOfTheTimeWithinBounds) {
    EXPECT_EQ(VolumeMeter::pause_after(10ms), 5min);
    EXPECT_EQ(VolumeMeter::pause_after(30s), 50min);
    EXPECT_EQ(VolumeMeter::pause_after(30min), 6h);
}

Task<> measure(runtime::FakeRuntime& engine, VolumeMeter& meter) {
    EXPECT_TRUE(meter.due());
    const auto sizes = co_await meter.measure();
    EXPECT_EQ(sizes.value().at("data"), 4096);
    EXPECT_FALSE(meter.due()) << "the next is minutes away";
    engine.fail_next("volume_sizes", ErrorKind::conflict,
                     "a disk usage operation is already running");
    EXPECT_EQ(co_await meter.measure(), std::nullopt);
    EXPECT_FALSE(meter.due()) << "a failure is no reason to hurry";
}

TEST(VolumeMeter, MeasuresSeldomAndSurvivesFailures) {
    asio::io_context context;
    runtime::FakeRuntime engine(context.get_executor());
    engine.set_volume_size("data", 4096);
    VolumeMeter meter(engine);
    std::exception_ptr failure;
    asio::co_spawn(context, measure(engine, meter),
                   [&](std::exception_ptr error) { failure = std::move(error); });
    context.run();
    EXPECT_FALSE(failure);
}

}  // namespace
