// What the reconciler's tests share: one at work on the fake engine.
#pragma once

#include "reconcile/reconciler.h"
#include "reconcile/trial.h"

namespace trailer::reconcile {

// A reconciler at work on the fake engine.
class World {
  public:
    World() : World(protocol::HostBounds{}) {}
    explicit World(protocol::HostBounds bounds) : bounds_{std::move(bounds), {}, {}, 24} {
        engine.add_image("image:1");
        protocol::HostSettings settings;
        settings.leftover_grace_ms = 0;
        reconciler.set_settings(settings);
    }

    // A container that carries our labels, and belongs to nothing wanted.
    static constexpr const char* kOwnContainer = "agent";
    std::string put_own_container() {
        engine.put_container({.name = kOwnContainer,
                              .image = "image:1",
                              .labels = {{runtime::label::kManaged, "true"},
                                         {runtime::label::kHost, reconcile::kHost},
                                         {runtime::label::kId, "id-of-nothing"}}});
        return engine.container(kOwnContainer)->id;
    }

    void play(Task<> script) { loop.run(run(std::move(script))); }

    void apply() {
        ++desired.revision;
        reconciler.set_desired(desired);
    }
    void change(protocol::DesiredWorkspace& workspace) {
        ++workspace.revision;
        apply();
    }

    const protocol::StatusReport* report(protocol::Kind kind, const std::string& name) const {
        const auto found = newest.find({kind, "id-" + name});
        return found == newest.end() ? nullptr : &found->second;
    }
    protocol::State status(const std::string& name,
                           protocol::Kind kind = protocol::Kind::workspace) const {
        const auto* found = report(kind, name);
        return found == nullptr ? protocol::State::pending : found->status;
    }
    std::string messages(const std::string& name,
                         protocol::Kind kind = protocol::Kind::workspace) const {
        std::string text;
        if (const auto* found = report(kind, name)) {
            for (const auto& each : found->messages) text += each.text + "\n";
        }
        return text;
    }

    Task<> until(std::function<bool()> condition, std::string what) {
        for (int i = 0; i < 8000; ++i) {
            if (condition()) co_return;
            co_await aio::sleep(1ms);
        }
        throw Error(ErrorKind::timeout, "waited in vain for: {}", what);
    }
    Task<> until_status(std::string name, protocol::State state,
                        protocol::Kind kind = protocol::Kind::workspace) {
        const auto what = fmt::format("{} to be {}, it is {}: {}", name, wire::to_text(state),
                                      wire::to_text(status(name, kind)), messages(name, kind));
        co_await until([this, name, state, kind] { return status(name, kind) == state; }, what);
    }

  private:
    Bounds bounds_;

  public:
    Loop loop;
    FakeRuntime engine{loop.executor()};
    protocol::DesiredState desired = nothing_wanted();
    std::map<Key, protocol::StatusReport> newest;
    std::vector<protocol::StatusReport> reports;
    std::optional<double> disk_used;
    std::string own_container = put_own_container();
    Reconciler reconciler{engine,
                          {.bounds = bounds_,
                           .own_container_id = own_container,
                           .disk_used_percent = [this] { return disk_used; }},
                          [this](protocol::StatusReport report) {
                              reports.push_back(report);
                              newest[{report.kind, report.id}] = std::move(report);
                          }};

  private:
    Task<> run(Task<> script) {
        aio::TaskGroup group(loop.executor());
        group.spawn(reconciler.run());
        std::exception_ptr failure;
        try {
            co_await std::move(script);
        } catch (...) {
            failure = std::current_exception();
        }
        group.cancel();
        co_await group.join();
        if (failure) std::rethrow_exception(failure);
    }
};

}  // namespace trailer::reconcile
