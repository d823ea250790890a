#include "aio/task_group.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <cassert>

namespace trailer::aio {

TaskGroup::TaskGroup(asio::any_io_executor executor)
    : executor_(std::move(executor)), idle_(executor_) {}

TaskGroup::~TaskGroup() {
    assert(children_.empty() && "join() a TaskGroup before it goes");
}

void TaskGroup::spawn(Task<> task) {
    if (cancelled_) return;
    const auto child = children_.emplace(children_.end());
    asio::co_spawn(
        executor_, std::move(task),
        asio::bind_cancellation_slot(child->stop.slot(), [this, child](std::exception_ptr error) {
            ended(child, std::move(error));
        }));
    // It is still in the list: one that ends before it first suspends tells so from the event loop.
    child->starting = false;
    if (cancelled_) child->stop.emit(asio::cancellation_type::all);
}

void TaskGroup::cancel() {
    if (std::exchange(cancelled_, true)) return;
    // A child may end, and so leave the list, while it is being cancelled: post each signal, by way
    // of a copy of the list's addresses that are still in it.
    std::vector<Child*> targets;
    for (auto& child : children_) targets.push_back(&child);
    for (auto* target : targets) {
        for (auto& child : children_) {
            if (&child == target) {
                // Asio (1.81) lets the end of a child that was cancelled before it first suspended
                // out of co_spawn as an exception: spawn() cancels it.
                if (child.starting) break;
                child.stop.emit(asio::cancellation_type::all);
                break;
            }
        }
    }
}

void TaskGroup::ended(std::list<Child>::iterator child, std::exception_ptr error) {
    children_.erase(child);
    if (error && !failure_ && !cancelled_) {
        failure_ = std::move(error);
        cancel();
    }
    if (children_.empty()) idle_.cancel();
}

Task<> TaskGroup::join() {
    // Cancellation of the parent must reach the children, not tear this wait apart.
    bool parent_cancelled = false;
    co_await asio::this_coro::throw_if_cancelled(false);
    while (!children_.empty()) {
        idle_.expires_at(asio::steady_timer::time_point::max());
        co_await idle_.async_wait(asio::as_tuple(asio::use_awaitable));
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) {
            parent_cancelled = true;
            cancel();
            co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        }
    }
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await asio::this_coro::throw_if_cancelled(true);
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    if (parent_cancelled) throw boost::system::system_error(asio::error::operation_aborted);
}

}  // namespace trailer::aio
