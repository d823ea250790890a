#include "reconcile/observer.h"

#include "reconcile/trial.h"

namespace {

using namespace trailer;
using namespace trailer::reconcile;
using testing::ElementsAre;
using testing::IsEmpty;

class ObserverTest : public testing::Test {
  protected:
    ObserverTest() { engine.add_image("image:1"); }

    void look() { loop.run(look_once(observer)); }
    static Task<> look_once(Observer& observer) {
        co_await observer.look([](const auto&) { return false; });
    }

    Loop loop;
    FakeRuntime engine{loop.executor()};
    Observer observer{engine, ""};
};

TEST_F(ObserverTest, ANetworkOfOthersThatGoesIsForgotten) {
    engine.put_network({.name = "foreign", .subnet = "10.9.0.0/24"});
    look();
    const auto find = [&] {
        return std::ranges::find_if(observer.observed().others_networks,
                                    [](const auto& each) { return each.second.name == "foreign"; });
    };
    ASSERT_NE(find(), observer.observed().others_networks.end());
    observer.take(
        {.type = runtime::Event::Type::network, .action = "destroy", .id = find()->first});
    EXPECT_EQ(find(), observer.observed().others_networks.end()) << "its subnet is free again";
}

TEST_F(ObserverTest, OnlyWhatIsSeenOtherwiseHasChanged) {
    auto desired = nothing_wanted();
    add_workspace(desired, "dev");
    const auto spec = compile(desired, {}).workspaces[0].spec;
    engine.put_container(spec);
    look();
    EXPECT_TRUE(observer.take_changes().everything) << "it was a listing";
    const auto id = engine.container("dev")->id;
    observer.take({.type = runtime::Event::Type::container,
                   .action = "start",
                   .id = id,
                   .labels = spec.labels});
    EXPECT_TRUE(observer.has_news());
    look();
    EXPECT_FALSE(observer.has_changes()) << "it runs, as was known";
    engine.set_limits("dev", {.pids = 5});
    observer.take({.type = runtime::Event::Type::container,
                   .action = "update",
                   .id = id,
                   .labels = spec.labels});
    look();
    EXPECT_THAT(observer.take_changes().resources, ElementsAre("id-dev"));
    observer.take({.type = runtime::Event::Type::container,
                   .action = "destroy",
                   .id = id,
                   .labels = spec.labels});
    EXPECT_THAT(observer.take_changes().resources, ElementsAre("id-dev"));
    EXPECT_THAT(observer.take_changes().resources, IsEmpty());
}

TEST_F(ObserverTest, ItIsReadyOnceItKnowsWhichImagesAreHere) {
    EXPECT_FALSE(observer.ready());
    look();
    EXPECT_TRUE(observer.ready());
    observer.set_references({"image:1", "image:2"});
    EXPECT_FALSE(observer.ready()) << "an image that is here would be pulled";
    look();
    EXPECT_TRUE(observer.ready());
    EXPECT_THAT(observer.observed().references, ElementsAre(testing::Key("image:1")));
    observer.set_references({"image:1", "image:2"});
    EXPECT_TRUE(observer.ready());
    observer.missed_events();
    EXPECT_FALSE(observer.ready());
}

}  // namespace
