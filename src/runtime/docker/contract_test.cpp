// What every ContainerRuntime promises (runtime.h), held against the real engine and the fake.
#include <gmock/gmock.h>

#include <cstdlib>

#include "aio/task_group.h"
#include "base/error.h"
#include "base/id.h"
#include "runtime/docker/docker_runtime.h"
#include "runtime/docker/engine_api.h"
#include "runtime/fake_runtime.h"

namespace {

using namespace trailer;
using namespace trailer::runtime;
using namespace std::chrono_literals;

constexpr auto* kImage = "trailer.dev/busybox:1";

// Does what a runtime has no call for.
struct Someone {
    FakeRuntime* fake = nullptr;
    std::shared_ptr<docker::EngineApi> engine;

    Task<> pause(std::string id) const {
        if (fake != nullptr) {
            fake->pause_container(id);
        } else {
            co_await engine->call("POST", "/containers/" + id + "/pause", nullptr, "pausing " + id);
        }
    }
};

class Contract : public testing::TestWithParam<const char*> {
  protected:
    void SetUp() override {
        if (GetParam() == std::string_view("fake")) {
            auto fake = std::make_unique<FakeRuntime>(context_.get_executor());
            fake->add_image(kImage);
            someone_.fake = fake.get();
            runtime_ = std::move(fake);
            return;
        }
        const auto* address = std::getenv("TRAILER_TEST_ENGINE");
        if (address == nullptr)
            GTEST_SKIP() << "TRAILER_TEST_ENGINE is not set: ./test integration sets it";
        runtime_ = docker::make_docker_runtime(context_.get_executor(), address);
        someone_.engine = std::make_shared<docker::EngineApi>(
            context_.get_executor(), net::Endpoint::parse(address),
            docker::AnswerLimits{.change = 30s, .look = 30s});
    }

    void run(Task<> task) {
        std::exception_ptr failure;
        bool ended = false;
        asio::co_spawn(context_, std::move(task), [&](std::exception_ptr error) {
            failure = std::move(error);
            ended = true;
            context_.stop();  // kept connections would be waited for
        });
        context_.restart();
        context_.run_for(60s);
        ASSERT_TRUE(ended) << "did not end in time";
        if (failure) std::rethrow_exception(failure);
    }

    ContainerSpec container(std::string suffix) const {
        ContainerSpec spec{.name = prefix_ + suffix,
                           .image = kImage,
                           .command = {"sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"}};
        spec.labels = labels();
        return spec;
    }
    Labels labels() const { return {{label::kManaged, "true"}, {label::kId, prefix_}}; }

    asio::io_context context_;
    std::unique_ptr<ContainerRuntime> runtime_;
    Someone someone_;
    std::string prefix_ = "contract-" + new_id().substr(24);
};

template <typename T>
Task<std::optional<ErrorKind>> kind_of(Task<T> task) {
    try {
        co_await std::move(task);
    } catch (const Error& e) {
        co_return e.kind();
    }
    co_return std::nullopt;
}

Task<> life_of_a_container(ContainerRuntime& runtime, ContainerSpec spec) {
    spec.limits = {.nano_cpus = 500'000'000, .memory = 64 << 20, .pids = 50};
    const auto id = co_await runtime.create_container(spec);
    auto seen = co_await runtime.find_container(id);
    EXPECT_EQ(seen->state, ContainerState::created);
    EXPECT_EQ(seen->limits, spec.limits);
    EXPECT_EQ(seen->name, spec.name);
    EXPECT_EQ(co_await kind_of(runtime.create_container(spec)), ErrorKind::conflict);
    co_await runtime.start_container(id);
    co_await runtime.start_container(id);  // again: no matter
    EXPECT_EQ((co_await runtime.find_container(spec.name))->state, ContainerState::running);
    EXPECT_EQ(co_await runtime.find_container(id.substr(0, 10)), std::nullopt)
        << "the beginning of an id";
    co_await runtime.update_container(id,
                                      {.nano_cpus = 1'000'000'000, .memory = 128 << 20, .pids = 60},
                                      protocol::RestartPolicy::always);
    seen = co_await runtime.find_container(id);
    EXPECT_EQ(seen->limits, (Limits{1'000'000'000, 128 << 20, 60}));
    EXPECT_EQ(seen->restart, protocol::RestartPolicy::always);
    co_await runtime.update_container(id, {.nano_cpus = 1'000'000'000},
                                      protocol::RestartPolicy::no);
    EXPECT_EQ((co_await runtime.find_container(id))->limits, (Limits{1'000'000'000, 128 << 20, 0}));
    co_await runtime.rename_container(id, spec.name + "-renamed");
    EXPECT_EQ(co_await runtime.find_container(spec.name), std::nullopt);
    co_await runtime.stop_container(id, 5s);
    co_await runtime.stop_container(id, 5s);
    EXPECT_EQ((co_await runtime.find_container(id))->state, ContainerState::exited);
    co_await runtime.remove_container(id);
    co_await runtime.remove_container(id);
    EXPECT_EQ(co_await runtime.find_container(id), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(, Contract, testing::Values("docker", "fake"),
                         [](const auto& info) { return info.param; });

TEST_P(Contract, AContainerIsMadeStartedChangedStoppedAndRemoved) {
    run(life_of_a_container(*runtime_, container("-a")));
}

Task<> life_of_a_paused_one(ContainerRuntime& runtime, ContainerSpec spec, Someone someone) {
    const auto id = co_await runtime.create_container(spec);
    co_await runtime.start_container(id);
    co_await runtime.unpause_container(id);  // it is not paused: no matter
    co_await someone.pause(id);
    const auto before = co_await runtime.find_container(id);
    EXPECT_EQ(before->state, ContainerState::paused);
    EXPECT_EQ(co_await kind_of(runtime.start_container(id)), ErrorKind::conflict);
    EXPECT_EQ(co_await kind_of(runtime.exec({.container = id, .command = {"true"}})),
              ErrorKind::conflict);
    co_await runtime.unpause_container(id);
    auto seen = co_await runtime.find_container(id);
    EXPECT_EQ(seen->state, ContainerState::running);
    EXPECT_EQ(seen->started, before->started);
    co_await someone.pause(id);
    co_await runtime.update_container(id, {.pids = 60}, protocol::RestartPolicy::always);
    co_await runtime.disconnect_network(id, "bridge");
    co_await runtime.connect_network(id, {.network = "bridge"});
    co_await runtime.rename_container(id, spec.name + "-renamed");
    seen = co_await runtime.find_container(id);
    EXPECT_EQ(seen->limits.pids, 60);
    EXPECT_EQ(seen->state, ContainerState::paused);
    co_await runtime.stop_container(id, 5s);
    seen = co_await runtime.find_container(id);
    EXPECT_EQ(seen->state, ContainerState::exited);
    EXPECT_NE(seen->exit_code, 137) << "it got its stop signal";
    co_await runtime.start_container(id);
    co_await someone.pause(id);
    co_await runtime.remove_container(id);
    EXPECT_EQ(co_await runtime.find_container(id), std::nullopt);
    EXPECT_EQ(co_await kind_of(runtime.unpause_container(id)), ErrorKind::not_found);
}

TEST_P(Contract, APausedContainerGoesOnAndCanBeChangedStoppedAndRemoved) {
    run(life_of_a_paused_one(*runtime_, container("-p"), someone_));
}

Task<> life_of_a_network(ContainerRuntime& runtime, ContainerSpec spec, std::string name) {
    const auto first = co_await runtime.create_network(
        {.name = name, .subnet = "10.211.7.0/24", .gateway = "10.211.7.1", .labels = spec.labels});
    const auto second =
        co_await runtime.create_network({.name = name + "-2", .labels = spec.labels});
    EXPECT_EQ(co_await kind_of(runtime.create_network({.name = name})), ErrorKind::conflict);
    EXPECT_EQ((co_await runtime.find_network(name))->subnet, "10.211.7.0/24");
    spec.networks = {{.network = name, .aliases = {"web"}, .ipv4 = "10.211.7.9"},
                     {.network = name + "-2"}};
    const auto id = co_await runtime.create_container(spec);
    co_await runtime.start_container(id);
    auto seen = co_await runtime.find_container(id);
    EXPECT_EQ(seen->networks.size(), 2U);
    EXPECT_EQ(seen->networks[0].ipv4_seen, "10.211.7.9");
    EXPECT_THAT(seen->networks[0].aliases, testing::ElementsAre("web"));
    EXPECT_THAT(seen->networks[1].aliases, testing::IsEmpty());
    EXPECT_EQ(co_await kind_of(runtime.remove_network(first)), ErrorKind::conflict);
    co_await runtime.disconnect_network(id, name + "-2");
    EXPECT_EQ((co_await runtime.find_container(id))->networks.size(), 1U);
    co_await runtime.connect_network(id, {.network = name + "-2", .aliases = {"db"}});
    EXPECT_EQ((co_await runtime.find_container(id))->networks.size(), 2U);
    co_await runtime.remove_container(id);
    // A container that can't be connected to all its networks leaves nothing behind.
    spec.networks.push_back({.network = name + "-absent"});
    EXPECT_EQ(co_await kind_of(runtime.create_container(spec)), ErrorKind::not_found);
    EXPECT_EQ(co_await runtime.find_container(spec.name), std::nullopt);
    co_await runtime.remove_network(first);
    co_await runtime.remove_network(second);
    co_await runtime.remove_network(second);
}

TEST_P(Contract, ANetworkCarriesContainersAndGoesWhenTheyHaveGone) {
    run(life_of_a_network(*runtime_, container("-n"), prefix_ + "-net"));
}

Task<> subnets_of_both_families(ContainerRuntime& runtime, ContainerSpec spec, std::string name) {
    const auto id = co_await runtime.create_network({.name = name,
                                                     .subnet = "10.211.8.0/24",
                                                     .gateway = "10.211.8.1",
                                                     .ipv6 = true,
                                                     .subnet6 = "fd00:211:8::/64",
                                                     .gateway6 = "fd00:211:8::1",
                                                     .labels = spec.labels});
    const auto network = co_await runtime.find_network(id);
    EXPECT_EQ(network->subnet6, "fd00:211:8::/64");
    EXPECT_EQ(network->gateway6, "fd00:211:8::1");
    EXPECT_THAT(network->subnets, testing::ElementsAre("10.211.8.0/24", "fd00:211:8::/64"));
    EXPECT_THAT(network->attached, testing::IsEmpty());
    EXPECT_EQ(co_await kind_of(
                  runtime.create_network({.name = name + "-2", .subnet = "10.211.8.128/25"})),
              ErrorKind::conflict);
    const auto all = co_await runtime.list_networks();
    const auto has = [&](const std::string& wanted) {
        return std::ranges::any_of(all, [&](const auto& each) { return each.name == wanted; });
    };
    EXPECT_TRUE(has(name));
    EXPECT_TRUE(has("bridge")) << "not ours, but its addresses are taken";
    spec.networks = {{.network = name, .ipv4 = "10.211.8.9", .ipv6 = "fd00:211:8::9"}};
    const auto container = co_await runtime.create_container(spec);
    co_await runtime.start_container(container);
    const auto seen = co_await runtime.find_container(container);
    EXPECT_EQ(seen->networks.at(0).ipv6, "fd00:211:8::9");
    EXPECT_EQ(seen->networks.at(0).ipv6_seen, "fd00:211:8::9");
    EXPECT_THAT((co_await runtime.find_network(id))->attached, testing::ElementsAre(spec.name));
    co_await runtime.remove_container(container);
    co_await runtime.remove_network(id);
}

TEST_P(Contract, ANetworkHasSubnetsOfBothFamiliesThatNoOtherGets) {
    run(subnets_of_both_families(*runtime_, container("-6"), prefix_ + "-net6"));
}

Task<> life_of_a_volume(ContainerRuntime& runtime, ContainerSpec spec, std::string name) {
    const auto made = co_await runtime.create_volume({.name = name, .labels = spec.labels});
    EXPECT_EQ(co_await runtime.find_volume(name), made);
    EXPECT_EQ(co_await runtime.create_volume({.name = name, .labels = spec.labels}), made);
    EXPECT_EQ(
        co_await kind_of(runtime.create_volume({.name = name, .labels = {{label::kId, "other"}}})),
        ErrorKind::conflict);
    spec.mounts = {{.source = name, .target = "/data"}};
    const auto id = co_await runtime.create_container(spec);
    EXPECT_EQ((co_await runtime.find_container(id))->volumes, std::vector{name});
    EXPECT_EQ(co_await kind_of(runtime.remove_volume(name)), ErrorKind::conflict);
    co_await runtime.remove_container(id);
    EXPECT_TRUE(co_await runtime.find_volume(name))
        << "removing a container removed a named volume";
    co_await runtime.remove_volume(name);
    co_await runtime.remove_volume(name);
    EXPECT_EQ(co_await runtime.find_volume(name), std::nullopt);
}

TEST_P(Contract, AVolumeOutlivesItsContainers) {
    run(life_of_a_volume(*runtime_, container("-v"), prefix_ + "-vol"));
}

Task<> life_of_an_image(ContainerRuntime& runtime, std::string name, Labels labels) {
    BuildSpec spec{
        .reference = name + ":1",
        .dockerfile = fmt::format("FROM {}\nRUN echo step-output\nCMD [\"true\"]\n", kImage),
        .labels = labels};
    std::string output;
    const auto id = co_await runtime.build_image(
        spec, aio::Deadline::in(60s),
        [&](std::string_view line) { output += std::string(line) + "\n"; });
    EXPECT_THAT(output, testing::HasSubstr("step-output"));
    const auto image = co_await runtime.find_image(spec.reference);
    EXPECT_EQ(image->id, id);
    EXPECT_EQ(image->labels.at(label::kId), labels.at(label::kId));
    const auto images = co_await runtime.list_images();
    EXPECT_TRUE(std::ranges::any_of(images, [&](const auto& each) { return each.id == id; }));
    spec.dockerfile = fmt::format("FROM {}\nRUN echo why-it-broke && exit 7\n", kImage);
    std::string text;
    try {
        co_await runtime.build_image(spec, aio::Deadline::in(60s), {});
    } catch (const Error& e) {
        EXPECT_EQ(e.kind(), ErrorKind::invalid);
        text = e.what();
    }
    EXPECT_THAT(text, testing::AllOf(testing::HasSubstr("why-it-broke"), testing::HasSubstr("7")));
    co_await runtime.remove_image(name + ":1");
    co_await runtime.remove_image(name + ":1");
    EXPECT_EQ(co_await runtime.find_image(name + ":1"), std::nullopt);
    const auto pulled =
        co_await kind_of(runtime.pull_image("127.0.0.1:9/no/such:1", aio::Deadline::in(30s), {}));
    EXPECT_TRUE(pulled.has_value());
}

TEST_P(Contract, AnImageIsBuiltAndAFailingStepIsTold) {
    run(life_of_an_image(*runtime_, prefix_ + "-img", labels()));
}

Task<> failures(ContainerRuntime& runtime, ContainerSpec spec) {
    auto missing = spec;
    missing.image = "no-such-image:1";
    EXPECT_EQ(co_await kind_of(runtime.create_container(missing)), ErrorKind::not_found);
    EXPECT_EQ(co_await kind_of(runtime.start_container("no-such-container")), ErrorKind::not_found);
    auto unbindable = spec;
    unbindable.mounts = {
        {.type = ContainerMount::Type::bind, .source = "/no/such/path", .target = "/x"}};
    EXPECT_EQ(co_await kind_of(runtime.create_container(unbindable)), ErrorKind::invalid);
    auto taken = spec;
    taken.ports = {{.host = 28471, .container = 80}};
    const auto first = co_await runtime.create_container(taken);
    co_await runtime.start_container(first);
    taken.name += "-2";
    const auto second = co_await runtime.create_container(taken);
    EXPECT_EQ(co_await kind_of(runtime.start_container(second)), ErrorKind::conflict);
    co_await runtime.remove_container(first);
    co_await runtime.remove_container(second);
}

TEST_P(Contract, FailuresTellTheirKind) {
    run(failures(*runtime_, container("-f")));
}

Task<> watch_for(ContainerRuntime& runtime, std::vector<Event>& events) {
    co_await runtime.watch([&](Event event) { events.push_back(std::move(event)); });
}

Task<> events(ContainerRuntime& runtime, ContainerSpec spec) {
    std::vector<Event> seen;
    aio::TaskGroup group(co_await asio::this_coro::executor);
    group.spawn(watch_for(runtime, seen));
    for (int i = 0; i < 100 && seen.empty(); ++i) co_await aio::sleep(20ms);
    EXPECT_EQ(seen.at(0).type, Event::Type::gap);
    const auto id = co_await runtime.create_container(spec);
    co_await runtime.remove_container(id);
    const auto destroyed = [&] {
        return std::ranges::any_of(
            seen, [&](const auto& e) { return e.id == id && e.action == "destroy"; });
    };
    for (int i = 0; i < 100 && !destroyed(); ++i) co_await aio::sleep(20ms);
    EXPECT_TRUE(destroyed());
    const auto created = std::ranges::find_if(seen, [&](const auto& e) { return e.id == id; });
    if (created != seen.end()) {
        EXPECT_EQ(created->name, spec.name);
        EXPECT_EQ(created->labels.at(label::kManaged), "true");
    }
    group.cancel();
    co_await group.join();
}

TEST_P(Contract, EventsBeginWithAGapAndTellWhatHappens) {
    run(events(*runtime_, container("-e")));
}

Task<> about(ContainerRuntime& runtime) {
    const auto info = co_await runtime.info();
    EXPECT_FALSE(info.version.empty());
    EXPECT_FALSE(info.id.empty());
    EXPECT_GT(info.cpus, 0);
    EXPECT_GT(info.memory_total, 0);
    EXPECT_THAT(info.network_drivers, testing::Contains("bridge"));
    // Of volumes that are not there it tells nothing.
    const auto sizes = co_await runtime.volume_sizes(aio::Deadline::in(60s));
    EXPECT_FALSE(sizes.contains("no-such-volume"));
}

TEST_P(Contract, TheEngineTellsAboutItself) {
    run(about(*runtime_));
}

}  // namespace
