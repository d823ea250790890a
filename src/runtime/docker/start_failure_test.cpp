#include "runtime/docker/start_failure.h"

#include <gtest/gtest.h>

namespace trailer::runtime::docker {
namespace {

// Each as Docker 20.10 has told it.
TEST(StartFailureTest, KnowsWhatTheEngineIsLeftWithWhenItIsEndedInTheMiddle) {
    EXPECT_TRUE(
        starts_never_again("starting container aba: task aba695bf: already exists", "aba695bf"));
    EXPECT_TRUE(
        starts_never_again("starting container aba: aba695bf: id already in use", "aba695bf"));
    EXPECT_TRUE(starts_never_again(
        "starting container da7: failed to start shim: mkdir /run/docker/containerd/daemon/"
        "io.containerd.runtime.v2.task/moby/da706204: file exists: unknown",
        "da706204"));
    EXPECT_FALSE(
        starts_never_again("starting container aba: task other: already exists", "aba695bf"));
    EXPECT_FALSE(starts_never_again(
        "starting container da7: failed to start shim: mkdir /run/x: no space left on device",
        "da706204"));
    EXPECT_FALSE(starts_never_again("starting container aba: transport is closing: unavailable",
                                    "aba695bf"));
}

TEST(StartFailureTest, KnowsANetworkThatIsNotToBeHad) {
    EXPECT_TRUE(lacks_a_network(
        "starting container 6fb: network lab is ambiguous (2 matches found on name)"));
    EXPECT_TRUE(lacks_a_network("starting container 6fb: network 5d2f not found"));
    EXPECT_FALSE(lacks_a_network("starting container 6fb: exec: \"nothing\": not found"));
}

}  // namespace
}  // namespace trailer::runtime::docker
