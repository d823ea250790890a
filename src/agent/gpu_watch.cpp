#include "agent/gpu_watch.h"

#include "base/log.h"

namespace trailer::agent {
namespace {

using namespace std::chrono_literals;

// The driver may be loaded later than the agent is started.
constexpr auto kLookAgain = 10min;
// The heartbeat waits for it. Cards that are awake tell within milliseconds.
constexpr auto kPatience = 500ms;

}  // namespace

GpuWatch::GpuWatch(const asio::any_io_executor& executor, std::filesystem::path library,
                   std::function<void()> news)
    : library_(std::move(library)), news_(std::move(news)), asked_(executor), measured_(executor) {}

Task<> GpuWatch::run() {
    for (;;) {
        try {
            co_await look();
            fault_.clear();
        } catch (const std::exception& e) {
            if (aio::is_cancellation(e)) throw;
            metrics_.clear();
            if (auto text = describe(e); text != fault_) {
                log::warning("looking at this host's GPUs: {}", text);
                fault_ = std::move(text);
            }
        }
        late_ = false;
        measured_.notify();
        if (!std::exchange(looked_, true)) news_();
        co_await asked_.wait_for(kLookAgain);
    }
}

Task<> GpuWatch::look() {
    if (!nvidia_) nvidia_ = metrics::Nvidia::open(library_);
    if (!nvidia_) {
        take({});
        co_return;
    }
    auto work = [this, measuring = measuring_] {
        try {
            Seen seen{nvidia_->gpus(), {}};
            if (measuring) {
                seen.metrics = nvidia_->sample();
            } else {
                nvidia_.reset();
            }
            return seen;
        } catch (...) {
            nvidia_.reset();  // the next look finds a driver that was replaced
            throw;
        }
    };
    auto seen = co_await thread_.run(std::move(work));
    take(std::move(seen));
}

void GpuWatch::take(Seen seen) {
    metrics_ = std::move(seen.metrics);
    if (seen.gpus == gpus_) return;
    gpus_ = std::move(seen.gpus);
    log::info("NVIDIA GPUs of this host: {}", gpus_.size());
    if (looked_) news_();
}

Task<std::vector<protocol::GpuMetrics>> GpuWatch::measure() {
    measuring_ = true;
    std::vector<protocol::GpuMetrics> found;
    if (gpus_.empty() || late_) co_return found;
    co_await measured_.wait_for(0ms);  // what an earlier look has told
    asked_.notify();
    late_ = !co_await measured_.wait_for(kPatience);
    if (!late_) found = std::exchange(metrics_, {});
    co_return found;
}

void GpuWatch::rest() {
    if (!std::exchange(measuring_, false)) return;
    asked_.notify();
}

}  // namespace trailer::agent
