// A container engine in memory, for the tests of those who use a runtime. It keeps the promises of
// runtime.h (the contract test runs on it too), and lets a test look at it, meddle with it, and
// break it.
//
// Its world: images that were added, built or pulled; a pull finds any reference of the default
// registry, and no other registry answers. A Dockerfile fails at a line that ends in `exit N`. A
// container runs until it is stopped or kill_container() ends it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <random>
#include <set>

#include "base/error.h"
#include "runtime/fake_process.h"
#include "runtime/runtime.h"

namespace trailer::runtime {

class FakeRuntime : public ContainerRuntime {
  public:
    explicit FakeRuntime(asio::any_io_executor executor);
    ~FakeRuntime() override;

    // --- what a test looks at

    // Every call, in its order: "create_container web".
    const std::vector<std::string>& calls() const { return calls_; }
    std::size_t count(std::string_view call) const;  // those that begin so
    void forget_calls() { calls_.clear(); }
    // How many calls have changed something.
    std::size_t changes() const { return changes_; }
    const Container* container(const std::string& name) const;
    std::vector<std::string> container_names() const;
    const std::map<std::string, Network>& networks() const { return networks_; }  // by id
    const std::map<std::string, Volume>& volumes() const { return volumes_; }     // by name

    // --- what a test does behind the user's back; an event tells of it

    void put_container(ContainerSpec spec, bool running = true);
    void put_network(NetworkSpec spec);
    void put_volume(VolumeSpec spec);
    void add_image(const std::string& reference);
    // With a name that it has: an event, and nothing is otherwise.
    void tag_image_again(const std::string& reference);
    // The default registry has another image of that reference now; a pull brings it.
    void move_tag(const std::string& reference) { moved_.insert(reference); }
    void kill_container(const std::string& name, int exit_code);
    // As someone else's stop, or an engine that ends, does it.
    void interrupt_container(const std::string& name, int exit_code);
    void pause_container(const std::string& name);
    // As an engine leaves it that was ended in the middle of its start.
    void leave_dead(const std::string& name);
    void delete_container(const std::string& name);
    void delete_network(const std::string& name);
    // No engine does so; it is how a test gives two networks one name.
    void rename_network(const std::string& name, const std::string& to);
    void detach(const std::string& container, const std::string& network);
    void set_limits(const std::string& container, Limits limits);
    void set_volume_size(const std::string& name, std::int64_t bytes) { sizes_[name] = bytes; }
    // A line of its log.
    void print(const std::string& container, std::string text, bool errors = false);
    void set_health(const std::string& container, ContainerHealth health, std::string output = {});

    // --- what a test breaks

    // The next call of that name ("start_container") fails so, and does nothing; said twice, the
    // one after it too.
    void fail_next(std::string call, ErrorKind kind, std::string message);
    // Each container of this image has a volume there, of its own where it mounts no other.
    void set_image_volume(const std::string& image, std::string target) {
        image_volumes_[image] = std::move(target);
    }
    const std::map<std::string, std::string>& anonymous_volumes() const { return anonymous_; }
    // A container of this image ends with this code as soon as it is started.
    void exit_at_start(const std::string& image, int exit_code) { exits_[image] = exit_code; }
    // The container can't be started any more.
    void make_unstartable(const std::string& container) { get(container).unstartable = true; }
    // Every call fails and the event stream breaks, until it is up again.
    void set_down(bool down);
    // Every call runs into its time limit; the event stream stays open.
    void set_hanging(bool hanging) { hanging_ = hanging; }
    // The event stream breaks; what happens meanwhile is not told.
    void break_watch();
    // Calls whose name begins so wait, once they have begun, until they are let go.
    void hold(std::string call) { held_call_ = std::move(call); }
    void let_go();
    std::size_t held() const { return held_; }
    // As if the caller were killed: the call after the n-th change from now takes effect and never
    // returns, nor does any after it, until thaw().
    void freeze_after(std::size_t changes);
    void thaw();
    bool frozen() const { return frozen_; }
    // Each call gives way a random number of times, so that calls under way mix.
    void shuffle(unsigned seed) { random_ = std::minstd_rand(seed); }

    // --- ContainerRuntime

    Task<Info> info() override;
    Task<std::vector<Container>> list_containers() override;
    Task<std::optional<Container>> find_container(std::string id_or_name) override;
    Task<std::vector<Network>> list_networks() override;
    Task<std::optional<Network>> find_network(std::string id_or_name) override;
    Task<std::vector<Volume>> list_volumes() override;
    Task<std::optional<Volume>> find_volume(std::string name) override;
    Task<std::vector<Image>> list_images() override;
    Task<std::optional<Image>> find_image(std::string id_or_reference) override;
    Task<std::string> create_container(ContainerSpec spec) override;
    Task<> start_container(std::string id) override;
    Task<> stop_container(std::string id, std::chrono::seconds grace) override;
    Task<> unpause_container(std::string id) override;
    Task<> rename_container(std::string id, std::string name) override;
    Task<> update_container(std::string id, Limits limits,
                            protocol::RestartPolicy restart) override;
    Task<> remove_container(std::string id) override;
    Task<> connect_network(std::string container_id, Attachment attachment) override;
    Task<> disconnect_network(std::string container_id, std::string network) override;
    Task<std::string> create_network(NetworkSpec spec) override;
    Task<> remove_network(std::string id) override;
    Task<Volume> create_volume(VolumeSpec spec) override;
    Task<> remove_volume(std::string name) override;
    Task<std::map<std::string, std::int64_t>> volume_sizes(aio::Deadline deadline) override;
    Task<> pull_image(std::string reference, aio::Deadline deadline, Progress progress) override;
    Task<std::string> build_image(BuildSpec spec, aio::Deadline deadline,
                                  Progress progress) override;
    Task<> remove_image(std::string reference) override;
    Task<std::unique_ptr<ProcessStream>> exec(ExecSpec spec) override;
    Task<std::unique_ptr<ProcessStream>> attach(std::string container_id) override;
    Task<std::unique_ptr<LogStream>> logs(LogSpec spec) override;
    Task<> watch(std::function<void(Event)> sink) override;

  private:
    struct LogLine {
        bool errors = false;
        std::string time;
        std::string text;
    };
    struct Made {
        Container container;
        ContainerSpec spec;
        std::vector<LogLine> log;
        bool unstartable = false;
    };
    class Log;
    struct Watcher {
        std::function<void(Event)> sink;
        asio::steady_timer broken;
    };

    // The way into every call: its place in calls(), the failures that a test asked for.
    Task<> enter(std::string call, std::string subject = {});
    // The way out of a call that changed something.
    Task<> changed();
    Task<> give_way();
    void tell(Event event);
    void tell_container(const Made& made, std::string action);
    Made* find(const std::string& id_or_name);
    Made& get(const std::string& id_or_name);
    Network* network(const std::string& id_or_name);
    Made& make(const ContainerSpec& spec);
    void give_image_volume(Made& made);
    bool is_mounted(const std::string& volume) const;
    void start(Made& made);
    void join_network(Made& made, const Attachment& attachment);
    const Network& make_network(const NetworkSpec& spec);
    std::string next_id();
    Container seen(const Made& made) const;

    asio::any_io_executor executor_;
    std::vector<std::string> calls_;
    std::size_t changes_ = 0;
    std::optional<std::size_t> freeze_at_;
    bool frozen_ = false;
    asio::steady_timer thawed_;
    std::string held_call_;
    std::size_t held_ = 0;
    asio::steady_timer let_go_;
    bool down_ = false;
    bool hanging_ = false;
    std::list<Watcher> watchers_;
    std::multimap<std::string, std::pair<ErrorKind, std::string>> failures_;
    std::map<std::string, int> exits_;
    std::map<std::string, std::string> image_volumes_;  // where, by the image
    std::map<std::string, std::string> anonymous_;      // for which container each was made
    std::set<std::string> moved_;
    std::optional<std::minstd_rand> random_;
    int last_id_ = 0;
    std::map<std::string, Made> containers_;  // by id
    std::map<std::string, Network> networks_;
    std::map<std::string, Volume> volumes_;
    std::map<std::string, std::int64_t> sizes_;  // of volumes; the others' driver does not tell
    std::map<std::string, Image> images_;        // by id
};

}  // namespace trailer::runtime
