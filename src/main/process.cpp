#include "main/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/signal_set.hpp>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/log.h"

namespace trailer {
namespace {

using namespace std::chrono_literals;

// Half a second is left of the 5 s that the product promises, for a machine under load.
constexpr auto kPatience = 4500ms;

// As many as may be had. A server has four open for each agent, an agent three for each session,
// and many systems begin a program with 1024 of many more, for the sake of select(2).
void take_all_files() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    const auto was = std::exchange(limit.rlim_cur, limit.rlim_max);
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        log::warning(
            "the limit of open files stays at {}: {}; raise it with `ulimit -n`, or LimitNOFILE= "
            "of the systemd unit",
            was, std::strerror(errno));
    }
}

}  // namespace

// A thread that ends the process when it is still there `kPatience` after arm().
class Process::Watchdog {
  public:
    ~Watchdog() {
        {
            const std::lock_guard lock(mutex_);
            done_ = true;
        }
        changed_.notify_all();
        if (thread_.joinable()) thread_.join();
    }

    void arm() {
        if (!thread_.joinable()) thread_ = std::thread(&Watchdog::wait, this);
    }

  private:
    void wait() {
        std::unique_lock lock(mutex_);
        if (changed_.wait_for(lock, kPatience, [this] { return done_; })) return;
        log::error("did not come to an end within 5 s of being asked to: ending all the same");
        std::_Exit(1);
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool done_ = false;
    std::thread thread_;
};

Process::Process() : watchdog_(std::make_unique<Watchdog>()) {
    std::signal(SIGPIPE, SIG_IGN);  // a peer that is gone is told by the write's own error
    take_all_files();
}

Process::~Process() = default;

int Process::run(Task<> root, std::string_view role) {
    asio::cancellation_signal cancel;
    asio::signal_set stops(context_, SIGTERM, SIGINT);
    asio::signal_set hangups(context_, SIGHUP);
    bool stopping = false;
    int exit_code = 0;

    std::function<void()> await_stop = [&] {
        stops.async_wait([&](const boost::system::error_code& error, int signal) {
            if (error) return;
            if (std::exchange(stopping, true)) {
                log::warning("asked a second time to end: ending at once");
                std::_Exit(1);
            }
            log::info("{}: ending; workspaces stay as they are",
                      signal == SIGTERM ? "SIGTERM" : "SIGINT");
            watchdog_->arm();
            await_stop();
            cancel.emit(asio::cancellation_type::all);
        });
    };
    std::function<void()> await_hangup = [&] {
        hangups.async_wait([&](const boost::system::error_code& error, int) {
            if (error) return;
            log::reopen();
            log::info("SIGHUP: log files opened anew");
            await_hangup();
        });
    };
    await_stop();
    await_hangup();

    asio::co_spawn(context_, std::move(root),
                   asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr failure) {
                       // The end of a task that was asked to end is no failure, however it ended.
                       if (!stopping) {
                           exit_code = 1;
                           log::error("{}: {}", role,
                                      failure ? describe(failure) : "ended by itself");
                       } else {
                           log::info("{}: ended", role);
                       }
                       stops.cancel();
                       hangups.cancel();
                   }));
    context_.run();
    return exit_code;
}

}  // namespace trailer
