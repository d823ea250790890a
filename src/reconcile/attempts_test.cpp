#include "reconcile/attempts.h"

#include "reconcile/trial.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;
using testing::HasSubstr;

class AttemptsTest : public testing::Test {
  protected:
    bool goes_round(Action action) {
        Step step;
        step.action = action;
        step.key = key;
        step.name = "dev";
        step.reason = "is not as wanted";
        return attempts.goes_round(step);
    }

    Key key{Kind::workspace, "id-dev"};
    Attempts attempts;
};

TEST_F(AttemptsTest, StepsThatUndoEachOtherGoRound) {
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(goes_round(Action::disconnect_network));
        EXPECT_FALSE(goes_round(Action::connect_network));
    }
    ASSERT_TRUE(goes_round(Action::disconnect_network));
    EXPECT_TRUE(attempts.must_wait(key));
    EXPECT_THAT(attempts.find(key)->text, HasSubstr("disconnect_network"));
}

TEST_F(AttemptsTest, WhatIsDoneAgainAfterARestDoesNotGoRound) {
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(goes_round(Action::start_container));
    std::this_thread::sleep_for(800ms);
    EXPECT_FALSE(goes_round(Action::start_container));
}

TEST_F(AttemptsTest, WhatIsWantedAnewIsCountedAnew) {
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(goes_round(Action::start_container));
    attempts.forget(key);
    EXPECT_FALSE(goes_round(Action::start_container));
}

}  // namespace
