#include "reconcile/execute.h"

#include "base/error.h"
#include "wire/json.h"

namespace trailer::reconcile {
namespace {

namespace label = runtime::label;
using runtime::ContainerRuntime;
using runtime::Labels;

std::string label_of(const Labels& labels, const char* name) {
    const auto found = labels.find(name);
    return found == labels.end() ? "" : found->second;
}

// Why an object of the wanted name is not ours to use.
std::string whose(std::string_view noun, const std::string& name, const Labels& labels,
                  const std::string& what) {
    const bool managed = label_of(labels, label::kManaged) == "true";
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
            step.action != Action::remove_volume && step.action != Action::remove_image) {
            touched.containers.push_back(step.object);
        }
        if (!step.replaces.empty()) touched.containers.push_back(step.replaces);
    }

    Task<> run() {
        switch (step_.action) {
            case Action::create_network:
                return create_network();
            case Action::remove_network:
                touched_.networks.push_back(step_.object);
                return runtime_.remove_network(step_.object);
            case Action::create_volume:
                return create_volume();
            case Action::remove_volume:
                touched_.volumes.push_back(step_.object);
                return runtime_.remove_volume(step_.object);
            case Action::build_image:
                return build_image();
            case Action::pull_image:
                return pull_image();
            case Action::remove_image:
                touched_.images = true;
                return runtime_.remove_image(step_.object);
            case Action::create_container:
                return create_container();
            case Action::start_container:
                return runtime_.start_container(step_.object);
            case Action::stop_container:
                return runtime_.stop_container(step_.object, grace());
            case Action::restart_container:
                return restart_container();
            case Action::rename_container:
                return runtime_.rename_container(step_.object, step_.name);
            case Action::remove_container:
                return runtime_.remove_container(step_.object);
            case Action::update_container:
                return runtime_.update_container(step_.object, step_.spec.limits,
                                                 step_.spec.restart);
            case Action::connect_network:
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
        std::optional<Error> conflict;
        try {
            auto id = co_await runtime_.create_network(step_.network);
            touched_.networks.push_back(std::move(id));
        } catch (const Error& e) {
            if (e.kind() != ErrorKind::conflict) throw;
            conflict = e;
        }
        if (!conflict) co_return;
        const auto found = co_await runtime_.find_network(step_.name);
        if (!found) throw Error(*conflict);  // its addresses are taken, not its name
        touched_.networks.push_back(found->id);
        if (same_owner(found->labels, step_.network.labels)) co_return;
        throw Error(ErrorKind::conflict, whose("network", step_.name, found->labels,
                                               fmt::format(" (subnet {})", found->subnet)));
    }

    Task<> create_volume() {
        touched_.volumes.push_back(step_.name);
        std::optional<Error> conflict;
        try {
            co_await runtime_.create_volume(step_.volume);
        } catch (const Error& e) {
            if (e.kind() != ErrorKind::conflict) throw;
            conflict = e;
        }
        if (!conflict) co_return;
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
    }

    Task<> create_container() {
        if (step_.pull_first) {
            co_await runtime_.pull_image(step_.spec.image, aio::Deadline::in(limits_.pull),
                                         progress_);
        }
        std::optional<Error> failure;
        try {
            const auto id = co_await runtime_.create_container(step_.spec);
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
        if (const auto image = co_await runtime_.find_image(step_.spec.image))
            throw Error(*failure);
        if (!step_.may_pull) {
            touched_.images =
                true;  // an Image's, which is made again now that it is seen to be gone
            throw Error(ErrorKind::conflict,
                        "image {} is not on this host: an Image is made again, and with `pull: "
                        "never` it is up to you",
                        step_.spec.image);
        }
        co_await runtime_.pull_image(step_.spec.image, aio::Deadline::in(limits_.pull), progress_);
        const auto id = co_await runtime_.create_container(step_.spec);
        touched_.containers.push_back(id);
    }

    Task<> explain_conflict(Error conflict) {
        const auto found = co_await runtime_.find_container(step_.spec.name);
        if (!found) throw Error(conflict);
        if (same_owner(found->labels, step_.spec.labels)) {
            touched_.containers.push_back(found->id);  // made before we were killed
            co_return;
        }
        throw Error(ErrorKind::conflict,
                    whose("container", step_.spec.name, found->labels,
                          fmt::format(" ({}, image {})", found->id.substr(0, 12), found->image)));
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
        std::optional<Error> failure;
        try {
            co_await runtime_.start_container(step_.object);
        } catch (const Error& e) {
            if (e.kind() == ErrorKind::unavailable) throw;  // the engine's fault, not the new one's
            failure = e;
        }
        if (!failure) co_return;
        co_await bring_back();
        throw Error(failure->kind(), "{} (the former container is back)", failure->what());
    }

    Task<> roll_back() {
        co_await bring_back();
        throw Error(ErrorKind::conflict, "{} (the former container is back)", step_.reason);
    }

    Task<> bring_back() {
        co_await runtime_.remove_container(step_.object);
        if (step_.running) co_await runtime_.start_container(step_.replaces);
    }

    Task<> finish_replacement() {
        co_await runtime_.remove_container(step_.replaces);
        co_await runtime_.rename_container(step_.object, step_.name);
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
