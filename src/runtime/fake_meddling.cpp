// What a test sees of the fake's world, does behind the user's back, and breaks.
#include <algorithm>

#include "base/time.h"
#include "runtime/fake_runtime.h"

namespace trailer::runtime {

std::size_t FakeRuntime::count(std::string_view call) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        calls_, [&](const std::string& each) { return each.starts_with(call); }));
}

const Container* FakeRuntime::container(const std::string& name) const {
    for (const auto& [id, made] : containers_) {
        if (made.container.name == name) return &made.container;
    }
    return nullptr;
}

std::vector<std::string> FakeRuntime::container_names() const {
    std::vector<std::string> names;
    for (const auto& [id, made] : containers_) names.push_back(made.container.name);
    std::ranges::sort(names);
    return names;
}

void FakeRuntime::put_container(ContainerSpec spec, bool running) {
    auto& made = make(spec);
    tell_container(made, "create");
    if (running) start(made);
}

void FakeRuntime::put_network(NetworkSpec spec) {
    const auto& made = make_network(spec);
    tell({.type = Event::Type::network, .action = "create", .id = made.id, .name = made.name});
}

void FakeRuntime::put_volume(VolumeSpec spec) {
    volumes_[spec.name] = {.name = spec.name, .driver = spec.driver, .labels = spec.labels};
    tell({.type = Event::Type::volume, .action = "create", .id = spec.name, .name = spec.name});
}

void FakeRuntime::add_image(const std::string& reference) {
    const auto id = "sha256:" + next_id();
    images_[id] = {.id = id, .references = {reference}, .created = now()};
    tell({.type = Event::Type::image, .action = "tag", .id = id, .name = reference});
}

void FakeRuntime::tag_image_again(const std::string& reference) {
    for (const auto& [id, image] : images_) {
        if (std::ranges::find(image.references, reference) == image.references.end()) continue;
        tell({.type = Event::Type::image, .action = "tag", .id = id, .name = reference});
    }
}

void FakeRuntime::kill_container(const std::string& name, int exit_code) {
    auto& made = get(name);
    made.container.state = ContainerState::exited;
    made.container.exit_code = exit_code;
    made.container.finished = now();
    tell_container(made, "die");
}

void FakeRuntime::interrupt_container(const std::string& name, int exit_code) {
    tell_container(get(name), "kill");
    kill_container(name, exit_code);
}

void FakeRuntime::pause_container(const std::string& name) {
    auto& made = get(name);
    made.container.state = ContainerState::paused;
    tell_container(made, "pause");
}

void FakeRuntime::leave_dead(const std::string& name) {
    auto& made = get(name);
    made.container.state = ContainerState::dead;
    made.container.started.reset();
    tell_container(made, "die");
}

void FakeRuntime::delete_container(const std::string& name) {
    const auto gone = get(name);
    containers_.erase(gone.container.id);
    tell_container(gone, "destroy");
}

void FakeRuntime::delete_network(const std::string& name) {
    const auto gone = *network(name);
    networks_.erase(gone.id);
    for (auto& [id, made] : containers_) {
        std::erase_if(made.container.networks,
                      [&](const Attachment& each) { return each.network_id == gone.id; });
    }
    tell({.type = Event::Type::network, .action = "destroy", .id = gone.id, .name = gone.name});
}

void FakeRuntime::rename_network(const std::string& name, const std::string& to) {
    const auto id = network(name)->id;
    networks_[id].name = to;
    for (auto& [container_id, made] : containers_) {
        for (auto& each : made.container.networks) {
            if (each.network_id == id) each.network = to;
        }
    }
}

void FakeRuntime::detach(const std::string& container, const std::string& name) {
    auto& made = get(container);
    const auto id = network(name)->id;
    std::erase_if(made.container.networks,
                  [&](const Attachment& each) { return each.network == name; });
    tell({.type = Event::Type::network,
          .action = "disconnect",
          .id = id,
          .name = name,
          .container = made.container.id});
}

void FakeRuntime::set_limits(const std::string& container, Limits limits) {
    auto& made = get(container);
    made.container.limits = limits;
    tell_container(made, "update");
}

void FakeRuntime::set_health(const std::string& container, ContainerHealth health,
                             std::string output) {
    auto& made = get(container);
    made.container.health = health;
    made.container.health_output = std::move(output);
    tell_container(made, "health_status: changed");
}

void FakeRuntime::fail_next(std::string call, ErrorKind kind, std::string message) {
    failures_.emplace(std::move(call), std::pair(kind, std::move(message)));
}

void FakeRuntime::set_down(bool down) {
    down_ = down;
    if (down) break_watch();
}

void FakeRuntime::break_watch() {
    for (auto& watcher : watchers_) watcher.broken.cancel();
}

void FakeRuntime::freeze_after(std::size_t changes) {
    freeze_at_ = changes_ + changes;
}

void FakeRuntime::thaw() {
    freeze_at_.reset();
    frozen_ = false;
    thawed_.cancel();
}

void FakeRuntime::let_go() {
    held_call_.clear();
    let_go_.cancel();
}

void FakeRuntime::print(const std::string& container, std::string text, bool errors) {
    auto& log = get(container).log;
    // A microsecond apart, so that each has a time of its own.
    const auto time = fmt::format("2026-01-01T00:00:00.{:06}000Z", log.size());
    log.push_back({.errors = errors, .time = time, .text = std::move(text)});
}

}  // namespace trailer::runtime
