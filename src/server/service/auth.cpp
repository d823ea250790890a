#include "server/service/auth.h"

#include "base/crypto.h"
#include "base/error.h"
#include "base/file.h"
#include "base/id.h"
#include "base/log.h"

namespace trailer::server {
namespace {

using namespace std::chrono_literals;

constexpr const char* kSecret = "server_secret";
constexpr const char* kFirstAdmin = "admin";
constexpr auto kSessionLife = std::chrono::hours(24 * 30);
constexpr auto kUseNoted = 1min;  // a token's last use is written down at most so often
constexpr int kFailuresAllowed = 5;
constexpr auto kFailureWindow = 1min;
constexpr std::size_t kMostAddresses = 10'000;
constexpr std::size_t kShortestPassword = 10;
constexpr std::size_t kLongestPassword = 1024;
constexpr std::size_t kMostTokens = 1000;  // of one user

std::filesystem::path password_file(const std::filesystem::path& data_directory) {
    return data_directory / "initial_admin_password";
}

std::string token_hash(const std::string& token) {
    return to_hex(sha256(token));
}

protocol::TokenView view(const store::Token& token) {
    return {.id = token.id,
            .name = token.name,
            .created = token.created,
            .expires = token.expires,
            .last_used = token.last_used};
}

}  // namespace

bool token_holds(const State& state, const std::string& token_id) {
    const auto* token = state.token(token_id);
    return token != nullptr && (!token->expires || *token->expires > now());
}

protocol::UserView view(const store::User& user) {
    return {.id = user.id, .username = user.username, .role = user.role, .created = user.created};
}

void check_password(const std::string& password, std::string_view pointer,
                    std::vector<FieldError>& faults) {
    if (password.size() >= kShortestPassword && password.size() <= kLongestPassword) return;
    faults.push_back({std::string(pointer),
                      fmt::format("expected {} to {} bytes", kShortestPassword, kLongestPassword)});
}

std::optional<std::string> first_start(store::Store& store,
                                       const std::filesystem::path& data_directory) {
    const auto snapshot = store.load();
    store::Changes changes;
    std::optional<std::string> password;
    if (!snapshot.meta.contains(kSecret)) changes.put_meta[kSecret] = random_token();
    if (snapshot.users.empty()) {
        password = random_token(18);
        changes.put_users.push_back({.id = new_id(),
                                     .username = kFirstAdmin,
                                     .password_hash = hash_password(*password),
                                     .role = protocol::Role::admin,
                                     .created = now()});
        // The file first: a password that nobody can read would lock everyone out.
        write_file_atomically(password_file(data_directory), *password + "\n", 0600);
    }
    if (!changes.empty()) store.commit(changes);
    return password;
}

AuthService::AuthService(Core& core, std::filesystem::path data_directory)
    : core_(core), password_file_(password_file(data_directory)) {}

void AuthService::check_rate(const std::string& address) {
    const auto found = failures_.find(address);
    if (found == failures_.end()) return;
    const auto left = found->second.until - std::chrono::steady_clock::now();
    if (left <= 0s) {
        failures_.erase(found);
    } else if (found->second.count >= kFailuresAllowed) {
        throw Error(ErrorKind::rate_limited, "too many failed logins; try again in {}",
                    format_duration(std::chrono::ceil<std::chrono::seconds>(left)));
    }
}

void AuthService::count_failure(const std::string& address) {
    const auto time = std::chrono::steady_clock::now();
    if (failures_.size() >= kMostAddresses) {
        std::erase_if(failures_, [&](const auto& each) { return each.second.until < time; });
        if (failures_.size() >= kMostAddresses) failures_.erase(failures_.begin());
    }
    auto& failures = failures_[address];
    ++failures.count;
    failures.until = time + kFailureWindow;
}

Task<protocol::LoginAnswer> AuthService::login(protocol::LoginRequest request,
                                               std::string address) {
    check_rate(address);
    // Counted before it is checked, so that many at once count too.
    count_failure(address);
    const auto* found = core_.state().user_named(request.username);
    const auto user = found == nullptr ? std::nullopt : std::optional(*found);
    if (unknown_users_hash_.empty()) {
        auto hash = co_await core_.pool().run([] { return hash_password(random_token()); });
        unknown_users_hash_ = std::move(hash);
    }
    // An unknown name takes as long as a wrong password.
    const auto hash = user ? user->password_hash : unknown_users_hash_;
    const bool fits = request.password.size() <= kLongestPassword && co_await core_.pool().run([&] {
        return verify_password(hash, request.password);
    });
    if (!fits || !user) {
        log::warning("login refused for {} from {}", user ? user->username : "an unknown user",
                     address);
        throw Error(ErrorKind::unauthenticated, "wrong username or password");
    }
    failures_.erase(address);
    const auto token = random_token();
    co_await core_.change([&](const State& state) {
        store::Changes changes;
        // Those that have ended make room.
        for (const auto* each : state.tokens_of(user->id)) {
            if (each->expires && *each->expires < now()) changes.remove_tokens.push_back(each->id);
        }
        changes.put_tokens.push_back(
            {.id = new_id(),
             .user_id = user->id,
             .kind = store::TokenKind::session,
             .hash = token_hash(token),
             .created = now(),
             .expires =
                 now() + std::chrono::duration_cast<std::chrono::milliseconds>(kSessionLife)});
        return changes;
    });
    log::info("{} logged in from {}", user->username, address);
    co_return protocol::LoginAnswer{.token = token, .user = view(*user)};
}

Task<> AuthService::logout(Caller caller) {
    co_await core_.change([&](const State&) {
        store::Changes changes;
        if (caller.session) changes.remove_tokens.push_back(caller.token_id);
        return changes;
    });
}

std::optional<Caller> AuthService::authenticate(const std::string& token) {
    const auto* found = core_.state().token_of_hash(token_hash(token));
    if (found == nullptr || (found->expires && *found->expires < now())) return std::nullopt;
    if (!found->last_used || *found->last_used + kUseNoted < now()) {
        // Nobody waits for this; if it fails, the next use notes it.
        auto noting = core_.change([id = found->id, hash = found->hash](const State& state) {
            store::Changes changes;
            const auto* current = state.token_of_hash(hash);
            if (current == nullptr ||
                (current->last_used && *current->last_used + kUseNoted > now())) {
                return changes;
            }
            changes.put_tokens.push_back(*current);
            changes.put_tokens.back().last_used = now();
            return changes;
        });
        asio::co_spawn(core_.executor(), std::move(noting), [](std::exception_ptr failure) {
            if (failure) log::warning("noting a token's use: {}", describe(failure));
        });
    }
    return Caller{.user_id = found->user_id,
                  .token_id = found->id,
                  .session = found->kind == store::TokenKind::session};
}

protocol::UserView AuthService::user(const Caller& caller) const {
    const auto* found = core_.state().user(caller.user_id);
    if (found == nullptr) throw Error(ErrorKind::unauthenticated, "this user is no more");
    return view(*found);
}

Task<> AuthService::set_password(Caller caller, std::string current, std::string fresh) {
    std::vector<FieldError> faults;
    check_password(fresh, "/new", faults);
    if (!faults.empty()) throw InvalidInput(std::move(faults));
    const auto* found = core_.state().user(caller.user_id);
    if (found == nullptr) throw Error(ErrorKind::unauthenticated, "this user is no more");
    const auto user = *found;
    const bool fits =
        co_await core_.pool().run([&] { return verify_password(user.password_hash, current); });
    if (!fits) throw InvalidInput("/current", "is not the current password");
    auto hash = co_await core_.pool().run([&] { return hash_password(fresh); });
    co_await core_.change([&](const State& state) {
        store::Changes changes;
        changes.put_users.push_back(user);
        changes.put_users.back().password_hash = hash;
        for (const auto* each : state.tokens_of(user.id)) {
            if (each->kind == store::TokenKind::session && each->id != caller.token_id) {
                changes.remove_tokens.push_back(each->id);
            }
        }
        return changes;
    });
    log::info("{} has a new password", user.username);
    std::error_code ignored;  // it may have gone long ago
    if (user.username == kFirstAdmin) std::filesystem::remove(password_file_, ignored);
}

std::vector<protocol::TokenView> AuthService::tokens(const Caller& caller) const {
    std::vector<protocol::TokenView> list;
    for (const auto* each : core_.state().tokens_of(caller.user_id)) {
        if (each->kind == store::TokenKind::api) list.push_back(view(*each));
    }
    return list;
}

Task<protocol::TokenView> AuthService::make_token(Caller caller, protocol::TokenRequest request) {
    std::vector<FieldError> faults;
    if (request.name.empty() || request.name.size() > 100) {
        faults.push_back({"/name", "expected 1 to 100 bytes"});
    }
    constexpr std::int64_t kTenYears = 10LL * 365 * 24 * 3'600'000;
    if (request.expires_in_ms &&
        (*request.expires_in_ms < 1000 || *request.expires_in_ms > kTenYears)) {
        faults.push_back({"/expires_in_ms", "expected 1000 (a second) to ten years"});
    }
    if (!faults.empty()) throw InvalidInput(std::move(faults));
    const auto value = random_token();
    store::Token token{.id = new_id(),
                       .user_id = caller.user_id,
                       .kind = store::TokenKind::api,
                       .name = request.name,
                       .hash = token_hash(value),
                       .created = now()};
    if (request.expires_in_ms) {
        token.expires = now() + std::chrono::milliseconds{*request.expires_in_ms};
    }
    co_await core_.change([&](const State& state) {
        if (state.tokens_of(caller.user_id).size() >= kMostTokens) {
            throw Error(ErrorKind::conflict, "you have {} tokens: delete some first", kMostTokens);
        }
        store::Changes changes;
        changes.put_tokens.push_back(token);
        return changes;
    });
    auto made = view(token);
    made.token = value;
    co_return made;
}

Task<> AuthService::remove_token(Caller caller, std::string id) {
    co_await core_.change([&](const State& state) {
        store::Changes changes;
        for (const auto* each : state.tokens_of(caller.user_id)) {
            if (each->id == id) changes.remove_tokens.push_back(id);
        }
        if (changes.empty()) throw Error(ErrorKind::not_found, "you have no token {}", id);
        return changes;
    });
}

std::string AuthService::csrf_token(const std::string& token) const {
    return to_base64url(hmac_sha256(secret(core_.state()), "csrf\n" + token_hash(token)));
}

Bytes secret(const State& state) {
    return from_base64url(state.meta(kSecret));
}

}  // namespace trailer::server
