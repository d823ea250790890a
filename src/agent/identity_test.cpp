#include "agent/identity.h"

#include <gmock/gmock.h>

#include "agent/host_tree.h"
#include "agent/own_container.h"
#include "base/error.h"

namespace {

using namespace trailer;
using namespace trailer::agent;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kMachineId = "3d1219c7c4c5404aaa1f6d2a48adfda4";
const std::string kContainer(64, 'c');

TEST(RegistrationToken, IsTheOneThatSystemdDerives) {
    // On a machine with that ID: systemd-id128 machine-id -a 8acbf02bb368a1fa05a6f3f2af54579b
    // In Python: d = bytearray(hmac.new(bytes.fromhex(machine_id),
    //     bytes.fromhex("8acbf02bb368a1fa05a6f3f2af54579b"), hashlib.sha256).digest()[:16]);
    //     d[6] = d[6] & 0x0f | 0x40; d[8] = d[8] & 0x3f | 0x80; d.hex()
    HostTree host;
    host.put("etc/machine-id", std::string(kMachineId) + "\n");
    EXPECT_EQ(registration_token(machine_id(host.root()).value()),
              "e817b64c8ca040858a0fdab14b2a850f");
}

TEST(RegistrationToken, OfAnEngineIsStableAndItsOwn) {
    const auto token = registration_token("ABCD:EFGH:IJKL");
    EXPECT_EQ(token.size(), 32U);
    EXPECT_EQ(token, registration_token("ABCD:EFGH:IJKL"));
    EXPECT_NE(token, registration_token("ABCD:EFGH:IJKM"));
}

TEST(MachineId, ComesFromDbusWhereSystemdsIsMissing) {
    HostTree host;
    EXPECT_FALSE(machine_id(host.root()));
    host.put("var/lib/dbus/machine-id", kMachineId);
    EXPECT_TRUE(machine_id(host.root()));
}

TEST(MachineId, ThatIsUnusableIsRefusedWithoutShowingIt) {
    HostTree host;
    for (const auto* text :
         {"", "\n", "uninitialized\n", "3d1219c7c4c5404aaa1f6d2a48adfda",
          "3d1219c7c4c5404aaa1f6d2a48adfdzz\n", "00000000000000000000000000000000\n",
          "3d1219c7-c4c5-404a-aa1f-6d2a48adfda4\n"}) {
        host.put("etc/machine-id", text);
        try {
            machine_id(host.root());
            ADD_FAILURE() << "took " << text;
        } catch (const Error& e) {
            EXPECT_THAT(e.what(), HasSubstr("etc/machine-id"));
            EXPECT_THAT(e.what(), HasSubstr("systemd-machine-id-setup"));
            EXPECT_THAT(e.what(), Not(HasSubstr("c4c5")));
        }
    }
}

TEST(MachineId, OfAContainersImageIsNotTheHosts) {
    HostTree host;
    host.make_docker_container(kContainer);
    host.put("etc/machine-id", kMachineId);
    EXPECT_FALSE(machine_id(host.root()));
    host.put("proc/self/mountinfo",
             "830 812 254:0 /etc/hosts /etc/hosts rw - ext4 /dev/vda rw\n"
             "833 812 254:0 /etc/machine-id /etc/machine-id ro - ext4 /dev/vda rw\n");
    EXPECT_TRUE(machine_id(host.root())) << "it is bind-mounted from the host";
}

TEST(OwnContainer, AMarkerFileAloneMakesNoContainer) {
    HostTree host;
    host.put(".dockerenv");
    host.put("proc/self/mountinfo", "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n");
    host.put("proc/self/cgroup", "4:memory:/user.slice/session-1.scope\n0::/\n");
    EXPECT_FALSE(in_container(host.root()));
    EXPECT_THAT(own_container_candidates(host.root()), IsEmpty());
}

TEST(OwnContainer, IsFoundByTheEnginesMounts) {
    HostTree host;
    host.make_docker_container(kContainer);
    EXPECT_TRUE(in_container(host.root()));
    EXPECT_THAT(own_container_candidates(host.root()), ElementsAre(kContainer, "cccccccccccc"));
}

TEST(OwnContainer, IsFoundByItsCgroup) {
    HostTree host;
    host.put("proc/self/cgroup", "4:memory:/docker/" + std::string(64, 'a') + "\n");
    EXPECT_THAT(own_container_candidates(host.root()), ElementsAre(std::string(64, 'a')));
    host.put("proc/self/cgroup", "0::/system.slice/docker-" + std::string(64, 'b') + ".scope\n");
    EXPECT_THAT(own_container_candidates(host.root()), ElementsAre(std::string(64, 'b')));
    host.put("proc/self/cgroup",
             "1:cpu:/docker/" + std::string(64, 'a') + "/docker/" + std::string(64, 'd') + "\n");
    EXPECT_THAT(own_container_candidates(host.root()), ElementsAre(std::string(64, 'd')))
        << "the innermost";
}

TEST(OwnContainer, DirectoriesOfTheHostAreSeenWhereTheyAreMounted) {
    const std::vector<std::string> roots{"/srv/models", "/srv/other", "/", "/data/a/b"};
    HostTree host;
    EXPECT_THAT(unseen_directories(roots, "unix:///var/run/docker.sock", host.root()), IsEmpty())
        << "this is the host";
    host.put(".dockerenv");
    host.put("run/.containerenv");
    const std::string mounts =
        "27 1 0:30 / / rw - overlay overlay rw\n28 27 254:0 /srv/models /srv/models ro - ext4 a "
        "rw\n"
        "29 27 254:0 /data /data ro - ext4 a rw\n";
    host.put("proc/self/mountinfo", mounts);
    EXPECT_THAT(unseen_directories(roots, "unix:///var/run/docker.sock", host.root()), IsEmpty())
        << "the engine runs in this container";
    EXPECT_THAT(unseen_directories(roots, "tcp://10.0.0.9:2375", host.root()),
                ElementsAre("/srv/other"));
    host.put("proc/self/mountinfo",
             mounts + "30 27 0:24 /docker.sock /var/run/docker.sock rw - tmpfs tmpfs rw\n");
    EXPECT_THAT(unseen_directories(roots, "unix:///var/run/docker.sock", host.root()),
                ElementsAre("/srv/other"));
}

TEST(OwnContainer, OfPodmanIsFoundByItsMounts) {
    HostTree host;
    host.put("run/.containerenv");
    host.put("proc/self/mountinfo", "831 812 0:23 /containers/overlay-containers/" + kContainer +
                                        "/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw\n");
    EXPECT_THAT(own_container_candidates(host.root()), ElementsAre(kContainer));
}

TEST(OwnContainer, AHostNameThatIsNoIdIsNoCandidate) {
    HostTree host;
    host.put("run/.containerenv");
    host.put("etc/hostname", "my-workspace\n");
    EXPECT_THAT(own_container_candidates(host.root()), IsEmpty());
    host.put("etc/hostname", "0123456789ab\n");
    EXPECT_THAT(own_container_candidates(host.root()), ElementsAre("0123456789ab"));
}

TEST(OwnContainer, OtherMountsOfAnEnginesDirectoryAreNotTaken) {
    HostTree host;
    host.make_docker_container(kContainer);
    host.put("proc/self/mountinfo",
             "830 812 254:0 /var/lib/docker/containers/" + std::string(64, 'e') +
                 "/hostname /srv/other rw - ext4 /dev/vda rw\n"
                 "831 812 254:0 /var/lib/docker/containers/" +
                 kContainer + "/hostname /etc/hostname rw - ext4 /dev/vda rw\n");
    EXPECT_THAT(own_container_candidates(host.root()).front(), kContainer);
}

}  // namespace
