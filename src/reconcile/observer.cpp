#include "reconcile/observer.h"

#include <algorithm>
#include <array>

namespace trailer::reconcile {
namespace {

namespace label = runtime::label;
using runtime::Event;

bool managed(const runtime::Labels& labels) {
    const auto found = labels.find(label::kManaged);
    return found != labels.end() && found->second == "true";
}

// Sessions and copies leave a container as it is. "exec_create: sh" has its command behind.
bool changes_container(std::string_view action) {
    static constexpr std::array<std::string_view, 9> kIdle{
        "exec_",          "top",  "attach", "detach", "resize", "archive-path",
        "extract-to-dir", "copy", "export"};
    return std::ranges::none_of(kIdle, [&](auto idle) { return action.starts_with(idle); });
}

}  // namespace

void Observer::set_references(std::set<std::string> references) {
    if (references == wanted_references_) return;
    wanted_references_ = std::move(references);
    images_ = true;
}

bool Observer::take(const Event& event) {
    switch (event.type) {
        case Event::Type::gap:
            complete_ = false;
            return true;
        case Event::Type::container:
            if (event.id == own_container_id_ || !changes_container(event.action)) return false;
            if (!managed(event.labels) && !observed_.containers.contains(event.id)) return false;
            containers_.insert(event.id);
            return true;
        case Event::Type::network:
            if (!event.container.empty()) {
                if (!observed_.containers.contains(event.container)) return false;
                containers_.insert(event.container);
                return true;
            }
            networks_.insert(event.id);
            return true;
        case Event::Type::volume:
            if (event.action != "create" && event.action != "destroy") return false;
            volumes_.insert(event.id);
            return true;
        case Event::Type::image:
            images_ = true;
            return true;
    }
    return false;
}

bool Observer::has_news() const {
    return !complete_ || !containers_.empty() || !networks_.empty() || !volumes_.empty() || images_;
}

Task<> Observer::look(std::function<bool(const runtime::Container&)> busy) {
    if (!complete_) {
        co_await list();
        co_return;
    }
    for (const auto ids = containers_; const auto& id : ids) {
        const auto known = observed_.containers.find(id);
        if (known != observed_.containers.end() && busy(known->second)) continue;
        co_await look_at_container(id);
    }
    for (const auto ids = networks_; const auto& id : ids) co_await look_at_network(id);
    for (const auto names = volumes_; const auto& name : names) co_await look_at_volume(name);
    if (images_) co_await look_at_images();
}

Task<> Observer::look_at(Touched touched) {
    // Noted first, so that what can't be looked at now is looked at later.
    containers_.insert(touched.containers.begin(), touched.containers.end());
    networks_.insert(touched.networks.begin(), touched.networks.end());
    volumes_.insert(touched.volumes.begin(), touched.volumes.end());
    images_ = images_ || touched.images;
    // A listing under way may be older than the step, and would overwrite what is seen here.
    while (listing_) co_await aio::sleep(std::chrono::milliseconds{5});
    for (const auto& id : touched.containers) co_await look_at_container(id);
    for (const auto& id : touched.networks) co_await look_at_network(id);
    for (const auto& name : touched.volumes) co_await look_at_volume(name);
    if (touched.images) co_await look_at_images();
}

Task<> Observer::list() {
    struct Listing {
        explicit Listing(bool& flag) : on(flag) { on = true; }
        ~Listing() { on = false; }
        bool& on;
    };
    complete_ = true;  // a gap from here on makes it false again
    try {
        const Listing listing(listing_);
        containers_.clear();
        networks_.clear();
        volumes_.clear();
        Observed fresh;
        fresh.forced_pulls = observed_.forced_pulls;
        for (auto& each : co_await runtime_.list_networks()) {
            const auto id = each.id;
            fresh.networks[id] = std::move(each);
        }
        for (auto& each : co_await runtime_.list_volumes()) {
            const auto name = each.name;
            fresh.volumes[name] = std::move(each);
        }
        for (auto& each : co_await runtime_.list_containers()) {
            if (each.id == own_container_id_) continue;
            const auto id = each.id;
            fresh.containers[id] = std::move(each);
        }
        co_await look_at_images();
        fresh.images = std::move(observed_.images);
        fresh.references = std::move(observed_.references);
        observed_ = std::move(fresh);
    } catch (...) {
        complete_ = false;
        throw;
    }
}

Task<> Observer::look_at_container(std::string id) {
    containers_.erase(id);
    try {
        auto found = co_await runtime_.find_container(id);
        if (found && found->id != own_container_id_ && managed(found->labels)) {
            observed_.containers[found->id] = std::move(*found);
        } else {
            observed_.containers.erase(id);
        }
    } catch (...) {
        containers_.insert(id);
        throw;
    }
}

Task<> Observer::look_at_network(std::string id_or_name) {
    networks_.erase(id_or_name);
    try {
        auto found = co_await runtime_.find_network(id_or_name);
        if (found && managed(found->labels)) {
            const auto id = found->id;
            observed_.networks[id] = std::move(*found);
        } else {
            std::erase_if(observed_.networks, [&](const auto& each) {
                return each.first == id_or_name || each.second.name == id_or_name;
            });
        }
    } catch (...) {
        networks_.insert(id_or_name);
        throw;
    }
}

Task<> Observer::look_at_volume(std::string name) {
    volumes_.erase(name);
    try {
        auto found = co_await runtime_.find_volume(name);
        if (found && managed(found->labels)) {
            observed_.volumes[name] = std::move(*found);
        } else {
            observed_.volumes.erase(name);
        }
    } catch (...) {
        volumes_.insert(name);
        throw;
    }
}

Task<> Observer::look_at_images() {
    images_ = false;
    try {
        std::map<std::string, runtime::Image> images;
        for (auto& each : co_await runtime_.list_images()) {
            const auto id = each.id;
            images[id] = std::move(each);
        }
        std::set<std::string> references;
        for (const auto wanted = wanted_references_; const auto& reference : wanted) {
            const auto found = co_await runtime_.find_image(reference);
            if (found) references.insert(reference);
        }
        observed_.images = std::move(images);
        observed_.references = std::move(references);
    } catch (...) {
        images_ = true;
        throw;
    }
}

}  // namespace trailer::reconcile
