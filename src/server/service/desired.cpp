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
            return;
        }
        case protocol::Kind::workspace: {
            auto& workspace = desired.workspaces.emplace_back();
            fill(workspace, resource);
            workspace.running = resource.running;
            workspace.restart_before = resource.restart_before;
            workspace.redeploys = resource.rebuilds;
            return;
        }
    }
}

}  // namespace trailer::server
