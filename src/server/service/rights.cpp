#include "server/service/rights.h"

#include "base/error.h"

namespace trailer::server {
namespace {

using protocol::HostPermission;
using protocol::ResourceRole;

Right right_of(ResourceRole role) {
    switch (role) {
        case ResourceRole::viewer:
            return Right::view;
        case ResourceRole::editor:
            return Right::modify;
        case ResourceRole::manager:
            return Right::manage;
    }
    return Right::none;
}

template <typename Subject>
std::set<std::string> audience(const State& state, const Subject& subject) {
    std::set<std::string> ids;
    for (const auto& [id, user] : state.users()) {
        if (user.role == protocol::Role::admin) continue;
        if (Rights(state, id).see(subject)) ids.insert(id);
    }
    return ids;
}

}  // namespace

Right right_for(protocol::SessionKind kind) {
    switch (kind) {
        case protocol::SessionKind::logs:
            return Right::view;
        case protocol::SessionKind::exec:
        case protocol::SessionKind::attach:
        case protocol::SessionKind::port:
        case protocol::SessionKind::host_logs:
            return Right::modify;
    }
    return Right::modify;
}

std::string_view right_text(Right right) {
    switch (right) {
        case Right::none:
            return "no right";
        case Right::view:
            return "the right to view it";
        case Right::modify:
            return "the right to modify it";
        case Right::manage:
            return "the right to manage it";
    }
    return "a right";
}

Rights::Rights(const State& state, std::string user_id)
    : state_(state), user_id_(std::move(user_id)) {
    const auto* user = state.user(user_id_);
    admin_ = user != nullptr && user->role == protocol::Role::admin;
}

Right Rights::granted(const store::Resource& resource) const {
    if (admin_ || (!resource.owner_id.empty() && resource.owner_id == user_id_)) {
        return Right::manage;
    }
    const auto* grant = state_.grant(user_id_, resource.id);
    return grant != nullptr && grant->role ? right_of(*grant->role) : Right::none;
}

const std::set<Rights::Used>& Rights::seen_with_workspaces() const {
    if (used_) return *used_;
    used_.emplace();
    for (const auto& [name, id] : state_.names(Kind::workspace)) {
        const auto& entry = *state_.resource_of_id(id);
        if (granted(entry.record) < Right::view) continue;
        for (const auto& [kind, used] : entry.uses) {
            used_->emplace(entry.record.host_id, kind, used);
        }
    }
    return *used_;
}

Right Rights::on(const store::Resource& resource) const {
    const auto right = granted(resource);
    if (right > Right::none || resource.kind == Kind::workspace) return right;
    const bool used =
        seen_with_workspaces().contains({resource.host_id, resource.kind, resource.name});
    return used ? Right::view : Right::none;
}

Right Rights::on(const store::Host& host) const {
    if (admin_) return Right::manage;
    const auto* grant = state_.grant(user_id_, host.id);
    if (grant != nullptr && !grant->permissions.empty()) return Right::view;
    for (const auto* entry : state_.resources_on(host.id)) {
        if (granted(entry->record) >= Right::view) return Right::view;
    }
    return Right::none;
}

bool Rights::may(const std::string& host_id, HostPermission permission) const {
    if (admin_) return true;
    const auto* grant = state_.grant(user_id_, host_id);
    if (grant == nullptr) return false;
    return std::ranges::find(grant->permissions, permission) != grant->permissions.end();
}

void Rights::require(const store::Resource& resource, Right right) const {
    const auto has = on(resource);
    if (has >= right) return;
    if (has == Right::none) {
        throw Error(ErrorKind::not_found, "{} \"{}\" is not known", noun(resource.kind),
                    resource.name);
    }
    throw Error(ErrorKind::forbidden, "{} {}: this needs {}", noun(resource.kind), resource.name,
                right_text(right));
}

void Rights::require(const store::Host& host, Right right) const {
    const auto has = on(host);
    if (has >= right) return;
    if (has == Right::none) {
        throw Error(ErrorKind::not_found, "host \"{}\" is not known", host.name);
    }
    throw Error(ErrorKind::forbidden, "host {}: only an admin may do this", host.name);
}

void Rights::require_admin(std::string_view what) const {
    if (!admin_) throw Error(ErrorKind::forbidden, "{} is for admins", what);
}

std::set<std::string> audience_of(const State& state, const store::Resource& resource) {
    return audience(state, resource);
}

std::set<std::string> audience_of(const State& state, const store::Host& host) {
    return audience(state, host);
}

}  // namespace trailer::server
