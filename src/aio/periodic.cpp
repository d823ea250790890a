#include "aio/periodic.h"

#include <random>

#include "aio/backoff.h"
#include "base/error.h"
#include "base/log.h"

namespace trailer::aio {
namespace {

std::chrono::milliseconds jittered(std::chrono::milliseconds period, double jitter) {
    static thread_local std::minstd_rand random{std::random_device{}()};
    const auto spread = static_cast<double>(period.count()) * jitter;
    const auto offset = std::uniform_real_distribution<>{-spread, spread}(random);
    return period + std::chrono::milliseconds{static_cast<std::int64_t>(offset)};
}

}  // namespace

Task<> run_periodically(PeriodicTask task, std::function<Task<>()> body) {
    Backoff backoff;
    std::string last_failure;
    Signal never(co_await asio::this_coro::executor);
    auto& now = task.now != nullptr ? *task.now : never;
    for (;;) {
        std::chrono::milliseconds wait{};
        try {
            co_await body();
            if (!last_failure.empty()) log::info("{}: works again", task.name);
            last_failure.clear();
            backoff.reset();
            wait = jittered(task.period(), task.jitter);
        } catch (const std::exception& e) {
            if (is_cancellation(e)) throw;
            wait = std::min(backoff.next(), task.period());
            if (auto text = describe(e); text != last_failure) {
                log::warning("{}: {}", task.name, text);
                last_failure = std::move(text);
            }
            if (task.failed) task.failed(e);
        }
        co_await now.wait_for(wait);
    }
}

}  // namespace trailer::aio
