#include "server/service/desired.h"

#include "wire/json.h"

namespace trailer::server {
namespace {

template <typename Spec>
void fill(protocol::Desired<Spec>& desired, const store::Resource& resource) {
    desired.id = resource.id;
    desired.name = resource.name;
    desired.revision = resource.revision;
    desired.deleting = resource.deleting;
    desired.spec = wire::from_json<Spec>(resource.spec);
}

}  // namespace

std::int64_t number_in(const boost::json::object& observed, const char* name) {
    const auto* value = observed.if_contains(name);
    return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

std::string text_in(const boost::json::object& observed, const char* name) {
    const auto* value = observed.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

void add_to(protocol::DesiredState& desired, const store::Resource& resource) {
    switch (resource.kind) {
        case protocol::Kind::network:
            return fill(desired.networks.emplace_back(), resource);
        case protocol::Kind::volume:
            return fill(desired.volumes.emplace_back(), resource);
        case protocol::Kind::image: {
            auto& image = desired.images.emplace_back();
            fill(image, resource);
            image.rebuilds = resource.rebuilds;
            image.pulled = resource.observed.contains("pulled");
            image.forced_pull = text_in(resource.observed, "forced_pull");
            return;
        }
        case protocol::Kind::workspace: {
            auto& workspace = desired.workspaces.emplace_back();
            fill(workspace, resource);
            workspace.running = resource.running;
            workspace.restart_before = resource.restart_before;
            workspace.redeploys = resource.rebuilds;
            workspace.applied_revision = number_in(resource.observed, "applied_revision");
            return;
        }
    }
}

}  // namespace trailer::server
