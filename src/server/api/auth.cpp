#include "base/error.h"
#include "server/api/routes.h"
#include "wire/json.h"

namespace trailer::server::api {
namespace {

struct PasswordRequest {
    std::string current;
    std::string new_;

    static constexpr std::array kRequired{std::string_view{"current"}, std::string_view{"new"}};
};

void read_json(wire::Reader& reader, PasswordRequest& request) {
    const auto* object = reader.value().if_object();
    if (object == nullptr) return reader.expected("a map");
    for (const auto& [name, value] : *object) {
        auto member = reader.member(name, value);
        if (name == "current") {
            wire::read(member, request.current);
        } else if (name == "new") {
            wire::read(member, request.new_);
        } else {
            member.fail("is unknown here; expected one of: current, new");
        }
    }
    for (const auto name : PasswordRequest::kRequired) {
        if (object->contains(name)) continue;
        auto member = reader.member(name, reader.value());
        member.fail("is required");
    }
}

struct TokenList {
    std::vector<protocol::TokenView> items;
};
BOOST_DESCRIBE_STRUCT(TokenList, (), (items))

std::string cookie(const std::string& name, const std::string& value, bool secure, bool http_only,
                   int max_age) {
    return fmt::format("{}={}; Path=/; Max-Age={}; SameSite=Strict{}{}", name, value, max_age,
                       http_only ? "; HttpOnly" : "", secure ? "; Secure" : "");
}

constexpr int kThirtyDays = 30 * 24 * 3600;

Task<> login(Services& services, Call& call) {
    const auto body = co_await call.body();
    auto request = wire::from_json<protocol::LoginRequest>(body, wire::Unknown::refuse);
    auto answer = co_await services.auth.login(std::move(request), call.address());
    net::Response response{.body = wire::to_json_text(answer)};
    response.headers.set("Content-Type", "application/json");
    response.headers.set("Cache-Control", "no-store");
    const auto arrival = proxy::arrival_of(call.exchange);
    const bool secure = proxy::scheme_of(call.exchange.request().headers, arrival) == "https";
    response.headers.add("Set-Cookie",
                         cookie("trailer_session", answer.token, secure, true, kThirtyDays));
    response.headers.add(
        "Set-Cookie",
        cookie("trailer_csrf", services.auth.csrf_token(answer.token), secure, false, kThirtyDays));
    co_await call.exchange.respond(std::move(response));
}

Task<> logout(Services& services, Call& call) {
    co_await services.auth.logout(call.caller);
    net::Response response{.status = 204};
    response.headers.add("Set-Cookie", cookie("trailer_session", "", false, true, 0));
    response.headers.add("Set-Cookie", cookie("trailer_csrf", "", false, false, 0));
    co_await call.exchange.respond(std::move(response));
}

Task<> me(Services& services, Call& call) {
    co_await call.answer(200, wire::to_json_text(services.auth.user(call.caller)));
}

Task<> password(Services& services, Call& call) {
    const auto body = co_await call.body();
    auto request = wire::from_json<PasswordRequest>(body, wire::Unknown::refuse);
    co_await services.auth.set_password(call.caller, std::move(request.current),
                                        std::move(request.new_));
    co_await call.answer_nothing();
}

Task<> list_tokens(Services& services, Call& call) {
    const TokenList list{services.auth.tokens(call.caller)};
    co_await call.answer(200, wire::to_json_text(list));
}

Task<> make_token(Services& services, Call& call) {
    const auto body = co_await call.body();
    auto request = wire::from_json<protocol::TokenRequest>(body, wire::Unknown::refuse);
    const auto made = co_await services.auth.make_token(call.caller, std::move(request));
    co_await call.answer(201, wire::to_json_text(made));
}

Task<> remove_token(Services& services, Call& call) {
    co_await services.auth.remove_token(call.caller, call.parameters.at(0));
    co_await call.answer_nothing();
}

}  // namespace

void add_auth_routes(Router& router, Services& services) {
    const auto bind = [&services](Task<> (*handler)(Services&, Call&)) {
        return [&services, handler](Call& call) { return handler(services, call); };
    };
    router.add("POST", "/api/auth/login", Access::anyone, bind(login));
    router.add("POST", "/api/auth/logout", Access::user, bind(logout));
    router.add("GET", "/api/auth/me", Access::user, bind(me));
    router.add("POST", "/api/auth/password", Access::user, bind(password));
    router.add("GET", "/api/tokens", Access::user, bind(list_tokens));
    router.add("POST", "/api/tokens", Access::user, bind(make_token));
    router.add("DELETE", "/api/tokens/{id}", Access::user, bind(remove_token));
}

}  // namespace trailer::server::api
