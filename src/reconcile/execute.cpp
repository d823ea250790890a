#include "reconcile/execute.h"

#include "base/error.h"
#include "base/log.h"
#include "wire/json.h"

namespace trailer::reconcile {
namespace {

namespace label = runtime::label;
using runtime::ContainerRuntime;
using runtime::label_of;
using runtime::Labels;

// Why an object of the wanted name is not ours to use.
std::string whose(std::string_view noun, const std::string& name, const Labels& labels,
                  const std::string& what) {
    const bool managed = runtime::is_managed(labels);
    return fmt::format(
        "a {0} named \"{1}\" is on this host already{2}, {3}: it is left alone. Remove or rename "
        "it, or give this {4} another name",
        noun, name, what,
        managed ? "made by another Trailer host or for something that is no more"
                : "not made by Trailer",
        noun == "container" ? "workspace" : noun);
}

bool same_owner(const Labels& a, const Labels& b) {
    return label_of(a, label::kHost) == label_of(b, label::kHost) &&
           label_of(a, label::kId) == label_of(b, label::kId);
}

constexpr std::string_view kEnginesPools =
    ": the engine chose its subnet, because this agent does not see the host's routes or has no "
    "network_pools; run it on the host's network, or give this network a `subnet`";

class Execution {
  public:
    Execution(ContainerRuntime& runtime, const Step& step, TimeLimits limits,
              runtime::Progress progress, Touched& touched)
        : runtime_(runtime),
          step_(step),
          limits_(limits),
          progress_(std::move(progress)),
          touched_(touched) {
        if (!step.object.empty() && step.action != Action::remove_network &&
            step.action != Action::remove_volume && step.action != Action::remove_image &&
            step.action != Action::release_image) {
            touched.containers.push_back(step.object);
        }
        if (!step.replaces.empty()) touched.containers.push_back(step.replaces);
    }

    Task<> run() {
        switch (step_.action) {
            case Action::create_network:
                return create_network();
            case Action::remove_network:
                return remove_network();
            case Action::create_volume:
                return create_volume();
            case Action::remove_volume:
                return remove_volume();
            case Action::build_image:
                return build_image();
            case Action::pull_image:
                return pull_image();
            case Action::remove_image:
                touched_.images = true;
                return runtime_.remove_image(step_.object);
            case Action::release_image:
                return release_image();
            case Action::create_container:
                return create_container();
            case Action::start_container:
                return start_container();
            case Action::stop_container:
                return runtime_.stop_container(step_.object, grace());
            case Action::restart_container:
                return restart_container();
            case Action::unpause_container:
                return runtime_.unpause_container(step_.object);
            case Action::rename_container:
                return runtime_.rename_container(step_.object, step_.name);
            case Action::remove_container:
                return remove_container();
            case Action::update_container:
                return runtime_.update_container(step_.object, step_.spec->limits,
                                                 step_.spec->restart);
            case Action::connect_network:
                touched_.networks.push_back(step_.attachment.network);  // it may have gone
                return runtime_.connect_network(step_.object, step_.attachment);
            case Action::disconnect_network:
                return disconnect_network();
            case Action::start_replacement:
                return start_replacement();
            case Action::finish_replacement:
                return finish_replacement();
            case Action::roll_back:
                return roll_back();
        }
        throw Error(ErrorKind::internal, "step {} is unknown", static_cast<int>(step_.action));
    }

  private:
    std::chrono::seconds grace() const {
        return std::chrono::ceil<std::chrono::seconds>(step_.grace);
    }

    Task<> create_network() {
        const auto& fault = step_.subnets.fault;
        if (!fault.empty()) throw Error(ErrorKind::conflict, "{}", fault);
        auto spec = *step_.network;
        give(step_.subnets, spec);
        std::optional<Error> conflict;
        try {
            auto id = co_await runtime_.create_network(spec);
            touched_.networks.push_back(std::move(id));
        } catch (const Error& e) {
            if (e.kind() != ErrorKind::conflict) throw;
            conflict = e;
        }
        if (!conflict) co_return;
        const auto found = co_await runtime_.find_network(step_.name);
        if (!found) {  // its addresses are taken, not its name
            throw Error(ErrorKind::conflict, "{}{}", conflict->what(),
                        spec.subnet.empty() ? kEnginesPools : "");
        }
        touched_.networks.push_back(found->id);
        if (same_owner(found->labels, spec.labels)) co_return;
        throw Error(ErrorKind::conflict, whose("network", step_.name, found->labels,
                                               fmt::format(" (subnet {})", found->subnet)));
    }

    // A container that Trailer made has been taken off before.
    Task<> remove_network() {
        touched_.networks.push_back(step_.object);
        std::optional<Error> conflict;
        try {
            co_await runtime_.remove_network(step_.object);
        } catch (const Error& e) {
            if (e.kind() != ErrorKind::conflict) throw;
            conflict = e;
        }
        if (!conflict) {
            touched_.gone_networks.push_back(std::move(touched_.networks.back()));
            touched_.networks.pop_back();
            co_return;
        }
        const auto found = co_await runtime_.find_network(step_.object);
        if (!found || found->attached.empty()) throw Error(*conflict);
        throw Error(
            ErrorKind::conflict,
            "network {} is in use by {}, not made by Trailer: disconnect {} from it, and the "
            "network goes by itself",
            found->name, fmt::join(found->attached, ", "),
            found->attached.size() == 1 ? "it" : "them");
    }

    Task<> create_volume() {
        touched_.volumes.push_back(step_.name);
        std::optional<Error> conflict;
        try {
            auto made = co_await runtime_.create_volume(*step_.volume);
            touched_.made_volumes.push_back(std::move(made));
            touched_.volumes.pop_back();
            co_return;
        } catch (const Error& e) {
            if (e.kind() != ErrorKind::conflict) throw;
            conflict = e;
        }
        const auto found = co_await runtime_.find_volume(step_.name);
        if (!found) throw Error(*conflict);
        throw Error(ErrorKind::conflict, whose("volume", step_.name, found->labels, ""));
    }

    Task<> build_image() {
        touched_.images = true;
        const auto& build = step_.image->build;
        const auto found = co_await runtime_.find_image(build.reference);
        if (found &&
            label_of(found->labels, label::kHost) != label_of(build.labels, label::kHost)) {
            throw Error(ErrorKind::conflict,
                        "an image {} is on this host already, not made by this Trailer host: its "
                        "name is left alone. Remove or retag it, or choose another reference",
                        build.reference);
        }
        co_await runtime_.build_image(build, aio::Deadline::in(limits_.build), progress_);
    }

    Task<> pull_image() {
        touched_.images = true;
        co_await runtime_.pull_image(step_.image->reference, aio::Deadline::in(limits_.pull),
                                     progress_);
        touched_.forced_pull = step_.image->hash;
        touched_.pulled = step_.brings_image;
    }

    Task<> release_image() {
        touched_.images = true;
        try {
            co_await runtime_.remove_image(step_.object);
            touched_.image_gone = true;
        } catch (const Error& e) {
            if (e.kind() != ErrorKind::conflict) throw;
            log::info("image {} stays: {}", runtime::short_id(step_.object), e.what());
            touched_.image_in_use = step_.object;
        }
    }

    Task<> remove_container() {
        if (step_.stop_first) co_await stop_if_there(step_.object);
        co_await runtime_.remove_container(step_.object);
        is_gone(step_.object);
        // Of one that a former container had, the engine takes the name for its own and leaves it.
        for (const auto& name : step_.anonymous_volumes) co_await remove_unless_used(name);
    }

    Task<> remove_unless_used(std::string volume) {
        try {
            co_await runtime_.remove_volume(std::move(volume));
        } catch (const Error& e) {
            if (e.kind() != ErrorKind::conflict) throw;
        }
    }

    // Needs no look any more.
    void is_gone(const std::string& id) {
        std::erase(touched_.containers, id);
        touched_.gone_containers.push_back(id);
    }

    Task<> remove_volume() {
        touched_.volumes.push_back(step_.object);
        co_await runtime_.remove_volume(step_.object);
        touched_.gone_volumes.push_back(std::move(touched_.volumes.back()));
        touched_.volumes.pop_back();
    }

    Task<> stop_if_there(std::string id) {
        try {
            co_await runtime_.stop_container(std::move(id), grace());
        } catch (const Error& e) {
            if (e.kind() != ErrorKind::not_found) throw;
        }
    }

    runtime::ContainerSpec spec_of_new() const {
        auto spec = *step_.spec;
        spec.name = step_.name;
        spec.mounts.insert(spec.mounts.end(), step_.carried.begin(), step_.carried.end());
        return spec;
    }

    Task<> create_container() {
        if (step_.pull_first) co_await pull_for_container();
        std::optional<Error> failure;
        try {
            const auto id = co_await runtime_.create_container(spec_of_new());
            touched_.containers.push_back(id);
            co_return;
        } catch (const Error& e) {
            if (e.kind() != ErrorKind::conflict && e.kind() != ErrorKind::not_found) throw;
            failure = e;
        }
        if (failure->kind() == ErrorKind::conflict) {
            co_await explain_conflict(*failure);
            co_return;
        }
        if (const auto image = co_await runtime_.find_image(step_.spec->image))
            throw Error(*failure);
        if (!step_.may_pull) {
            touched_.images =
                true;  // an Image's, which is made again now that it is seen to be gone
            throw Error(ErrorKind::conflict,
                        "image {} is not on this host: an Image is made again, and with `pull: "
                        "never` it is up to you",
                        step_.spec->image);
        }
        co_await pull_for_container();
        const auto id = co_await runtime_.create_container(spec_of_new());
        touched_.containers.push_back(id);
    }

    // Told at once: whoever counts what the engine is busy with need not wait for a registry.
    Task<> pull_for_container() {
        if (progress_) progress_("pulling " + step_.spec->image);
        co_await runtime_.pull_image(step_.spec->image, aio::Deadline::in(limits_.pull), progress_);
    }

    Task<> explain_conflict(Error conflict) {
        const auto found = co_await runtime_.find_container(step_.name);
        if (!found) throw Error(conflict);
        if (same_owner(found->labels, step_.spec->labels)) {
            touched_.containers.push_back(found->id);  // made before we were killed
            co_return;
        }
        throw Error(
            ErrorKind::conflict,
            whose("container", step_.name, found->labels,
                  fmt::format(" ({}, image {})", runtime::short_id(found->id), found->image)));
    }

    Task<> start_container() {
        try {
            co_await runtime_.start_container(step_.object);
        } catch (const runtime::Unstartable& e) {
            log::warning("{}: it is made anew", e.what());
            touched_.unstartable = step_.object;
        }
    }

    Task<> restart_container() {
        co_await runtime_.stop_container(step_.object, grace());
        co_await runtime_.start_container(step_.object);
    }

    // By its id, for a name may be another network's by now; by its name, where it has gone.
    Task<> disconnect_network() {
        const auto& id = step_.attachment.network_id;
        bool there = false;
        if (!id.empty()) {
            const auto found = co_await runtime_.find_network(id);
            there = found.has_value();
        }
        try {
            co_await runtime_.disconnect_network(step_.object,
                                                 there ? id : step_.attachment.network);
        } catch (const Error& e) {
            if (e.kind() != ErrorKind::not_found) throw;
        }
    }

    Task<> start_replacement() {
        if (step_.stop_first) co_await runtime_.stop_container(step_.replaces, grace());
        std::optional<Error> failure;
        try {
            co_await runtime_.start_container(step_.object);
        } catch (const Error& e) {
            if (e.kind() == ErrorKind::unavailable) throw;  // the engine's fault, not the new one's
            failure = e;
        }
        if (!failure) co_return;
        if (failure->kind() != ErrorKind::conflict) {
            if (step_.running) co_await start_former();
            co_await roll_back();  // stop_first is about `replaces` here; this one does not run
            co_return;
        }
        // A port or an address that another has may be free soon: this one is tried again.
        co_await runtime_.remove_container(step_.object);
        if (step_.running) co_await runtime_.start_container(step_.replaces);
        throw Error(failure->kind(), "{} (the former container is back)", failure->what());
    }

    // The test of whether the new one is to blame, before anything is held against it: an engine
    // that is ending (Docker 20.10) fails at every start, in words that don't tell.
    Task<> start_former() {
        try {
            co_await runtime_.start_container(step_.replaces);
        } catch (const Error& e) {
            if (e.kind() == ErrorKind::unavailable) throw;
            log::debug("workspace {}: {}", step_.name, e.what());  // rolling back tells it
        }
    }

    // One that runs is set aside before it is stopped: killed after that, the planner knows that it
    // has failed, whatever its exit code. One that ends again and again comes to rest first: Docker
    // (20.10) can neither rename nor update it while it starts and ends.
    Task<> roll_back() {
        const auto failed = step_.name + kFailedSuffix;
        if (!step_.stop_first) co_await runtime_.rename_container(step_.object, failed);
        co_await runtime_.stop_container(step_.object, grace());
        co_await runtime_.update_container(step_.object, step_.spec->limits,
                                           protocol::RestartPolicy::no);
        if (step_.stop_first) co_await runtime_.rename_container(step_.object, failed);
        if (step_.running) co_await runtime_.start_container(step_.replaces);
    }

    // The name is free for no longer than it takes to rename another container.
    Task<> finish_replacement() {
        co_await runtime_.rename_container(step_.replaces, step_.name + kFormerSuffix);
        co_await runtime_.rename_container(step_.object, step_.name);
        co_await runtime_.remove_container(step_.replaces);
        is_gone(step_.replaces);
    }

    ContainerRuntime& runtime_;
    const Step& step_;
    TimeLimits limits_;
    runtime::Progress progress_;
    Touched& touched_;
};

}  // namespace

Task<> execute(ContainerRuntime& runtime, const Step& step, TimeLimits limits,
               runtime::Progress progress, Touched& touched) {
    Execution execution(runtime, step, limits, std::move(progress), touched);
    co_await execution.run();
}

}  // namespace trailer::reconcile
