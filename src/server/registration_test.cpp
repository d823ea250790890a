// Who a host is: its key, its approval, and who else claims to be it.
#include "server/trial.h"

namespace {

using namespace trailer;
using namespace trailer::server;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class RegistrationTest : public WorldTest {};

Task<> approval(World& world) {
    co_await world.log_in();
    const auto pending = co_await world.register_agent();
    EXPECT_EQ(pending.status, 403);
    EXPECT_EQ(pending.text_at("type"), protocol::kProblemPendingApproval);
    const auto host = co_await world.call("GET", "/api/hosts/host-1");
    EXPECT_EQ(host.text_at("status"), "pending_approval");
    EXPECT_THAT(host.text_at("fingerprint"), StartsWith("SHA256:"));
    json::object wrong{{"fingerprint", "SHA256:another"}};
    EXPECT_EQ((co_await world.call("POST", "/api/hosts/host-1/approve", wrong)).status, 422);
    json::object right{{"fingerprint", host.text_at("fingerprint")}};
    EXPECT_EQ((co_await world.call("POST", "/api/hosts/host-1/approve", right)).status, 200);
    EXPECT_EQ((co_await world.register_agent()).status, 200);
}

TEST_F(RegistrationTest, ANewHostWaitsForAnAdmin) {
    play(approval);
}

Task<> proofs(World& world) {
    co_await world.log_in();
    co_await world.register_agent();
    const auto used = wire::to_json(world.last_registration);
    auto again = co_await world.call("POST", "/api/agent/register", used);
    EXPECT_EQ(again.status, 401);
    EXPECT_THAT(again.text_at("detail"), HasSubstr("used before"));
    // The signature covers the registration token: another's can't be claimed with it.
    co_await world.register_agent("two", std::string(32, 'b'));
    auto forged = world.last_registration;
    const auto other = SigningKey::generate();
    json::object ask{{"public_key", other.public_key()}};
    const auto given = co_await world.call("POST", "/api/agent/challenge", std::move(ask));
    forged.challenge = given.text_at("challenge");
    forged.signature = other.sign(protocol::signed_text(forged.challenge, std::string(32, 'c')));
    forged.public_key = other.public_key();
    auto body = wire::to_json(forged);
    EXPECT_EQ((co_await world.call("POST", "/api/agent/register", body)).status, 401);
    forged.challenge = "made.up.challenge";
    body = wire::to_json(forged);
    EXPECT_EQ((co_await world.call("POST", "/api/agent/register", body)).status, 401);
}

TEST_F(RegistrationTest, AProofIsGoodOnceAndForOneTokenAndKey) {
    play(proofs);
}

Task<> conflict(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    const auto bound = (co_await world.call("GET", "/api/hosts/host-1")).text_at("fingerprint");
    const auto refused = co_await world.register_agent("thief");
    EXPECT_EQ(refused.status, 409);
    EXPECT_EQ(refused.text_at("type"), protocol::kProblemIdentityConflict);
    auto host = co_await world.call("GET", "/api/hosts/host-1");
    EXPECT_EQ(host.text_at("fingerprint"), bound);
    const auto& shown = host.at("identity_conflict").as_object();
    EXPECT_EQ(shown.at("address").as_string(), "127.0.0.1");
    EXPECT_EQ((co_await world.desired(-1)).status, 200) << "the first goes on";
    json::object choice{{"fingerprint", shown.at("fingerprint")}};
    EXPECT_EQ((co_await world.call("POST", "/api/hosts/host-1/approve", choice)).status, 200);
    EXPECT_EQ((co_await world.desired(-1)).status, 401) << "its token went with its key";
    EXPECT_EQ((co_await world.register_agent("thief")).status, 200);
    EXPECT_EQ((co_await world.register_agent("one")).status, 409);
}

TEST_F(RegistrationTest, ASecondKeyIsShownRefusedAndCanBeApproved) {
    play(conflict);
}

Task<> restarts(World& world) {
    co_await world.log_in();
    co_await world.add_host();
    co_await world.apply(kDocuments);
    co_await world.restart();
    EXPECT_EQ((co_await world.call("GET", "/api/auth/me")).status, 200);
    EXPECT_EQ((co_await world.desired(-1)).status, 200);
    EXPECT_THAT((co_await world.call("GET", "/api/workspaces")).names(), ElementsAre("dev"));
}

TEST_F(RegistrationTest, SessionsAgentsAndResourcesOutliveTheProcess) {
    play(restarts);
}

}  // namespace
