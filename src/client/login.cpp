// `trailer login` and `trailer logout`.
#include <boost/json.hpp>

#include "client/api.h"
#include "client/commands.h"
#include "client/failure.h"
#include "client/password.h"
#include "client/terminal.h"
#include "protocol/api.h"
#include "wire/json.h"

namespace trailer::client {

int login(const LoginFlags& flags) {
    const auto file = credentials_file();
    // A token from before, which may have expired, must not stand in the way.
    auto target = login_target(file, flags.connection.server);
    auto username = flags.username;
    if (username.empty() && can_ask()) username = ask_line("Username: ");
    if (username.empty()) throw UsageError("--username is required");

    const auto question = fmt::format("Password of {} at {}: ", username, target.server);
    const protocol::LoginRequest request{username, read_password(flags.password_file, question)};
    Api api(target);
    protocol::LoginAnswer answer;
    try {
        answer = wire::from_json<protocol::LoginAnswer>(
            api.post("/api/auth/login", wire::to_json(request)));
    } catch (const Error& e) {
        if (e.kind() != ErrorKind::unauthenticated) throw;
        throw CommandFailure(
            e.what(), fmt::format("check the username and the password for {}", target.server));
    }
    target.token = std::move(answer.token);
    save_target(file, target);
    print(stdout, fmt::format("logged in to {} as {} ({})\n", target.server,
                              one_line(answer.user.username), wire::to_text(answer.user.role)));
    return kDone;
}

int logout(const ConnectionFlags& connection) {
    const auto file = credentials_file();
    const auto saved = load_target(file);
    const auto target = resolve_target(file, connection);
    if (target.token.empty()) {
        print(stdout, fmt::format("not logged in to {}\n", target.server));
        return kDone;
    }
    std::exception_ptr failure;
    try {
        Api(target).post("/api/auth/logout", boost::json::object());
    } catch (const Error& e) {
        // A token that is no longer good is what logging out is for.
        if (e.kind() != ErrorKind::unauthenticated) failure = std::current_exception();
    }
    // The token goes from here even where the server can't be told.
    if (saved && saved->token == target.token) {
        save_target(file, {.server = saved->server, .token = {}});
    }
    if (failure) std::rethrow_exception(failure);
    print(stdout, fmt::format("logged out of {}\n", target.server));
    return kDone;
}

}  // namespace trailer::client
