#include "client/session/io_thread.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

#include "aio/signal.h"

namespace trailer::client {

using namespace std::chrono_literals;

namespace {

constexpr auto kPatience = 200ms;  // of the destructor

struct Job {
    Job(const asio::any_io_executor& executor, IoThread::Work its_work)
        : work(std::move(its_work)), done(executor) {}
    IoThread::Work work;
    aio::Signal done;
};

}  // namespace

struct IoThread::State {
    explicit State(asio::any_io_executor its_executor) : executor(std::move(its_executor)) {
        if (stop < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    }
    ~State() { ::close(stop); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    asio::any_io_executor executor;
    int stop = ::eventfd(0, EFD_CLOEXEC);
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::shared_ptr<Job>> jobs;  // shared with their callers
    bool stopping = false;                  // the executor may be gone
    bool ended = false;
};

IoThread::IoThread(asio::any_io_executor executor)
    : state_(std::make_shared<State>(std::move(executor))) {
    std::thread([state = state_] { serve(state); }).detach();
}

IoThread::~IoThread() {
    std::unique_lock lock(state_->mutex);
    state_->stopping = true;
    state_->jobs.clear();
    ::eventfd_write(state_->stop, 1);
    state_->changed.notify_all();
    state_->changed.wait_for(lock, kPatience, [this] { return state_->ended; });
}

Task<> IoThread::run(Work work) {
    auto job = std::make_shared<Job>(state_->executor, std::move(work));
    {
        const std::lock_guard lock(state_->mutex);
        state_->jobs.push_back(job);
        state_->changed.notify_all();
    }
    co_await job->done.wait();
}

void IoThread::serve(const std::shared_ptr<State>& state) {
    std::unique_lock lock(state->mutex);
    while (!state->stopping) {
        if (state->jobs.empty()) {
            state->changed.wait(lock);
            continue;
        }
        auto job = std::move(state->jobs.front());
        state->jobs.pop_front();
        lock.unlock();
        job->work(state->stop);
        lock.lock();
        if (!state->stopping) {
            asio::post(state->executor, [job = std::move(job)] { job->done.notify(); });
        }
    }
    state->ended = true;
    state->changed.notify_all();
}

}  // namespace trailer::client
