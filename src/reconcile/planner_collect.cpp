// What we made and nobody uses any more: images of which a newer build took the name, or whose name
// nothing wanted has.
#include <algorithm>

#include "reconcile/planner.h"

namespace trailer::reconcile {

using protocol::Kind;

void Planner::collect() {
    if (!rules_.collection.enabled) return;
    std::map<std::string, std::vector<const runtime::Image*>> former;  // by resource's id
    for (const auto& [id, image] : observed_.images) {
        const bool wanted = std::ranges::any_of(
            image.references, [&](const auto& each) { return is_referred_to(each); });
        if (wanted || !ours(image.labels)) continue;
        former[runtime::label_of(image.labels, runtime::label::kId)].push_back(&image);
    }
    if (former.empty()) return;
    for (const auto& [id, container] : observed_.containers) {
        images_in_use_.insert(container.image_id);
    }
    for (const auto& wanted : wanted_.images) {
        const auto found = former.find(wanted.key.id);
        if (found != former.end() && !wanted.deleting) {
            collect_builds(wanted, std::move(found->second));
        }
    }
}

void Planner::collect_builds(const Wanted& image, std::vector<const runtime::Image*> former) {
    const auto& rules = rules_.collection;
    const bool crowded =
        observed_.disk_used_percent &&
        *observed_.disk_used_percent > static_cast<double>(rules.disk_above_percent);
    std::ranges::sort(former, std::ranges::greater(), &runtime::Image::created);
    for (std::size_t i = 0; i < former.size(); ++i) {
        const auto due = former[i]->created + std::chrono::milliseconds{rules.older_than_ms};
        const bool spare = static_cast<std::int64_t>(i) >= rules.keep;
        const auto* reason = former[i]->references.empty() ? "a newer build took its name"
                                                           : "its Image has another reference now";
        if (crowded) {
            release(*former[i], image.name,
                    fmt::format("{}, and the disk is {:.0f} % full", reason,
                                *observed_.disk_used_percent));
        } else if (spare && due <= now_) {
            release(*former[i], image.name, reason);
        } else if (spare) {
            look_again(due);
        }
    }
}

// A key beside the Image's own: that it fails is no fault of that Image. One key for all builds of
// an Image, so that they go one after another: while the engine removes one, the images it was
// built on (20.10 makes one for each label) look like former builds too, and go with it.
void Planner::release(const runtime::Image& image, const std::string& name,
                      const std::string& reason) {
    if (images_in_use_.contains(image.id) || observed_.memory.images_in_use.contains(image.id)) {
        return;
    }
    const Key key{Kind::image, runtime::label_of(image.labels, runtime::label::kId) + "/former"};
    const auto index = add(Action::release_image, key, name, image.id, reason);
    step(index).bytes = image.size;
}

}  // namespace trailer::reconcile
