// Who may use the API: users, sessions, API tokens.
//
// Passwords are argon2id; of tokens only hashes are kept, so that a stolen database logs nobody in.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/crypto.h"
#include "base/error.h"
#include "server/service/core.h"

namespace trailer::server {

// Who makes a request.
struct Caller {
    std::string user_id;
    std::string token_id;
    bool session = false;  // else an API token
};

// Whether a token or session is there and has not run out. It goes with its user.
bool token_holds(const State& state, const std::string& token_id);

protocol::UserView view(const store::User& user);
// Appends what is wrong with a new password.
void check_password(const std::string& password, std::string_view pointer,
                    std::vector<FieldError>& faults);

class AuthService {
  public:
    AuthService(Core& core, std::filesystem::path data_directory);

    // Throws Error: unauthenticated, or rate_limited after five failures of one address within a
    // minute.
    Task<protocol::LoginAnswer> login(protocol::LoginRequest request, std::string address);
    Task<> logout(Caller caller);
    std::optional<Caller> authenticate(const std::string& token);
    // Whether what a caller came with still holds: for what lasts longer than a request.
    bool is_good(const Caller& caller) const { return token_holds(core_.state(), caller.token_id); }
    protocol::UserView user(const Caller& caller) const;
    // Ends the user's other sessions too.
    Task<> set_password(Caller caller, std::string current, std::string fresh);

    std::vector<protocol::TokenView> tokens(const Caller& caller) const;
    Task<protocol::TokenView> make_token(Caller caller, protocol::TokenRequest request);
    Task<> remove_token(Caller caller, std::string id);

    // What a page must send in X-CSRF-Token beside the cookie of this session token.
    std::string csrf_token(const std::string& token) const;

  private:
    struct Failures {
        int count = 0;
        std::chrono::steady_clock::time_point until{};
    };
    void check_rate(const std::string& address);
    void count_failure(const std::string& address);

    Core& core_;
    std::filesystem::path password_file_;
    std::string unknown_users_hash_;
    std::map<std::string, Failures> failures_;  // by address
};

// Before the server starts: makes its secret, and the first admin where there is no user. Gives
// that admin's password, which is kept in `initial_admin_password` (0600) until it is changed.
// Blocks.
std::optional<std::string> first_start(store::Store& store,
                                       const std::filesystem::path& data_directory);

// The server's own secret, for what it signs for itself: agents' tokens, challenges.
Bytes secret(const State& state);

}  // namespace trailer::server
