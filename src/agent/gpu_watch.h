// The host's GPUs: which there are, and how they do.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "aio/blocking_pool.h"
#include "aio/signal.h"
#include "metrics/nvidia.h"

namespace trailer::agent {

// Asks the driver on a thread of its own, which is not made where there is no driver. A driver that
// hangs, as one does whose card fell off the bus, holds up nothing but this.
class GpuWatch {
  public:
    // `library`: NVIDIA's. `news` is called after the first look, and when other GPUs are there
    // than before.
    GpuWatch(const asio::any_io_executor& executor, std::filesystem::path library,
             std::function<void()> news);

    // Looks at once, when it is asked, and every ten minutes. Until cancelled.
    Task<> run();

    bool looked() const { return looked_; }
    // As they were last seen: a driver that fails for a while takes none away.
    const std::vector<protocol::Gpu>& gpus() const { return gpus_; }

    // Measures now. Empty where there are none, and where the driver does not answer in time: half
    // a second, once for each look. One caller at a time.
    Task<std::vector<protocol::GpuMetrics>> measure();
    // Nobody measures: the driver is let go, so that an admin may reset the cards or replace it.
    void rest();

  private:
    struct Seen {
        std::vector<protocol::Gpu> gpus;
        std::vector<protocol::GpuMetrics> metrics;
    };

    Task<> look();
    void take(Seen seen);

    std::filesystem::path library_;
    std::function<void()> news_;
    aio::Signal asked_;
    aio::Signal measured_;
    bool measuring_ = true;  // else resting
    bool late_ = false;      // a look that was waited for is still under way
    bool looked_ = false;
    std::vector<protocol::Gpu> gpus_;
    std::vector<protocol::GpuMetrics> metrics_;
    std::string fault_;

    std::optional<metrics::Nvidia> nvidia_;  // the thread's while it looks
    aio::BlockingPool thread_{1};            // last: it is joined before the rest goes
};

}  // namespace trailer::agent
