#include <gmock/gmock.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <thread>

#include "aio/backoff.h"
#include "aio/blocking_pool.h"
#include "aio/circuit_breaker.h"
#include "aio/deadline.h"
#include "aio/periodic.h"
#include "aio/signal.h"
#include "aio/sweeper.h"
#include "aio/task_group.h"
#include "base/error.h"

namespace {

using namespace trailer;
using namespace trailer::aio;
using namespace std::chrono_literals;

// Runs one coroutine to its end and rethrows what it threw.
void run(Task<> task) {
    asio::io_context context;
    std::exception_ptr failure;
    bool ended = false;
    asio::co_spawn(context, std::move(task), [&](std::exception_ptr error) {
        failure = std::move(error);
        ended = true;
    });
    context.run_for(20s);
    ASSERT_TRUE(ended) << "the coroutine did not end";
    if (failure) std::rethrow_exception(failure);
}

Task<> note_after(std::chrono::milliseconds wait, std::vector<std::string>& notes,
                  std::string note) {
    co_await aio::sleep(wait);
    notes.push_back(std::move(note));
}

Task<> fail_after(std::chrono::milliseconds wait, std::string text) {
    co_await aio::sleep(wait);
    throw Error(ErrorKind::unavailable, text);
}

Task<> until_cancelled(int& ended) {
    try {
        co_await aio::sleep(1h);
    } catch (const std::exception& e) {
        if (is_cancellation(e)) ++ended;
        throw;
    }
}

Task<> join_of_children() {
    std::vector<std::string> notes;
    TaskGroup group(co_await asio::this_coro::executor);
    group.spawn(note_after(20ms, notes, "late"));
    group.spawn(note_after(1ms, notes, "early"));
    co_await group.join();
    EXPECT_THAT(notes, testing::ElementsAre("early", "late"));
}

TEST(TaskGroup, JoinAwaitsEveryChild) {
    run(join_of_children());
}

Task<> join_of_a_failure() {
    int cancelled = 0;
    TaskGroup group(co_await asio::this_coro::executor);
    group.spawn(until_cancelled(cancelled));
    group.spawn(fail_after(5ms, "broken"));
    group.spawn(until_cancelled(cancelled));
    std::string text;
    try {
        co_await group.join();
    } catch (const Error& e) {
        text = e.what();
    }
    EXPECT_EQ(text, "broken");
    EXPECT_EQ(cancelled, 2);
    EXPECT_EQ(group.size(), 0U);
}

TEST(TaskGroup, TheFirstFailureCancelsTheSiblingsAndIsRethrown) {
    run(join_of_a_failure());
}

Task<> parent_of_two(int& cancelled, bool& parent_saw) {
    TaskGroup group(co_await asio::this_coro::executor);
    group.spawn(until_cancelled(cancelled));
    group.spawn(until_cancelled(cancelled));
    try {
        co_await group.join();
    } catch (const std::exception& e) {
        parent_saw = is_cancellation(e);
        throw;
    }
}

Task<> cancel_the_parent() {
    int cancelled = 0;
    bool parent_saw = false;
    TaskGroup outer(co_await asio::this_coro::executor);
    outer.spawn(parent_of_two(cancelled, parent_saw));
    co_await aio::sleep(5ms);
    outer.cancel();
    co_await outer.join();
    EXPECT_EQ(cancelled, 2);
    EXPECT_TRUE(parent_saw);
}

TEST(TaskGroup, CancellingTheParentCancelsAndAwaitsTheChildren) {
    run(cancel_the_parent());
}

Task<> cancel_at_once(TaskGroup& group) {
    group.cancel();
    co_return;
}

Task<> join_of_one_that_cancels_at_once() {
    int cancelled = 0;
    TaskGroup group(co_await asio::this_coro::executor);
    group.spawn(until_cancelled(cancelled));
    group.spawn(cancel_at_once(group));
    group.spawn(until_cancelled(cancelled));  // not started any more
    co_await group.join();
    EXPECT_EQ(cancelled, 1);
}

TEST(TaskGroup, AChildMayCancelTheGroupBeforeItFirstSuspends) {
    run(join_of_one_that_cancels_at_once());
}

Task<int> seven_after(std::chrono::milliseconds wait) {
    co_await aio::sleep(wait);
    co_return 7;
}

Task<int> throw_at_once() {
    throw Error(ErrorKind::conflict, "taken");
    co_return 0;
}

Task<> deadlines() {
    EXPECT_EQ(co_await with_deadline(seven_after(1ms), Deadline::in(5s), "counting"), 7);
    std::string text;
    try {
        co_await with_deadline(seven_after(1h), Deadline::in(10ms), "counting");
    } catch (const Error& e) {
        EXPECT_EQ(e.kind(), ErrorKind::timeout);
        text = e.what();
    }
    EXPECT_EQ(text, "counting: no answer in time");
    // A failure is told at once, not when the time is up.
    const auto began = std::chrono::steady_clock::now();
    bool conflict = false;
    try {
        co_await with_deadline(throw_at_once(), Deadline::in(10s), "trying");
    } catch (const Error& e) {
        conflict = e.kind() == ErrorKind::conflict;
    }
    EXPECT_TRUE(conflict);
    EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
}

TEST(Deadline, GivesTheResultOrTellsWhatTookTooLong) {
    run(deadlines());
}

Task<> under_a_deadline(bool& cancelled) {
    try {
        co_await with_deadline(seven_after(1h), Deadline::in(1h), "waiting");
    } catch (const std::exception& e) {
        cancelled = is_cancellation(e);
        throw;
    }
}

Task<> cancel_under_a_deadline() {
    bool cancelled = false;
    TaskGroup group(co_await asio::this_coro::executor);
    group.spawn(under_a_deadline(cancelled));
    co_await aio::sleep(5ms);
    group.cancel();
    co_await group.join();
    EXPECT_TRUE(cancelled);
}

TEST(Deadline, LetsACancellationOfTheCallerThrough) {
    run(cancel_under_a_deadline());
}

TEST(Backoff, DoublesItsCeilingUpToTheCapAndStartsAnew) {
    Backoff backoff(100ms, 1s);
    std::vector<std::int64_t> ceilings;
    for (int i = 0; i < 6; ++i) {
        ceilings.push_back(backoff.ceiling().count());
        const auto wait = backoff.next();
        EXPECT_GE(wait, 0ms);
        EXPECT_LE(wait.count(), ceilings.back());
    }
    EXPECT_THAT(ceilings, testing::ElementsAre(100, 200, 400, 800, 1000, 1000));
    for (int i = 0; i < 100; ++i) backoff.next();  // no overflow
    EXPECT_EQ(backoff.ceiling(), 1s);
    backoff.reset();
    EXPECT_EQ(backoff.ceiling(), 100ms);
}

Task<> signals() {
    Signal signal(co_await asio::this_coro::executor);
    signal.notify();
    signal.notify();
    co_await signal.wait();  // remembered, and counted once
    EXPECT_FALSE(co_await signal.wait_for(5ms));
    signal.notify();
    EXPECT_TRUE(co_await signal.wait_for(1h));
}

TEST(Signal, RemembersANotificationUntilItIsWaitedFor) {
    run(signals());
}

Task<> count_until_third(int& count, TaskGroup& group) {
    if (++count == 3) group.cancel();
    if (count == 2) throw Error(ErrorKind::unavailable, "once");
    co_return;
}

Task<> periodic(int& count, int& failures) {
    TaskGroup group(co_await asio::this_coro::executor);
    PeriodicTask task{.name = "test",
                      .period = [] { return 2ms; },
                      .failed = [&](const std::exception&) { ++failures; }};
    group.spawn(run_periodically(task, [&] { return count_until_third(count, group); }));
    co_await group.join();
}

TEST(Periodic, GoesOnAfterAFailureAndEndsByCancellation) {
    int count = 0, failures = 0;
    run(periodic(count, failures));
    EXPECT_EQ(count, 3);
    EXPECT_EQ(failures, 1);
}

Task<> notified_period(int& count, Signal& now) {
    ++count;
    co_return;
}

Task<> hurry() {
    int count = 0;
    Signal now(co_await asio::this_coro::executor);
    TaskGroup group(co_await asio::this_coro::executor);
    PeriodicTask task{
        .name = "test", .period = [] { return std::chrono::milliseconds(1h); }, .now = &now};
    group.spawn(run_periodically(task, [&] { return notified_period(count, now); }));
    co_await aio::sleep(5ms);
    now.notify();
    co_await aio::sleep(5ms);
    group.cancel();
    co_await group.join();
    EXPECT_EQ(count, 2);
}

TEST(Periodic, ANotificationEndsTheWait) {
    run(hurry());
}

Task<> pooled() {
    BlockingPool pool(1);
    const auto here = std::this_thread::get_id();
    const auto there = co_await pool.run([] { return std::this_thread::get_id(); });
    EXPECT_NE(here, there);
    EXPECT_EQ(here, std::this_thread::get_id());
    bool caught = false;
    try {
        co_await pool.run([] { throw Error(ErrorKind::not_found, "nothing"); });
    } catch (const Error& e) {
        caught = e.kind() == ErrorKind::not_found;
    }
    EXPECT_TRUE(caught);
}

TEST(BlockingPool, RunsElsewhereAndComesBack) {
    run(pooled());
}

Task<> work_for_a_moment(BlockingPool* pool, int* done) {
    for (;;) {
        co_await pool->run([done] {
            std::this_thread::sleep_for(std::chrono::microseconds(50));
            ++*done;
        });
    }
}

// Reads memory that has gone, were the pool's thread told of the cancellation.
Task<> cancel_callers_of_a_pool() {
    for (int i = 0; i < 200; ++i) {
        BlockingPool pool(1);
        int done = 0;
        TaskGroup group(co_await asio::this_coro::executor);
        group.spawn(work_for_a_moment(&pool, &done));
        co_await sleep(std::chrono::milliseconds(i % 3));
        group.cancel();
        co_await group.join();
    }
}

TEST(BlockingPool, ACallersCancellationStaysOutOfThePool) {
    run(cancel_callers_of_a_pool());
}

struct Peer {
    CircuitBreaker breaker;
    bool there = true;
    int calls = 0;
    int refused = 0;
    int at_once = 0;
    int most_at_once = 0;
};

// One call, which takes a moment.
Task<> call(Peer* peer) {
    auto turn = co_await peer->breaker.turn();
    ++peer->calls;
    peer->most_at_once = std::max(peer->most_at_once, ++peer->at_once);
    co_await aio::sleep(2ms);
    --peer->at_once;
    if (peer->there) co_return turn.reached();
    ++peer->refused;
    turn.failed();
}

Task<> call_until_reached(Peer* peer, int* done) {
    for (int refused = -1; refused != peer->refused;) {
        refused = peer->refused;
        co_await call(peer);
    }
    ++*done;
}

Task<> one_tries_for_all() {
    const auto executor = co_await asio::this_coro::executor;
    Peer peer{.breaker = {executor, Backoff(10ms, 10ms)}, .there = false};
    co_await call(&peer);
    EXPECT_TRUE(peer.breaker.away());
    peer.most_at_once = 0;
    int done = 0;
    TaskGroup callers(executor);
    for (int i = 0; i < 20; ++i) callers.spawn(call_until_reached(&peer, &done));
    co_await aio::sleep(100ms);
    EXPECT_EQ(peer.most_at_once, 1);
    EXPECT_EQ(done, 0);
    EXPECT_GT(peer.calls, 2) << "somebody tries";
    peer.there = true;
    const auto refused = peer.refused;
    co_await callers.join();
    EXPECT_EQ(done, 20);
    EXPECT_LE(peer.refused, refused + 1) << "but for one that was under way";
    EXPECT_FALSE(peer.breaker.away());
}

TEST(CircuitBreakerTest, OneTriesAndTheOthersWaitForWhatItFinds) {
    run(one_tries_for_all());
}

Task<> hold_turn(CircuitBreaker* breaker) {
    auto turn = co_await breaker->turn();
    co_await aio::sleep(1h);
    turn.reached();
}

Task<> a_cancelled_try_makes_room() {
    const auto executor = co_await asio::this_coro::executor;
    CircuitBreaker breaker(executor, Backoff(0ms, 0ms));
    (co_await breaker.turn()).failed();
    TaskGroup first(executor);
    first.spawn(hold_turn(&breaker));
    TaskGroup second(executor);
    second.spawn(hold_turn(&breaker));  // waits for the first
    co_await aio::sleep(5ms);
    first.cancel();
    co_await first.join();
    auto turn = breaker.turn();
    second.cancel();
    co_await second.join();
    (co_await std::move(turn)).reached();
    EXPECT_FALSE(breaker.away());
}

TEST(CircuitBreakerTest, ATryThatIsCancelledMakesRoomForTheNext) {
    run(a_cancelled_try_makes_room());
}

Task<> waits_between_tries() {
    const auto executor = co_await asio::this_coro::executor;
    CircuitBreaker breaker(executor, Backoff(40ms, 40ms));
    const auto begun = std::chrono::steady_clock::now();
    int tries = 0;
    (co_await breaker.turn()).failed();
    for (; std::chrono::steady_clock::now() - begun < 500ms; ++tries) {
        (co_await breaker.turn()).failed();
    }
    EXPECT_LT(tries, 60) << "20 ms each, on average";
    EXPECT_GT(tries, 5);
}

TEST(CircuitBreakerTest, ABackoffPassesBetweenTwoTries) {
    run(waits_between_tries());
}

// --- Sweeper

Task<> looks_while_there_is_something() {
    int looks = 0;
    Sweeper sweeper(co_await asio::this_coro::executor, 1ms, [&] { return ++looks < 3; });
    co_await aio::sleep(20ms);
    EXPECT_EQ(looks, 0) << "nothing has begun";
    sweeper.begin();
    co_await aio::sleep(100ms);
    EXPECT_EQ(looks, 3);
    sweeper.begin();
    sweeper.end();
    co_await aio::sleep(20ms);
    EXPECT_EQ(looks, 3) << "it was ended";
    sweeper.begin();
    co_await aio::sleep(100ms);
    EXPECT_EQ(looks, 4);
}

TEST(SweeperTest, LooksWhileThereIsSomethingAndUntilItIsEnded) {
    run(looks_while_there_is_something());
}

}  // namespace
