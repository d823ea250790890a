#include "reconcile/observer.h"

#include <algorithm>
#include <array>

namespace trailer::reconcile {
namespace {

using runtime::Event;
using runtime::is_managed;

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
    knows_references_ = false;
    images_ = true;
}

void Observer::take(const Event& event) {
    switch (event.type) {
        case Event::Type::gap:
            complete_ = false;
            return;
        case Event::Type::container:
            if (event.id == own_container_id_ || !changes_container(event.action)) return;
            if (!is_managed(event.labels) && !observed_.containers.contains(event.id)) return;
            if (event.action == "destroy") return forget_container(event.id);
            if (event.action == "kill") observed_.memory.signalled.insert(event.id);
            if (event.action == "start") {
                observed_.memory.signalled.erase(event.id);
                observed_.memory.unstartable.erase(event.id);
            }
            containers_.insert(event.id);
            return;
        case Event::Type::network:
            if (!event.container.empty()) {
                if (observed_.containers.contains(event.container)) {
                    containers_.insert(event.container);
                }
                return;
            }
            if (event.action == "destroy") return forget_network(event.id);
            networks_.insert(event.id);
            return;
        case Event::Type::volume:
            if (event.action == "create" || event.action == "destroy") volumes_.insert(event.id);
            return;
        case Event::Type::image:
            images_ = true;
            return;
    }
}

void Observer::forget_container(const std::string& id) {
    destroyed_.insert(id);
    answered_.erase(id);
    containers_.erase(id);
    observed_.memory.interrupted.erase(id);
    observed_.memory.signalled.erase(id);
    observed_.memory.unstartable.erase(id);
    set<runtime::Container>(observed_.containers, id, std::nullopt);
}

void Observer::forget_network(const std::string& id) {
    destroyed_.insert(id);
    networks_.erase(id);
    set<runtime::Network>(observed_.networks, id, std::nullopt);
    set<runtime::Network>(observed_.others_networks, id, std::nullopt);
}

template <typename Object>
void Observer::set(std::map<std::string, Object>& objects, const std::string& id,
                   std::optional<Object> found) {
    const auto known = objects.find(id);
    const bool was_there = known != objects.end();
    if (found ? was_there && known->second == *found : !was_there) return;
    const auto note = [&](const Object& object) {
        changes_.resources.insert(runtime::label_of(object.labels, runtime::label::kId));
    };
    if (was_there) note(known->second);
    if (!found) {
        objects.erase(known);
        return;
    }
    note(*found);
    objects.insert_or_assign(id, std::move(*found));
}

bool Observer::has_news() const {
    return !complete_ || !containers_.empty() || !networks_.empty() || !volumes_.empty() || images_;
}

Task<bool> Observer::look(std::function<bool(const runtime::Container&)> busy) {
    if (!complete_) {
        co_await list();
        co_return true;
    }
    for (const auto ids = containers_; const auto& id : ids) {
        const auto known = observed_.containers.find(id);
        if (known != observed_.containers.end() && busy(known->second)) continue;
        co_await look_at_container(id);
    }
    for (const auto ids = networks_; const auto& id : ids) co_await look_at_network(id);
    for (const auto names = volumes_; const auto& name : names) co_await look_at_volume(name);
    if (images_) co_await look_at_images();
    co_return false;
}

Task<> Observer::look_at(Touched touched) {
    // Noted first, so that what can't be looked at now is looked at later.
    for (const auto& id : touched.gone_containers) forget_container(id);
    for (const auto& id : touched.gone_networks) forget_network(id);
    for (const auto& name : touched.gone_volumes) {
        set<runtime::Volume>(observed_.volumes, name, std::nullopt);
    }
    containers_.insert(touched.containers.begin(), touched.containers.end());
    networks_.insert(touched.networks.begin(), touched.networks.end());
    volumes_.insert(touched.volumes.begin(), touched.volumes.end());
    images_ = images_ || touched.images;
    // A listing under way may be older than the step, and would overwrite what is seen here.
    while (listing_) co_await aio::sleep(std::chrono::milliseconds{5});
    for (auto& each : touched.made_volumes) {
        const auto name = each.name;
        set(observed_.volumes, name, std::optional(std::move(each)));
    }
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
        destroyed_.clear();
        answered_.clear();
        listed_ = ++asked_;
        Observed fresh;
        fresh.host_subnets = observed_.host_subnets;
        fresh.volume_sizes = observed_.volume_sizes;
        for (auto& each : co_await runtime_.list_networks()) {
            const auto id = each.id;
            auto& networks = is_managed(each.labels) ? fresh.networks : fresh.others_networks;
            networks[id] = std::move(each);
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
        for (const auto& id : destroyed_) {
            fresh.containers.erase(id);
            fresh.networks.erase(id);
        }
        note_interrupted(fresh);
        fresh.memory = std::move(observed_.memory);
        fresh.disk_used_percent = observed_.disk_used_percent;
        observed_ = std::move(fresh);
        changes_.everything = true;
    } catch (...) {
        complete_ = false;
        throw;
    }
}

// Those whose end nobody saw.
void Observer::note_interrupted(const Observed& fresh) {
    using runtime::ContainerState;
    auto& interrupted = observed_.memory.interrupted;
    auto& signalled = observed_.memory.signalled;
    for (const auto& [id, container] : fresh.containers) {
        if (container.state != ContainerState::exited) continue;
        const auto before = observed_.containers.find(id);
        const bool known = before != observed_.containers.end() &&
                           before->second.state == ContainerState::exited &&
                           before->second.started == container.started;
        if (!known || signalled.erase(id) > 0) interrupted[id] = container.started;
    }
    std::erase_if(interrupted,
                  [&](const auto& each) { return !fresh.containers.contains(each.first); });
    const auto gone = [&](const auto& id) { return !fresh.containers.contains(id); };
    std::erase_if(signalled, gone);
    std::erase_if(observed_.memory.unstartable, gone);
}

Task<> Observer::look_at_container(std::string id) {
    containers_.erase(id);
    const auto asked = ++asked_;
    try {
        auto found = co_await runtime_.find_container(id);
        if (auto& newest = answered_[id]; newest > asked || listed_ > asked) {
            co_return;  // an answer to a later question has come already
        } else {
            newest = asked;
        }
        const bool ours = found && found->id != own_container_id_ && is_managed(found->labels) &&
                          !destroyed_.contains(id);
        if (!ours) found.reset();
        if (ours && found->state == runtime::ContainerState::exited &&
            observed_.memory.signalled.erase(id) > 0) {
            observed_.memory.interrupted[id] = found->started;
        }
        set(observed_.containers, id, std::move(found));
    } catch (...) {
        containers_.insert(id);
        throw;
    }
}

Task<> Observer::look_at_network(std::string id_or_name) {
    networks_.erase(id_or_name);
    try {
        auto found = co_await runtime_.find_network(id_or_name);
        if (found && !destroyed_.contains(found->id)) {
            const auto id = found->id;
            found->attached.clear();  // comes and goes without a word
            auto& networks =
                is_managed(found->labels) ? observed_.networks : observed_.others_networks;
            set(networks, id, std::move(found));
            co_return;
        }
        for (auto* networks : {&observed_.networks, &observed_.others_networks}) {
            std::vector<std::string> gone;
            for (const auto& [id, each] : *networks) {
                if (id == id_or_name || each.name == id_or_name) gone.push_back(id);
            }
            for (const auto& id : gone) set<runtime::Network>(*networks, id, std::nullopt);
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
        if (!found || !is_managed(found->labels)) {
            found.reset();
            observed_.volume_sizes.erase(name);  // another of its name is another
        }
        set(observed_.volumes, name, std::move(found));
    } catch (...) {
        volumes_.insert(name);
        throw;
    }
}

Task<> Observer::look_at_images() {
    images_ = false;
    const auto asked = ++asked_;
    try {
        std::map<std::string, runtime::Image> images;
        for (auto& each : co_await runtime_.list_images()) {
            const auto id = each.id;
            images[id] = std::move(each);
        }
        std::map<std::string, std::string> references;
        const auto asked_for = wanted_references_;
        for (const auto& reference : asked_for) {
            const auto found = co_await runtime_.find_image(reference);
            if (found) references.emplace(reference, found->id);
        }
        if (images_answered_ > asked) co_return;
        images_answered_ = asked;
        knows_references_ = asked_for == wanted_references_;
        if (observed_.images == images && observed_.references == references) co_return;
        changes_.everything = true;
        observed_.images = std::move(images);
        observed_.references = std::move(references);
    } catch (...) {
        images_ = true;
        throw;
    }
}

}  // namespace trailer::reconcile
