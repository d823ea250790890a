#include "server/service/users.h"

#include "base/crypto.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "protocol/validate.h"

namespace trailer::server {
namespace {

using protocol::GrantView;
using protocol::Role;

bool is_last_admin(const State& state, const store::User& user) {
    return user.role == Role::admin && std::ranges::none_of(state.users(), [&](const auto& each) {
               return each.second.role == Role::admin && each.first != user.id;
           });
}

void end_tokens(const State& state, const std::string& user_id, store::Changes& changes) {
    for (const auto* each : state.tokens_of(user_id)) changes.remove_tokens.push_back(each->id);
}

}  // namespace

const store::User& UserService::get(const std::string& id_or_name) const {
    const auto* user = core_.state().user(id_or_name);
    if (user == nullptr) user = core_.state().user_named(id_or_name);
    if (user == nullptr) throw Error(ErrorKind::not_found, "user \"{}\" is not known", id_or_name);
    return *user;
}

protocol::UserView UserService::view(const std::string& id_or_name) const {
    return server::view(get(id_or_name));
}

Task<protocol::UserView> UserService::create(protocol::UserRequest request) {
    std::vector<FieldError> faults;
    protocol::check_name(request.username, "/username", faults);
    check_password(request.password, "/password", faults);
    if (!faults.empty()) throw InvalidInput(std::move(faults));
    store::User user{
        .id = new_id(), .username = request.username, .role = request.role, .created = now()};
    user.password_hash = co_await core_.pool().run([&] { return hash_password(request.password); });
    co_await core_.change([&](const State& state) {
        if (state.user_named(user.username) != nullptr) {
            throw Error(ErrorKind::conflict, "there is a user {} already", user.username);
        }
        store::Changes changes;
        changes.put_users.push_back(user);
        return changes;
    });
    log::info("user {} was made, {}", user.username, wire::to_text(user.role));
    co_return server::view(user);
}

Task<> UserService::patch(std::string id_or_name, protocol::UserPatch patch) {
    const auto id = get(id_or_name).id;
    std::vector<FieldError> faults;
    if (patch.password) check_password(*patch.password, "/password", faults);
    if (!faults.empty()) throw InvalidInput(std::move(faults));
    std::string hash;
    if (patch.password) {
        hash = co_await core_.pool().run([&] { return hash_password(*patch.password); });
    }
    co_await core_.change([&](const State& state) {
        auto user = get(id);
        store::Changes changes;
        if (patch.role && *patch.role != Role::admin && is_last_admin(state, user)) {
            throw Error(ErrorKind::conflict, "{} is the last admin", user.username);
        }
        user.role = patch.role.value_or(user.role);
        if (patch.password) {
            user.password_hash = hash;
            end_tokens(state, id, changes);
        }
        if (user != get(id)) changes.put_users.push_back(std::move(user));
        return changes;
    });
}

Task<> UserService::remove(std::string id_or_name) {
    std::string name;
    co_await core_.change([&](const State& state) {
        const auto& user = get(id_or_name);
        if (is_last_admin(state, user)) {
            throw Error(ErrorKind::conflict, "{} is the last admin", user.username);
        }
        name = user.username;
        store::Changes changes;
        changes.remove_users.push_back(user.id);
        return changes;
    });
    log::info("user {} was removed", name);
}

GrantView UserService::view(const store::Grant& grant) const {
    const auto& state = core_.state();
    GrantView view{.id = grant.subject_id, .created = grant.created};
    if (const auto* user = state.user(grant.user_id)) view.user = user->username;
    if (const auto* host = state.host(grant.subject_id)) {
        view.kind = "Host";
        view.name = host->record.name;
        view.permissions = grant.permissions;
    } else if (const auto* entry = state.resource_of_id(grant.subject_id)) {
        view.kind = title(entry->record.kind);
        view.name = entry->record.name;
        view.role = grant.role;
    }
    return view;
}

std::vector<GrantView> UserService::grants_of(const std::string& user) const {
    std::vector<GrantView> list;
    for (const auto* each : core_.state().grants_of(get(user).id)) list.push_back(view(*each));
    return list;
}

std::vector<GrantView> UserService::grants_on(const Caller& caller,
                                              const GrantSubject& subject) const {
    check_may_grant(caller, subject);
    std::vector<GrantView> list;
    for (const auto& [user_id, grant] : core_.state().grants_on(subject.id)) {
        list.push_back(view(grant));
    }
    return list;
}

void UserService::check_may_grant(const Caller& caller, const GrantSubject& subject) const {
    const Rights rights(core_.state(), caller.user_id);
    if (const auto* host = core_.state().host(subject.id)) {
        rights.require(host->record, Right::manage);
    } else if (const auto* entry = core_.state().resource_of_id(subject.id)) {
        rights.require(entry->record, Right::manage);
    } else {
        throw Error(ErrorKind::not_found, "{} is no more", subject.name);
    }
}

Task<GrantView> UserService::grant(Caller caller, GrantSubject subject, std::string user,
                                   protocol::ResourceGrantRequest request) {
    auto putting =
        put(std::move(caller), std::move(subject), std::move(user), {.role = request.role});
    return putting;
}

Task<GrantView> UserService::grant(Caller caller, GrantSubject subject, std::string user,
                                   protocol::HostGrantRequest request) {
    auto& permissions = request.permissions;
    if (permissions.empty()) {
        throw InvalidInput("/permissions", "expected at least one; DELETE takes them all away");
    }
    permissions.push_back(protocol::HostPermission::view);
    std::ranges::sort(permissions);
    permissions.erase(std::ranges::unique(permissions).begin(), permissions.end());
    auto putting = put(std::move(caller), std::move(subject), std::move(user),
                       {.permissions = std::move(permissions)});
    return putting;
}

Task<GrantView> UserService::put(Caller caller, GrantSubject subject, std::string user,
                                 store::Grant grant) {
    co_await core_.change([&](const State& state) {
        check_may_grant(caller, subject);
        grant.user_id = get(user).id;
        grant.subject_id = subject.id;
        grant.created = now();
        store::Changes changes;
        const auto* known = state.grant(grant.user_id, grant.subject_id);
        if (known != nullptr && known->role == grant.role &&
            known->permissions == grant.permissions) {
            grant = *known;
            return changes;
        }
        changes.put_grants.push_back(grant);
        return changes;
    });
    co_return view(grant);
}

Task<> UserService::revoke(Caller caller, GrantSubject subject, std::string user) {
    co_await core_.change([&](const State& state) {
        check_may_grant(caller, subject);
        const auto& record = get(user);
        if (state.grant(record.id, subject.id) == nullptr) {
            throw Error(ErrorKind::not_found, "{} has no grant on {}", record.username,
                        subject.name);
        }
        store::Changes changes;
        changes.remove_grants.emplace_back(record.id, subject.id);
        return changes;
    });
}

}  // namespace trailer::server
