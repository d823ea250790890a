#include "runtime/fake_runtime.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <filesystem>

#include "base/time.h"
#include "protocol/validate.h"

namespace trailer::runtime {
namespace {

// As Docker has it, a paused one keeps all that it holds.
bool is_up(const Container& container) {
    return container.state == ContainerState::running || container.state == ContainerState::paused;
}

bool called(const Image& image, const std::string& id_or_reference) {
    return image.id == id_or_reference ||
           std::ranges::find(image.references, id_or_reference) != image.references.end();
}

// "host:5000/a/b" and "example.com/a" name a registry; "a/b" and "a" don't.
bool has_registry(std::string_view reference) {
    const auto slash = reference.find('/');
    return slash != reference.npos &&
           reference.substr(0, slash).find_first_of(".:") != std::string_view::npos;
}

}  // namespace

FakeRuntime::FakeRuntime(asio::any_io_executor executor)
    : executor_(std::move(executor)),
      thawed_(executor_, asio::steady_timer::time_point::max()),
      let_go_(executor_, asio::steady_timer::time_point::max()) {
    make_network({.name = "bridge"});
}

FakeRuntime::~FakeRuntime() = default;

Task<> FakeRuntime::give_way() {
    const int times = random_ ? static_cast<int>((*random_)() % 4) : 1;
    for (int i = 0; i < times; ++i) co_await asio::post(executor_, asio::use_awaitable);
}

Task<> FakeRuntime::enter(std::string call, std::string subject) {
    calls_.push_back(subject.empty() ? call : call + " " + subject);
    co_await give_way();
    while (frozen_) {
        boost::system::error_code ended;
        co_await thawed_.async_wait(asio::redirect_error(asio::use_awaitable, ended));
        if (frozen_) throw boost::system::system_error(ended);  // the caller was cancelled
    }
    if (!held_call_.empty() && call.starts_with(held_call_)) {
        ++held_;
        boost::system::error_code ended;
        co_await let_go_.async_wait(asio::redirect_error(asio::use_awaitable, ended));
        if (--held_; !held_call_.empty()) throw boost::system::system_error(ended);  // cancelled
    }
    if (hanging_ && call != "watch") {
        co_await aio::sleep(std::chrono::milliseconds{20});
        throw Error(ErrorKind::timeout, "{}: the engine gave no answer", call);
    }
    if (down_) throw Error(ErrorKind::unavailable, "{}: the engine does not answer", call);
    if (failures_.contains(call)) {
        const auto failure = failures_.lower_bound(call);
        const auto [kind, message] = failure->second;
        failures_.erase(failure);
        throw Error(kind, message);
    }
}

Task<> FakeRuntime::changed() {
    ++changes_;
    if (freeze_at_ && changes_ > *freeze_at_) {
        frozen_ = true;
        boost::system::error_code ended;
        co_await thawed_.async_wait(asio::redirect_error(asio::use_awaitable, ended));
        if (frozen_) throw boost::system::system_error(ended);
    }
    co_await give_way();
}

void FakeRuntime::tell(Event event) {
    if (frozen_) return;
    for (auto& watcher : watchers_) watcher.sink(event);
}

void FakeRuntime::tell_container(const Made& made, std::string action) {
    tell({.type = Event::Type::container,
          .action = std::move(action),
          .id = made.container.id,
          .name = made.container.name,
          .labels = made.container.labels});
}

FakeRuntime::Made* FakeRuntime::find(const std::string& id_or_name) {
    for (auto& [id, made] : containers_) {
        if (id == id_or_name || made.container.name == id_or_name) return &made;
    }
    return nullptr;
}

FakeRuntime::Made& FakeRuntime::get(const std::string& id_or_name) {
    if (auto* made = find(id_or_name)) return *made;
    throw Error(ErrorKind::not_found, "no such container: {}", id_or_name);
}

Network* FakeRuntime::network(const std::string& id_or_name) {
    for (auto& [id, network] : networks_) {
        if (id == id_or_name || network.name == id_or_name) return &network;
    }
    return nullptr;
}

std::string FakeRuntime::next_id() {
    return fmt::format("{:064x}", ++last_id_);
}

FakeRuntime::Made& FakeRuntime::make(const ContainerSpec& spec) {
    const auto id = next_id();
    auto& made = containers_[id];
    made.spec = spec;
    auto& container = made.container;
    container.id = id;
    container.name = spec.name;
    container.image = spec.image;
    for (const auto& [image_id, image] : images_) {
        if (called(image, spec.image)) container.image_id = image_id;
    }
    container.labels = spec.labels;
    container.created = now();
    container.limits = spec.limits;
    container.restart = spec.restart;
    for (const auto& mount : spec.mounts) {
        if (mount.type == ContainerMount::Type::volume) container.volumes.push_back(mount.source);
    }
    give_image_volume(made);
    std::ranges::sort(container.volumes);
    if (spec.health_check && !spec.health_check->disabled)
        container.health = ContainerHealth::starting;
    auto networks = spec.networks;
    if (networks.empty() && !spec.host_network) networks.push_back({.network = "bridge"});
    for (const auto& each : networks) join_network(made, each);
    return made;
}

void FakeRuntime::give_image_volume(Made& made) {
    auto& container = made.container;
    for (const auto& mount : made.spec.mounts) {
        if (anonymous_.contains(mount.source))
            container.anonymous_volumes[mount.target] = mount.source;
    }
    const auto wanted = image_volumes_.find(made.spec.image);
    if (wanted == image_volumes_.end()) return;
    const auto& target = wanted->second;
    if (std::ranges::find(made.spec.mounts, target, &ContainerMount::target) !=
        made.spec.mounts.end()) {
        return;
    }
    const auto name = next_id();
    anonymous_[name] = container.id;
    container.anonymous_volumes[target] = name;
    container.volumes.push_back(name);
}

bool FakeRuntime::is_mounted(const std::string& volume) const {
    return std::ranges::any_of(containers_, [&](const auto& each) {
        return std::ranges::find(each.second.container.volumes, volume) !=
               each.second.container.volumes.end();
    });
}

void FakeRuntime::join_network(Made& made, const Attachment& attachment) {
    auto seen = attachment;
    seen.network_id = network(attachment.network)->id;
    made.container.networks.push_back(std::move(seen));
}

void FakeRuntime::start(Made& made) {
    auto& container = made.container;
    container.state = ContainerState::running;
    container.exit_code = 0;
    container.started = now();
    container.finished.reset();
    tell_container(made, "start");
    if (const auto exit = exits_.find(made.spec.image); exit != exits_.end()) {
        container.state = ContainerState::exited;
        container.exit_code = exit->second;
        container.finished = now();
        tell_container(made, "die");
    }
}

const Network& FakeRuntime::make_network(const NetworkSpec& spec) {
    const auto id = next_id();
    auto& made = networks_[id] = {.id = id,
                                  .name = spec.name,
                                  .driver = spec.driver,
                                  .subnet = spec.subnet,
                                  .gateway = spec.gateway,
                                  .subnet6 = spec.subnet6,
                                  .gateway6 = spec.gateway6,
                                  .internal = spec.internal,
                                  .labels = spec.labels};
    for (const auto& subnet : {spec.subnet, spec.subnet6}) {
        if (!subnet.empty()) made.subnets.push_back(subnet);
    }
    return made;
}

// As an inspection shows it.
Container FakeRuntime::seen(const Made& made) const {
    auto container = made.container;
    const bool running = is_up(container);
    for (auto& each : container.networks) {
        each.ipv4_seen = running ? (each.ipv4.empty() ? "10.0.0.2" : each.ipv4) : "";
        each.ipv6_seen = running ? each.ipv6 : "";
    }
    if (running) {
        container.ports = made.spec.ports;
        for (auto& port : container.ports) {
            if (port.host == 0) port.host = 32768;
        }
    }
    return container;
}

Task<Info> FakeRuntime::info() {
    co_await enter("info");
    co_return Info{.name = "docker",
                   .version = "fake",
                   .api_version = "1.41",
                   .id = "FAKE:ENGINE",
                   .os = "linux",
                   .architecture = "amd64",
                   .storage_driver = "memory",
                   .cgroup_version = 2,
                   .cpus = 2,
                   .memory_total = 8LL << 30,
                   .network_drivers = {"bridge", "host", "ipvlan", "macvlan", "null"}};
}

Task<std::vector<Container>> FakeRuntime::list_containers() {
    co_await enter("list_containers");
    std::vector<Container> list;
    for (const auto& [id, made] : containers_) {
        if (is_managed(made.container.labels)) list.push_back(seen(made));
    }
    co_return list;
}

Task<std::optional<Container>> FakeRuntime::find_container(std::string id_or_name) {
    co_await enter("find_container", id_or_name);
    const auto* made = find(id_or_name);
    co_return made == nullptr ? std::nullopt : std::optional(seen(*made));
}

Task<std::vector<Network>> FakeRuntime::list_networks() {
    co_await enter("list_networks");
    std::vector<Network> list;
    for (const auto& [id, network] : networks_) list.push_back(network);
    co_return list;
}

Task<std::optional<Network>> FakeRuntime::find_network(std::string id_or_name) {
    co_await enter("find_network", id_or_name);
    const auto* found = network(id_or_name);
    if (found == nullptr) co_return std::nullopt;
    auto seen = *found;
    for (const auto& [id, made] : containers_) {
        if (!is_up(made.container)) continue;
        for (const auto& each : made.container.networks) {
            if (each.network_id == seen.id) seen.attached.push_back(made.container.name);
        }
    }
    co_return seen;
}

Task<std::vector<Volume>> FakeRuntime::list_volumes() {
    co_await enter("list_volumes");
    std::vector<Volume> list;
    for (const auto& [name, volume] : volumes_) {
        if (is_managed(volume.labels)) list.push_back(volume);
    }
    co_return list;
}

Task<std::optional<Volume>> FakeRuntime::find_volume(std::string name) {
    co_await enter("find_volume", name);
    const auto found = volumes_.find(name);
    co_return found == volumes_.end() ? std::nullopt : std::optional(found->second);
}

Task<std::vector<Image>> FakeRuntime::list_images() {
    co_await enter("list_images");
    std::vector<Image> list;
    for (const auto& [id, image] : images_) {
        if (is_managed(image.labels)) list.push_back(image);
    }
    co_return list;
}

Task<std::optional<Image>> FakeRuntime::find_image(std::string id_or_reference) {
    co_await enter("find_image", id_or_reference);
    for (const auto& [id, image] : images_) {
        if (called(image, id_or_reference)) co_return image;
    }
    co_return std::nullopt;
}

Task<std::string> FakeRuntime::create_container(ContainerSpec spec) {
    co_await enter("create_container", spec.name);
    if (find(spec.name) != nullptr) {
        throw Error(ErrorKind::conflict, "creating container {}: the name is already in use",
                    spec.name);
    }
    const bool here = std::ranges::any_of(
        images_, [&](const auto& each) { return called(each.second, spec.image); });
    if (!here) throw Error(ErrorKind::not_found, "No such image: {}", spec.image);
    for (const auto& each : spec.networks) {
        if (network(each.network) == nullptr) {
            throw Error(ErrorKind::not_found, "network {} not found", each.network);
        }
    }
    for (const auto& mount : spec.mounts) {
        if (mount.type == ContainerMount::Type::volume) {
            volumes_.try_emplace(mount.source,
                                 Volume{.name = mount.source,
                                        .driver = "local",
                                        .labels = mount.volume ? mount.volume->labels : Labels()});
        } else if (!std::filesystem::exists(mount.source)) {
            throw Error(ErrorKind::invalid, "bind source path does not exist: {}", mount.source);
        }
    }
    const auto& made = make(spec);
    const auto id = made.container.id;
    tell_container(made, "create");
    co_await changed();
    co_return id;
}

Task<> FakeRuntime::start_container(std::string id) {
    if (auto* refused = find(id); refused != nullptr && failures_.contains("start_container")) {
        refused->container.error = failures_.lower_bound("start_container")->second.second;
    }
    co_await enter("start_container", id);
    auto& made = get(id);
    if (made.container.state == ContainerState::running) co_return;
    if (made.container.state == ContainerState::paused) {
        throw Error(ErrorKind::conflict, "cannot start a paused container, try unpause instead");
    }
    if (made.unstartable) throw Unstartable("task " + id + ": already exists");
    for (const auto& [other_id, other] : containers_) {
        if (!is_up(other.container) || other_id == made.container.id) continue;
        for (const auto& port : made.spec.ports) {
            const bool taken = std::ranges::any_of(other.spec.ports, [&](const auto& each) {
                return port.host != 0 && each.host == port.host && each.protocol == port.protocol;
            });
            if (!taken) continue;
            throw Error(ErrorKind::conflict, "port {} is already allocated", port.host);
        }
    }
    for (const auto& each : made.container.networks) {
        if (!networks_.contains(each.network_id)) {
            throw Error(ErrorKind::conflict, "network {} not found", each.network);
        }
        if (std::ranges::count_if(networks_, [&](const auto& other) {
                return other.second.name == each.network;
            }) > 1) {
            throw Error(ErrorKind::conflict, "network {} is ambiguous", each.network);
        }
    }
    start(made);
    co_await changed();
}

Task<> FakeRuntime::stop_container(std::string id, std::chrono::seconds) {
    co_await enter("stop_container", id);
    auto& made = get(id);
    if (!is_up(made.container)) co_return;
    tell_container(made, "kill");
    made.container.state = ContainerState::exited;
    made.container.exit_code = 143;
    made.container.finished = now();
    if (made.container.health != ContainerHealth::none) {
        made.container.health = ContainerHealth::unhealthy;  // as Docker has it
    }
    tell_container(made, "die");
    co_await changed();
}

Task<> FakeRuntime::unpause_container(std::string id) {
    co_await enter("unpause_container", id);
    auto& made = get(id);
    if (made.container.state != ContainerState::paused) co_return;
    made.container.state = ContainerState::running;
    tell_container(made, "unpause");
    co_await changed();
}

Task<> FakeRuntime::rename_container(std::string id, std::string name) {
    co_await enter("rename_container", name);
    if (find(name) != nullptr) {
        throw Error(ErrorKind::conflict, "the name {} is already in use", name);
    }
    auto& made = get(id);
    made.container.name = name;
    tell_container(made, "rename");
    co_await changed();
}

Task<> FakeRuntime::update_container(std::string id, Limits limits,
                                     protocol::RestartPolicy restart) {
    co_await enter("update_container", id);
    auto& container = get(id).container;
    if (limits.nano_cpus > 0) container.limits.nano_cpus = limits.nano_cpus;
    if (limits.memory > 0) container.limits.memory = limits.memory;
    container.limits.pids = limits.pids;
    container.restart = restart;
    tell_container(get(id), "update");
    co_await changed();
}

Task<> FakeRuntime::remove_container(std::string id) {
    co_await enter("remove_container", id);
    const auto* made = find(id);
    if (made == nullptr) co_return;
    const auto gone = *made;
    containers_.erase(gone.container.id);
    for (const auto& [target, name] : gone.container.anonymous_volumes) {
        if (anonymous_[name] == gone.container.id && !is_mounted(name)) anonymous_.erase(name);
    }
    tell_container(gone, "destroy");
    co_await changed();
}

Task<> FakeRuntime::connect_network(std::string container_id, Attachment attachment) {
    co_await enter("connect_network", attachment.network);
    const auto* found = network(attachment.network);
    if (found == nullptr) {
        throw Error(ErrorKind::not_found, "network {} not found", attachment.network);
    }
    auto& made = get(container_id);
    join_network(made, attachment);
    tell({.type = Event::Type::network,
          .action = "connect",
          .id = found->id,
          .name = found->name,
          .container = made.container.id});
    co_await changed();
}

Task<> FakeRuntime::disconnect_network(std::string container_id, std::string name) {
    co_await enter("disconnect_network", name);
    auto& made = get(container_id);
    std::erase_if(made.container.networks, [&](const Attachment& each) {
        return each.network == name || each.network_id == name;
    });
    tell({.type = Event::Type::network,
          .action = "disconnect",
          .name = name,
          .container = made.container.id});
    co_await changed();
}

Task<std::string> FakeRuntime::create_network(NetworkSpec spec) {
    co_await enter("create_network", spec.name);
    if (network(spec.name) != nullptr) {
        throw Error(ErrorKind::conflict, "network with name {} already exists", spec.name);
    }
    for (const auto& [id, each] : networks_) {
        if (protocol::subnets_overlap(each.subnet, spec.subnet) ||
            protocol::subnets_overlap(each.subnet6, spec.subnet6)) {
            throw Error(ErrorKind::conflict, "Pool overlaps with other one on this address space");
        }
    }
    const auto made = make_network(spec);
    tell({.type = Event::Type::network, .action = "create", .id = made.id, .name = made.name});
    co_await changed();
    co_return made.id;
}

Task<> FakeRuntime::remove_network(std::string id) {
    co_await enter("remove_network", id);
    const auto* found = network(id);
    if (found == nullptr) co_return;
    // As Docker has it: only containers that run hold a network.
    for (const auto& [container_id, made] : containers_) {
        if (!is_up(made.container)) continue;
        for (const auto& each : made.container.networks) {
            if (each.network_id != found->id) continue;
            throw Error(ErrorKind::conflict, "network {} has active endpoints", found->name);
        }
    }
    const auto gone = *found;
    networks_.erase(gone.id);
    tell({.type = Event::Type::network, .action = "destroy", .id = gone.id, .name = gone.name});
    co_await changed();
}

Task<Volume> FakeRuntime::create_volume(VolumeSpec spec) {
    co_await enter("create_volume", spec.name);
    if (const auto found = volumes_.find(spec.name); found != volumes_.end()) {
        if (label_of(found->second.labels, label::kId) != label_of(spec.labels, label::kId)) {
            throw Error(ErrorKind::conflict, "a volume named {} is there already", spec.name);
        }
        co_return found->second;
    }
    const Volume made{.name = spec.name,
                      .driver = spec.driver,
                      .mountpoint = "/volumes/" + spec.name,
                      .labels = spec.labels};
    volumes_[spec.name] = made;
    tell({.type = Event::Type::volume, .action = "create", .id = spec.name, .name = spec.name});
    co_await changed();
    co_return made;
}

Task<> FakeRuntime::remove_volume(std::string name) {
    co_await enter("remove_volume", name);
    if (is_mounted(name)) throw Error(ErrorKind::conflict, "volume is in use: {}", name);
    anonymous_.erase(name);
    if (volumes_.erase(name) == 0) co_return;
    tell({.type = Event::Type::volume, .action = "destroy", .id = name, .name = name});
    co_await changed();
}

Task<std::map<std::string, std::int64_t>> FakeRuntime::volume_sizes(aio::Deadline) {
    co_await enter("volume_sizes");
    co_return sizes_;
}

Task<> FakeRuntime::pull_image(std::string reference, aio::Deadline, Progress progress) {
    co_await enter("pull_image", reference);
    if (has_registry(reference)) {
        throw Error(ErrorKind::unavailable, "pulling {}: connection refused", reference);
    }
    if (reference.starts_with("no-such")) {
        throw Error(ErrorKind::not_found, "pull access denied for {}", reference);
    }
    if (progress) progress("Pulling " + reference);
    const bool here = std::ranges::any_of(
        images_, [&](const auto& each) { return called(each.second, reference); });
    if (moved_.erase(reference) > 0 || !here) {
        for (auto& [id, image] : images_) std::erase(image.references, reference);
        add_image(reference);
    }
    co_await changed();
}

Task<std::string> FakeRuntime::build_image(BuildSpec spec, aio::Deadline, Progress progress) {
    co_await enter("build_image", spec.reference);
    std::string_view rest = spec.dockerfile;
    while (!rest.empty()) {
        const auto end = std::min(rest.find('\n'), rest.size());
        const auto line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (progress) progress(line);
        const auto exit = line.rfind("exit ");
        if (exit == line.npos) continue;
        throw Error(ErrorKind::invalid, "building {}: {} returned a non-zero code: {}",
                    spec.reference, line, line.substr(exit + 5));
    }
    for (auto& [id, image] : images_) std::erase(image.references, spec.reference);
    const auto id = "sha256:" + next_id();
    images_[id] = {
        .id = id, .references = {spec.reference}, .labels = spec.labels, .created = now()};
    tell({.type = Event::Type::image, .action = "tag", .id = id, .name = spec.reference});
    co_await changed();
    co_return id;
}

Task<> FakeRuntime::remove_image(std::string reference) {
    co_await enter("remove_image", reference);
    const auto found = std::ranges::find_if(
        images_, [&](const auto& each) { return called(each.second, reference); });
    if (found == images_.end()) co_return;
    for (const auto& [id, made] : containers_) {
        if (made.container.image_id != found->first) continue;
        throw Error(ErrorKind::conflict, "image {} is being used by container {}", reference,
                    made.container.name);
    }
    const auto id = found->first;
    images_.erase(found);
    tell({.type = Event::Type::image, .action = "delete", .id = id, .name = reference});
    co_await changed();
}

Task<> FakeRuntime::watch(std::function<void(Event)> sink) {
    co_await enter("watch");
    auto& watcher = watchers_.emplace_back(std::move(sink), asio::steady_timer(executor_));
    const auto here = std::prev(watchers_.end());
    watcher.broken.expires_at(asio::steady_timer::time_point::max());
    watcher.sink({.type = Event::Type::gap});
    boost::system::error_code ended;
    const auto state = co_await asio::this_coro::cancellation_state;
    co_await watcher.broken.async_wait(asio::redirect_error(asio::use_awaitable, ended));
    watchers_.erase(here);
    if (state.cancelled() != asio::cancellation_type::none)
        throw boost::system::system_error(ended);
    throw Error(ErrorKind::unavailable, "following the engine's events: the stream broke");
}

Task<std::unique_ptr<ProcessStream>> FakeRuntime::exec(ExecSpec spec) {
    co_await enter("exec", spec.container);
    const auto& made = get(spec.container);
    if (made.container.state != ContainerState::running) {
        throw Error(ErrorKind::conflict, "container {} does not run", made.container.name);
    }
    auto process = std::make_unique<FakeProcess>(executor_, spec.command, spec.tty);
    process->size = spec.size;
    co_return process;
}

Task<std::unique_ptr<ProcessStream>> FakeRuntime::attach(std::string container_id) {
    co_await enter("attach", container_id);
    const auto& made = get(container_id);
    if (made.container.state != ContainerState::running) {
        throw Error(ErrorKind::conflict, "container {} does not run", made.container.name);
    }
    std::vector<std::string> command{"cat"};
    co_return std::make_unique<FakeProcess>(executor_, std::move(command), made.spec.tty);
}

// A container's log from the entry that was asked for.
class FakeRuntime::Log : public LogStream {
  public:
    Log(FakeRuntime& runtime, LogSpec spec, std::size_t next)
        : runtime_(runtime), spec_(std::move(spec)), next_(next) {}

    Task<std::span<const LogEntry>> read() override {
        entries_.clear();
        for (;;) {
            const auto* made = runtime_.find(spec_.container);
            if (made == nullptr || runtime_.down_) co_return entries_;
            lines_.assign(made->log.begin() + static_cast<long>(next_), made->log.end());
            next_ = made->log.size();
            std::erase_if(lines_, [&](const auto& each) { return each.time < spec_.since; });
            if (!lines_.empty()) break;
            if (!spec_.follow || !is_up(made->container)) {
                co_return entries_;
            }
            co_await aio::sleep(std::chrono::milliseconds(1));
        }
        for (const auto& each : lines_) {
            entries_.push_back({.errors = each.errors, .time = each.time, .text = each.text});
        }
        co_return entries_;
    }

  private:
    FakeRuntime& runtime_;
    LogSpec spec_;
    std::size_t next_;
    std::vector<LogLine> lines_;
    std::vector<LogEntry> entries_;
};

Task<std::unique_ptr<LogStream>> FakeRuntime::logs(LogSpec spec) {
    co_await enter("logs", spec.container);
    const auto& log = get(spec.container).log;
    std::size_t next = 0;
    if (spec.tail && log.size() > static_cast<std::size_t>(*spec.tail)) {
        next = log.size() - static_cast<std::size_t>(*spec.tail);
    }
    co_return std::make_unique<Log>(*this, std::move(spec), next);
}

}  // namespace trailer::runtime
