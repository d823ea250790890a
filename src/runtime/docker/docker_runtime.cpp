#include "runtime/docker/docker_runtime.h"

#include <deque>

#include "aio/task_group.h"
#include "base/error.h"
#include "base/log.h"
#include "net/http_client.h"
#include "runtime/docker/build_context.h"
#include "runtime/docker/codec.h"
#include "runtime/docker/engine_api.h"
#include "runtime/docker/event_memory.h"
#include "runtime/docker/process.h"
#include "runtime/docker/start_failure.h"
#include "wire/json.h"

namespace trailer::runtime::docker {
namespace {

constexpr std::size_t kInspectWidth = 4;  // where 2 cores stop gaining
constexpr std::size_t kOutputLines = 20;  // of a failing build, told with it

std::string managed_filter() {
    return net::percent_encode(json::serialize(
        json::object{{"label", json::array{std::string(label::kManaged) + "=true"}}}));
}

std::string member_text(const json::value& value, std::string_view name) {
    const auto* object = value.if_object();
    const auto* member = object != nullptr ? object->if_contains(name) : nullptr;
    const auto* text = member != nullptr ? member->if_string() : nullptr;
    return text != nullptr ? std::string(*text) : std::string();
}

class DockerRuntime : public ContainerRuntime {
  public:
    DockerRuntime(asio::any_io_executor executor, net::Endpoint endpoint, Options options)
        : api_(std::move(executor), std::move(endpoint),
               {.change = options.deadline, .look = options.look_deadline}) {}

    Task<Info> info() override {
        const auto info = co_await api_.get("/info", "asking the engine about itself");
        const auto version = co_await api_.get("/version", "asking the engine for its version");
        co_return info_from(info, version);
    }

    Task<std::vector<Container>> list_containers() override {
        const auto list = co_await api_.get("/containers/json?all=1&filters=" + managed_filter(),
                                            "listing containers");
        std::deque<std::string> ids;
        for (const auto& each : list.as_array()) ids.push_back(member_text(each, "Id"));
        std::vector<Container> containers;
        aio::TaskGroup group(co_await asio::this_coro::executor);
        for (std::size_t i = 0; i < std::min(kInspectWidth, ids.size()); ++i) {
            group.spawn(inspect_next(ids, containers));
        }
        co_await group.join();
        std::ranges::sort(containers, {}, &Container::name);
        co_return containers;
    }

    Task<std::optional<Container>> find_container(std::string id_or_name) override {
        const auto found = co_await api_.find("/containers/" + path_escape(id_or_name) + "/json",
                                              "looking at container " + id_or_name);
        if (!found) co_return std::nullopt;
        auto container = container_from(*found);
        // The engine also takes the beginning of an id.
        if (container.id != id_or_name && container.name != id_or_name) co_return std::nullopt;
        co_return container;
    }

    Task<std::vector<Network>> list_networks() override {
        const auto list = co_await api_.get("/networks", "listing networks");
        std::vector<Network> networks;
        for (const auto& each : list.as_array()) networks.push_back(network_from(each));
        co_return networks;
    }

    Task<std::optional<Network>> find_network(std::string id_or_name) override {
        const auto found = co_await api_.find("/networks/" + path_escape(id_or_name),
                                              "looking at network " + id_or_name);
        if (!found) co_return std::nullopt;
        auto network = network_from(*found);
        if (network.id != id_or_name && network.name != id_or_name) co_return std::nullopt;
        co_return network;
    }

    Task<std::vector<Volume>> list_volumes() override {
        const auto list =
            co_await api_.get("/volumes?filters=" + managed_filter(), "listing volumes");
        std::vector<Volume> volumes;
        const auto* array = list.as_object().at("Volumes").if_array();
        if (array == nullptr) co_return volumes;
        for (const auto& each : *array) volumes.push_back(volume_from(each));
        co_return volumes;
    }

    Task<std::optional<Volume>> find_volume(std::string name) override {
        const auto found =
            co_await api_.find("/volumes/" + path_escape(name), "looking at volume " + name);
        if (!found) co_return std::nullopt;
        co_return volume_from(*found);
    }

    Task<std::vector<Image>> list_images() override {
        const auto list =
            co_await api_.get("/images/json?filters=" + managed_filter(), "listing images");
        std::vector<Image> images;
        for (const auto& each : list.as_array()) images.push_back(image_from_list(each));
        co_return images;
    }

    Task<std::optional<Image>> find_image(std::string id_or_reference) override {
        const auto found = co_await api_.find("/images/" + path_escape(id_or_reference) + "/json",
                                              "looking at image " + id_or_reference);
        if (!found) co_return std::nullopt;
        co_return image_from(*found);
    }

    Task<std::string> create_container(ContainerSpec spec) override {
        const auto doing = "creating container " + spec.name;
        json::value body = container_create_body(spec);
        const auto made = co_await api_.call(
            "POST", "/containers/create?name=" + path_escape(spec.name), std::move(body), doing);
        auto id = member_text(made, "Id");
        std::exception_ptr failure;
        try {
            for (std::size_t i = 1; i < spec.networks.size(); ++i) {
                // 20.10 connects a container that does not run to a network that is not there, and
                // fails when it starts.
                if (!co_await find_network(spec.networks[i].network)) {
                    throw Error(ErrorKind::not_found, "{}: there is no network {}", doing,
                                spec.networks[i].network);
                }
                co_await connect_network(id, spec.networks[i]);
            }
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) {
            co_await remove_container(id);
            std::rethrow_exception(failure);
        }
        co_return id;
    }

    Task<> start_container(std::string id) override {
        const auto doing = "starting container " + short_id(id);
        try {
            co_await api_.call("POST", "/containers/" + path_escape(id) + "/start", nullptr, doing);
        } catch (const Error& e) {
            if (starts_never_again(e.what(), id)) throw Unstartable(e.what());
            if (lacks_a_network(e.what())) throw Error(ErrorKind::conflict, "{}", e.what());
            throw;
        }
    }

    Task<> stop_container(std::string id, std::chrono::seconds grace) override {
        co_await api_.call(
            "POST", fmt::format("/containers/{}/stop?t={}", path_escape(id), grace.count()),
            nullptr, "stopping container " + short_id(id), api_.limits().change + grace);
    }

    // The engine's words for one that is not paused differ; a look tells.
    Task<> unpause_container(std::string id) override {
        std::optional<Error> failure;
        try {
            co_await api_.call("POST", "/containers/" + path_escape(id) + "/unpause", nullptr,
                               "continuing container " + short_id(id));
        } catch (const Error& e) {
            failure = e;
        }
        if (!failure) co_return;
        const auto found = co_await find_container(std::move(id));
        if (!found || found->state == ContainerState::paused) throw Error(*failure);
    }

    Task<> rename_container(std::string id, std::string name) override {
        co_await api_.call("POST",
                           "/containers/" + path_escape(id) + "/rename?name=" + path_escape(name),
                           nullptr, fmt::format("renaming container {} to {}", short_id(id), name));
    }

    Task<> update_container(std::string id, Limits limits,
                            protocol::RestartPolicy restart) override {
        json::value body = container_update_body(limits, restart);
        co_await api_.call("POST", "/containers/" + path_escape(id) + "/update", std::move(body),
                           "changing the limits of container " + short_id(id));
    }

    Task<> remove_container(std::string id) override {
        co_await ignoring_absence(api_.call("DELETE",
                                            "/containers/" + path_escape(id) + "?force=1&v=1",
                                            nullptr, "removing container " + short_id(id)));
    }

    Task<> connect_network(std::string container_id, Attachment attachment) override {
        json::value body = json::object{{"Container", container_id},
                                        {"EndpointConfig", endpoint_settings(attachment)}};
        co_await api_.call("POST", "/networks/" + path_escape(attachment.network) + "/connect",
                           std::move(body),
                           fmt::format("connecting container {} to network {}",
                                       short_id(container_id), attachment.network));
    }

    Task<> disconnect_network(std::string container_id, std::string network) override {
        json::value body = json::object{{"Container", container_id}, {"Force", true}};
        co_await api_.call("POST", "/networks/" + path_escape(network) + "/disconnect",
                           std::move(body),
                           fmt::format("disconnecting container {} from network {}",
                                       short_id(container_id), network));
    }

    Task<std::string> create_network(NetworkSpec spec) override {
        json::value body = network_create_body(spec);
        const auto made = co_await api_.call("POST", "/networks/create", std::move(body),
                                             "creating network " + spec.name);
        co_return member_text(made, "Id");
    }

    Task<> remove_network(std::string id) override {
        std::optional<Error> conflict;
        try {
            co_await delete_network(id);
        } catch (const Error& e) {
            if (e.kind() != ErrorKind::conflict) throw;
            conflict = e;
        }
        if (!conflict) co_return;
        const bool freed = co_await free_forgotten_endpoints(id);
        if (!freed) throw Error(*conflict);
        co_await delete_network(std::move(id));
    }

    // The engine's own create succeeds for a volume that is there, whoever made it, and answers
    // with that one, as it is.
    Task<Volume> create_volume(VolumeSpec spec) override {
        json::value body = volume_create_body(spec);
        const auto doing = "creating volume " + spec.name;
        const auto answer = co_await api_.call("POST", "/volumes/create", std::move(body), doing);
        auto volume = volume_from(answer);
        const auto& mine = label_of(spec.labels, label::kId);
        if (mine.empty() || mine != label_of(volume.labels, label::kId)) {
            throw Error(ErrorKind::conflict, "{}: a volume of that name is there already", doing);
        }
        co_return volume;
    }

    Task<> remove_volume(std::string name) override {
        co_await ignoring_absence(api_.call("DELETE", "/volumes/" + path_escape(name), nullptr,
                                            "removing volume " + name));
    }

    Task<std::map<std::string, std::int64_t>> volume_sizes(aio::Deadline deadline) override {
        const auto usage =
            co_await api_.call("GET", "/system/df", nullptr, "measuring volumes", deadline.left());
        co_return volume_sizes_from(usage);
    }

    Task<> pull_image(std::string reference, aio::Deadline deadline, Progress progress) override {
        const auto [name, tag] = split_reference(reference);
        net::Request request{.method = "POST",
                             .target = fmt::format("/images/create?fromImage={}&tag={}",
                                                   path_escape(name), path_escape(tag))};
        co_await follow(std::move(request), deadline, std::move(progress),
                        "pulling image " + reference);
    }

    Task<std::string> build_image(BuildSpec spec, aio::Deadline deadline,
                                  Progress progress) override {
        const auto to_json_object = [](const std::map<std::string, std::string>& map) {
            json::object object;
            for (const auto& [key, value] : map) object.emplace(key, value);
            return path_escape(json::serialize(object));
        };
        net::Request request{
            .method = "POST",
            .target =
                fmt::format("/build?t={}&rm=1&forcerm=1&version=1&pull={}&labels={}&buildargs={}",
                            path_escape(spec.reference), spec.pull ? 1 : 0,
                            to_json_object(spec.labels), to_json_object(spec.build_args)),
            .headers = {{"Content-Type", "application/x-tar"}},
            .body = build_context(spec.dockerfile)};
        const auto doing = "building image " + spec.reference;
        auto id = co_await follow(std::move(request), deadline, std::move(progress), doing);
        if (id.empty()) {
            const auto image = co_await find_image(spec.reference);
            if (!image) throw Error(ErrorKind::internal, "{}: the engine named no image", doing);
            id = image->id;
        }
        co_return id;
    }

    Task<> remove_image(std::string reference) override {
        co_await ignoring_absence(api_.call("DELETE", "/images/" + path_escape(reference), nullptr,
                                            "removing image " + reference));
    }

    Task<std::unique_ptr<ProcessStream>> exec(ExecSpec spec) override {
        co_return co_await exec_process(api_, std::move(spec));
    }

    Task<std::unique_ptr<ProcessStream>> attach(std::string container_id) override {
        co_return co_await attach_process(api_, std::move(container_id));
    }

    Task<std::unique_ptr<LogStream>> logs(LogSpec spec) override {
        co_return co_await read_logs(api_, std::move(spec));
    }

    Task<> watch(std::function<void(Event)> sink) override {
        const auto types =
            net::percent_encode(R"({"type":["container","network","volume","image"]})");
        net::Request request{.target = fmt::format("/events?since={}&filters={}",
                                                   events_.since(std::chrono::system_clock::now()),
                                                   types)};
        const std::string doing = "following the engine's events";
        // The empty first line says that the stream is open.
        co_await api_.lines(std::move(request), aio::Deadline::in(api_.limits().look), doing,
                            [this, &sink](std::string_view line) {
                                if (line.empty()) return sink(Event{.type = Event::Type::gap});
                                boost::system::error_code error;
                                const auto value =
                                    json::parse(json::string_view(line.data(), line.size()), error);
                                // What can't be read may have been anything.
                                if (error) return sink(Event{.type = Event::Type::gap});
                                if (!events_.is_new(line, event_nanoseconds(value))) return;
                                if (auto event = event_from(value)) sink(std::move(*event));
                            });
        throw Error(ErrorKind::unavailable, "{}: the engine ended the stream", doing);
    }

  private:
    static Task<> ignoring_absence(Task<json::value> call) {
        try {
            co_await std::move(call);
        } catch (const Error& e) {
            if (e.kind() != ErrorKind::not_found) throw;
        }
    }

    Task<> delete_network(std::string id) {
        co_await ignoring_absence(api_.call("DELETE", "/networks/" + path_escape(id), nullptr,
                                            "removing network " + short_id(id)));
    }

    // Whether there were any.
    Task<bool> free_forgotten_endpoints(std::string network) {
        const auto inspect = co_await api_.call("GET", "/networks/" + path_escape(network), nullptr,
                                                "looking at network " + short_id(network));
        const auto forgotten = forgotten_endpoints(inspect);
        for (const auto& name : forgotten) {
            log::warning(
                "network {}: letting go of the endpoint of {}, a container that is no more",
                member_text(inspect, "Name"), name);
            co_await disconnect_network(name, network);
        }
        co_return !forgotten.empty();
    }

    // One of the workers of list_containers(). A container that has gone meanwhile is left out.
    Task<> inspect_next(std::deque<std::string>& ids, std::vector<Container>& containers) {
        while (!ids.empty()) {
            auto id = std::move(ids.front());
            ids.pop_front();
            auto container = co_await find_container(std::move(id));
            if (container) containers.push_back(std::move(*container));
        }
    }

    // A pull's or a build's progress to its end; returns the id of the image that was built.
    Task<std::string> follow(net::Request request, aio::Deadline deadline, Progress progress,
                             std::string doing) {
        std::string failure;
        std::string id;
        std::deque<std::string> output;
        const auto each = [&](std::string_view line) {
            boost::system::error_code error;
            const auto value = json::parse(json::string_view(line.data(), line.size()), error);
            if (line.empty() || error) return;
            auto told = progress_from(value);
            if (!told.error.empty()) failure = told.error;
            if (!told.image_id.empty()) id = told.image_id;
            for (std::string_view rest = told.text; !rest.empty();) {
                const auto end = std::min(rest.find('\n'), rest.size());
                if (const auto text = rest.substr(0, end); !text.empty()) {
                    output.emplace_back(text);
                    if (output.size() > kOutputLines) output.pop_front();
                    if (progress) progress(text);
                }
                rest.remove_prefix(std::min(end + 1, rest.size()));
            }
        };
        auto work = api_.lines(std::move(request), deadline, doing, each);
        co_await aio::with_deadline(std::move(work), deadline, doing);
        if (failure.empty()) co_return id;
        std::string text;
        for (const auto& line : output) text += "\n" + line;
        // The engine tells every failure of a pull or a build in the same way; its words are all
        // there is to tell them apart.
        try {
            throw_engine_error(400, json::serialize(json::object{{"message", failure}}), doing);
        } catch (const Error& e) {
            throw Error(e.kind(), "{}{}", e.what(), text);
        }
    }

    EngineApi api_;
    EventMemory events_;
};

}  // namespace

std::unique_ptr<ContainerRuntime> make_docker_runtime(asio::any_io_executor executor,
                                                      std::string docker_host, Options options) {
    auto endpoint = net::Endpoint::parse(docker_host);
    return std::make_unique<DockerRuntime>(std::move(executor), std::move(endpoint), options);
}

}  // namespace trailer::runtime::docker
