// Runs a test's script beside the scripted server, on one event loop.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <utility>

#include "agent/scripted_server.h"
#include "aio/task_group.h"
#include "base/error.h"

namespace trailer::agent {

using namespace std::chrono_literals;

// Awaits `condition`; fails the test after ten seconds.
inline Task<> until(std::function<bool()> condition, std::string what) {
    for (int i = 0; i < 5000; ++i) {
        if (condition()) co_return;
        co_await aio::sleep(2ms);
    }
    throw Error(ErrorKind::timeout, "waited in vain for: {}", what);
}

// One event loop with the server and whatever a test adds.
class Stage {
  public:
    asio::any_io_executor executor() { return context_.get_executor(); }

    // Spawns what is to run beside the script, until the script has ended.
    aio::TaskGroup& beside() { return beside_; }

    void play(Task<> script) {
        std::exception_ptr failure;
        bool ended = false;
        asio::co_spawn(context_, run(std::move(script)), [&](std::exception_ptr error) {
            failure = std::move(error);
            ended = true;
        });
        context_.run_for(60s);
        ASSERT_TRUE(ended) << "the script did not end";
        if (failure) FAIL() << describe(failure);
    }

  private:
    Task<> run(Task<> script) {
        std::exception_ptr failure;
        try {
            co_await std::move(script);
        } catch (...) {
            failure = std::current_exception();
        }
        beside_.cancel();
        co_await beside_.join();
        co_await server.down();
        if (failure) std::rethrow_exception(failure);
    }

    asio::io_context context_;
    aio::TaskGroup beside_{context_.get_executor()};

  public:
    ScriptedServer server{context_.get_executor()};
};

}  // namespace trailer::agent
