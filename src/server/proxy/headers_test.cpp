// The rules of what passes the proxy, both ways.
#include "server/proxy/headers.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace {

using namespace trailer;
using namespace trailer::server::proxy;
using testing::ElementsAre;
using testing::IsEmpty;

const Place kByPath{
    .workspace = "dev", .port = 8080, .prefix = "/proxy/dev/8080", .target = "/x?y=1"};
const Place kByHost{
    .workspace = "dev", .port = 8080, .prefix = "", .target = "/x", .own_origin = true};
const Arrival kStranger{.address = "192.0.2.7"};

std::vector<std::string> all(const net::Headers& headers, std::string_view name) {
    std::vector<std::string> values;
    for (const auto& [field, value] : headers) {
        if (field == name) values.push_back(value);
    }
    return values;
}

net::Request ask(net::Headers headers) {
    headers.set("Host", "trailer.example:8090");
    return {.method = "GET", .target = "/proxy/dev/8080/x?y=1", .headers = std::move(headers)};
}

std::string location(const std::string& value, const Place& place = kByPath) {
    const net::Response answer{.status = 302, .headers = {{"Location", value}}};
    return std::string(for_client(answer, ask({}), place).headers.get("Location"));
}

std::vector<std::string> cookies(const std::string& value, const Place& place = kByPath) {
    const net::Response answer{.headers = {{"Set-Cookie", value}}};
    return all(for_client(answer, ask({}), place).headers, "Set-Cookie");
}

TEST(ProxyHeaders, TheTargetLosesThePrefixAndTheHostStays) {
    const auto out = for_workspace(ask({}), kByPath, kStranger);
    EXPECT_EQ(out.target, "/x?y=1");
    EXPECT_EQ(out.headers.get("Host"), "trailer.example:8090");
}

TEST(ProxyHeaders, HopByHopFieldsAndThoseThatConnectionNamesGo) {
    const auto out = for_workspace(ask({{"Connection", "close, X-Private"},
                                        {"Keep-Alive", "timeout=5"},
                                        {"TE", "trailers"},
                                        {"Trailer", "X-Sum"},
                                        {"Transfer-Encoding", "chunked"},
                                        {"Upgrade", "h2c"},
                                        {"Proxy-Authorization", "Basic x"},
                                        {"X-Private", "1"},
                                        {"X-Public", "2"}}),
                                   kByPath, kStranger);
    for (const auto* gone : {"Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding",
                             "Upgrade", "Proxy-Authorization", "X-Private"}) {
        EXPECT_FALSE(out.headers.find(gone)) << gone;
    }
    EXPECT_EQ(out.headers.get("X-Public"), "2");
    const net::Response answer{
        .headers = {{"Connection", "X-Gone"}, {"X-Gone", "1"}, {"ETag", "e"}}};
    const auto back = for_client(answer, ask({}), kByPath);
    EXPECT_FALSE(back.headers.find("Connection"));
    EXPECT_FALSE(back.headers.find("X-Gone"));
    EXPECT_EQ(back.headers.get("ETag"), "e");
}

TEST(ProxyHeaders, ConnectionCantTakeTheHostAway) {
    const auto out = for_workspace(ask({{"Connection", "host"}}), kByPath, kStranger);
    EXPECT_EQ(out.headers.get("Host"), "trailer.example:8090");
}

TEST(ProxyHeaders, AWebSocketsUpgradePassesAndNoOther) {
    const auto out = for_workspace(
        ask({{"Connection", "keep-alive, Upgrade"}, {"Upgrade", "WebSocket"}}), kByPath, kStranger);
    EXPECT_EQ(out.headers.get("Connection"), "Upgrade");
    EXPECT_EQ(out.headers.get("Upgrade"), "websocket");
    EXPECT_FALSE(wants_websocket({{"Connection", "Upgrade"}, {"Upgrade", "h2c"}}));
    EXPECT_FALSE(wants_websocket({{"Upgrade", "websocket"}}));
}

TEST(ProxyHeaders, OurCredentialsStayHereAndTheWorkspacesPass) {
    const net::Headers headers{
        {"Authorization", "Bearer t"},
        {"Cookie", "a=1; trailer_session=s; trailer_csrf=c; trailer_proxy=p; b=2"}};
    auto ours = kStranger;
    ours.our_authorization = true;
    const auto out = for_workspace(ask(headers), kByPath, ours);
    EXPECT_FALSE(out.headers.find("Authorization"));
    EXPECT_EQ(out.headers.get("Cookie"), "a=1; b=2");
    EXPECT_EQ(for_workspace(ask(headers), kByPath, kStranger).headers.get("Authorization"),
              "Bearer t");
    EXPECT_FALSE(for_workspace(ask({{"Cookie", "trailer_session=s"}}), kByPath, kStranger)
                     .headers.find("Cookie"));
}

TEST(ProxyHeaders, AStrangersWordOnWhereItComesFromIsNotPassedOn) {
    const net::Headers lies{{"X-Forwarded-For", "10.0.0.1"},      {"X-Forwarded-Proto", "https"},
                            {"X-Forwarded-Host", "bank.example"}, {"Forwarded", "for=10.0.0.1"},
                            {"X-Forwarded-Prefix", "/evil"},      {"X-Real-IP", "10.0.0.1"}};
    const auto out = for_workspace(ask(lies), kByPath, kStranger).headers;
    EXPECT_THAT(all(out, "X-Forwarded-For"), ElementsAre("192.0.2.7"));
    EXPECT_THAT(all(out, "X-Forwarded-Proto"), ElementsAre("http"));
    EXPECT_THAT(all(out, "X-Forwarded-Host"), ElementsAre("trailer.example:8090"));
    EXPECT_THAT(all(out, "X-Forwarded-Prefix"), ElementsAre("/proxy/dev/8080"));
    EXPECT_THAT(all(out, "Forwarded"),
                ElementsAre("for=192.0.2.7;host=\"trailer.example:8090\";proto=http"));
    EXPECT_FALSE(out.find("X-Real-IP"));
}

TEST(ProxyHeaders, AProxyOnThisMachineIsBelieved) {
    Arrival proxied{.address = "127.0.0.1"};
    proxied.trusted = is_trusted(proxied.address);
    const auto out =
        for_workspace(ask({{"X-Forwarded-For", "198.51.100.2"}, {"X-Forwarded-Proto", "https"}}),
                      kByHost, proxied)
            .headers;
    EXPECT_EQ(out.get("X-Forwarded-For"), "198.51.100.2, 127.0.0.1");
    EXPECT_EQ(out.get("X-Forwarded-Proto"), "https");
    EXPECT_FALSE(out.find("X-Forwarded-Prefix"));
    EXPECT_FALSE(is_trusted("192.168.1.4"));
    EXPECT_TRUE(is_trusted("[::1]"));
}

TEST(ProxyHeaders, ALocationOfTheWorkspacesOwnRootIsToldAsTheBrowserReachesIt) {
    EXPECT_EQ(location("/login?next=/"), "/proxy/dev/8080/login?next=/");
    EXPECT_EQ(location("http://trailer.example:8090/a"), "/proxy/dev/8080/a");
    EXPECT_EQ(location("http://localhost:8080/a"), "/proxy/dev/8080/a");
    EXPECT_EQ(location("http://127.0.0.1:8080"), "/proxy/dev/8080/");
    EXPECT_EQ(location("//trailer.example:8090/b"), "/proxy/dev/8080/b");
    EXPECT_EQ(location("http://localhost:8080/a", kByHost), "/a");
}

TEST(ProxyHeaders, ALocationElsewhereStays) {
    EXPECT_EQ(location("https://example.org/a"), "https://example.org/a");
    EXPECT_EQ(location("//cdn.example/x"), "//cdn.example/x");
    EXPECT_EQ(location("sub/page"), "sub/page");
    EXPECT_EQ(location("http://localhost:9090/a"), "http://localhost:9090/a");
    EXPECT_EQ(location("/proxy/dev/8080/a"), "/proxy/dev/8080/a");
    EXPECT_EQ(location("/proxy/dev/80801/a"), "/proxy/dev/8080/proxy/dev/80801/a");
}

TEST(ProxyHeaders, CookiesOfAWorkspaceStayOnItsPath) {
    EXPECT_THAT(cookies("id=1; Path=/; HttpOnly"),
                ElementsAre("id=1; Path=/proxy/dev/8080/; HttpOnly"));
    EXPECT_THAT(cookies("id=1; path=/app; Domain=trailer.example; Secure"),
                ElementsAre("id=1; Path=/proxy/dev/8080/app; Secure"));
    EXPECT_THAT(cookies("id=1"), ElementsAre("id=1"));
    EXPECT_THAT(cookies("id=1; Path=/proxy/dev/8080/a"),
                ElementsAre("id=1; Path=/proxy/dev/8080/a"));
    EXPECT_THAT(cookies("id=1; Path=/; Domain=example.org", kByHost), ElementsAre("id=1; Path=/"));
}

TEST(ProxyHeaders, AWorkspaceCantSetOurCookies) {
    EXPECT_THAT(cookies("trailer_session=x; Path=/"), IsEmpty());
    EXPECT_THAT(cookies(" trailer_proxy = x"), IsEmpty());
    EXPECT_THAT(cookies("trailer_csrf=x", kByHost), IsEmpty());
}

TEST(ProxyHeaders, APageOnOurOriginIsSandboxedAndCantSpeakForIt) {
    const net::Response answer{.headers = {{"Clear-Site-Data", "*"},
                                           {"Service-Worker-Allowed", "/"},
                                           {"Content-Security-Policy", "default-src 'self'"}}};
    const auto here = for_client(answer, ask({}), kByPath).headers;
    EXPECT_THAT(all(here, "Content-Security-Policy"), ElementsAre("default-src 'self'", kSandbox));
    EXPECT_EQ(std::string_view(kSandbox).find("allow-same-origin"), std::string_view::npos);
    EXPECT_FALSE(here.find("Clear-Site-Data"));
    EXPECT_FALSE(here.find("Service-Worker-Allowed"));
    const auto apart = for_client(answer, ask({}), kByHost).headers;
    EXPECT_TRUE(apart.find("Service-Worker-Allowed"));
    EXPECT_THAT(all(apart, "Content-Security-Policy"), ElementsAre("default-src 'self'"));
}

TEST(ProxyPlace, IsReadFromThePath) {
    net::Request request{.target = "/proxy/my%20ws/80/a%2Fb?c"};
    const Place expected{
        .workspace = "my ws", .port = 80, .prefix = "/proxy/my%20ws/80", .target = "/a%2Fb?c"};
    EXPECT_EQ(place_of(request, ""), expected);
    request.target = "/proxy/dev/80";
    EXPECT_EQ(place_of(request, "")->target, "");
    request.target = "/api/workspaces";
    EXPECT_EQ(place_of(request, ""), std::nullopt);
    for (const auto* bad :
         {"/proxy/dev/0/", "/proxy/dev/65536/", "/proxy/dev/http/", "/proxy/dev", "/proxy//80/"}) {
        request.target = bad;
        EXPECT_THROW(place_of(request, ""), Error) << bad;
    }
}

TEST(ProxyPlace, IsReadFromTheHost) {
    net::Request request{.target = "/api/hosts",
                         .headers = {{"Host", "8080--my--dev.WS.example.org:8090"}}};
    const Place expected{.workspace = "my--dev",
                         .port = 8080,
                         .prefix = "",
                         .target = "/api/hosts",
                         .own_origin = true};
    EXPECT_EQ(place_of(request, "ws.example.org"), expected);
    EXPECT_EQ(place_of(request, ""), std::nullopt);
    request.headers.set("Host", "ws.example.org");
    EXPECT_EQ(place_of(request, "ws.example.org"), std::nullopt);
    request.headers.set("Host", "evilws.example.org");
    EXPECT_EQ(place_of(request, "ws.example.org"), std::nullopt);
    request.headers.set("Host", "a.b.ws.example.org");
    EXPECT_THROW(place_of(request, "ws.example.org"), Error);
}

TEST(ProxyPlace, ALabelIsOneThatADomainTakes) {
    EXPECT_EQ(label_of(80, "dev"), "80--dev");
    EXPECT_EQ(label_of(80, "Dev"), std::nullopt);
    EXPECT_EQ(label_of(80, "a.b"), std::nullopt);
    EXPECT_EQ(label_of(80, std::string(60, 'a')), std::nullopt);
}

}  // namespace
