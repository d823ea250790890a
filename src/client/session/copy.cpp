// `trailer cp`: a tar archive through a session, packed at one side and unpacked at the other.
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <mutex>

#include "client/arguments.h"
#include "client/commands.h"
#include "client/failure.h"
#include "client/session/copy_paths.h"
#include "client/session/copy_progress.h"
#include "client/session/io_thread.h"
#include "client/session/joined.h"
#include "client/session/remote_command.h"
#include "client/session/tree_archive.h"
#include "client/session/tree_extraction.h"
#include "client/terminal.h"

namespace trailer::client {
namespace {

namespace fs = std::filesystem;

constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

void tell(const std::string& text) {
    print(stderr, fmt::format("trailer: cp: {}\n", one_line(text)));
}

void tell_left_out(const std::vector<std::string>& paths) {
    for (const auto& path : paths) {
        tell(fmt::format("left out: {} is neither a file nor a directory nor a symbolic link",
                         path));
    }
}

struct Remote {
    std::string name;  // of the workspace
    std::string path;

    std::string subject() const { return path_of(Subject::workspace, name); }
};

std::string first_line(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

// GNU tar, of a file that is being written, or a directory that changes: what it packed is whole.
bool changed_meanwhile(const RemoteResult& result) {
    return result.exit_code == 1 && result.errors.find("as we read it") != std::string::npos;
}

// Throws unless the workspace's tar did what it was told to.
void check_tar(const Remote& remote, const RemoteResult& result) {
    if (result.exit_code == 0) return;
    if (result.exit_code == kNotFound || result.exit_code == kNotExecutable) {
        throw Error(ErrorKind::invalid, "workspace {} has no tar, which cp needs: install it there",
                    remote.name);
    }
    const auto why = first_line(result.errors);
    throw Error(ErrorKind::invalid, "{}",
                why.empty() ? fmt::format("tar in workspace {} ended with {}", remote.name,
                                          result.exit_code)
                            : remote.name + ": " + why);
}

// Runs what blocks on the disk on a thread of its own; gives what it returns or throws.
template <typename Function, typename Result = std::invoke_result_t<Function&>>
Task<Result> on(IoThread* thread, Function function) {
    struct Outcome {
        std::optional<Result> value;
        std::exception_ptr failure;
    };
    auto outcome = std::make_shared<Outcome>();  // shared with work that may outlive this call
    IoThread::Work work = [function = std::move(function), outcome](int) mutable {
        try {
            outcome->value = function();
        } catch (...) {
            outcome->failure = std::current_exception();
        }
    };
    co_await thread->run(std::move(work));
    if (outcome->failure) std::rethrow_exception(outcome->failure);
    co_return std::move(*outcome->value);
}

// --- into a workspace

// Without `test` there is hardly a tar: it will tell.
Task<RemoteResult> test_directory(Api* api, Remote remote) {
    RemoteCommand test{.subject = remote.subject(), .command = {"test", "-d", remote.path}};
    co_return co_await run_remote(*api, std::move(test));
}

Task<std::string> pack(IoThread* thread, std::shared_ptr<TreeArchive> archive,
                       CopyProgress* progress) {
    std::function<std::string()> next = [archive] { return archive->next(); };
    auto data = co_await on(thread, std::move(next));
    progress->add(data.size());
    co_return data;
}

Task<int> copy_in(Api* api, std::string source, Remote target) {
    auto place = split_path(target.path);
    const auto from = split_path(source);
    const auto test = co_await test_directory(api, target);
    if (test.signal != 0) co_return kSignalled + test.signal;
    if (test.exit_code == 0) {
        place = {target.path, from.name};
    } else if (target.path.ends_with('/')) {
        throw Error(ErrorKind::not_found, "{}:{} is no directory", target.name, target.path);
    }
    const auto archive = std::make_shared<TreeArchive>(source, place.name);  // shared with a thread
    IoThread thread(api->executor());
    CopyProgress progress(stderr, fmt::format("{} -> {}:{}", source, target.name, target.path));
    RemoteCommand tar{.subject = target.subject(),
                      .command = {"tar", "-xpof", "-", "-C", place.directory},
                      .news = [](LinkNews news) { tell(text_of(news)); }};
    tar.input = [&] { return pack(&thread, archive, &progress); };
    const auto result = co_await run_remote(*api, std::move(tar));
    progress.finish();
    if (result.signal != 0) co_return kSignalled + result.signal;
    check_tar(target, result);
    tell_left_out(archive->left_out());
    co_return archive->left_out().empty() ? kDone : kFailed;
}

// --- out of a workspace

// Bytes from a coroutine to a thread: who is ahead waits.
class Arrivals {
  public:
    explicit Arrivals(const asio::any_io_executor& executor)
        : executor_(executor), room_(executor) {}

    // For the coroutine. What comes after the thread's stop() is dropped.
    static Task<> push(std::shared_ptr<Arrivals> self, std::string_view data) {
        for (;;) {
            {
                const std::lock_guard lock(self->mutex_);
                if (self->stopped_) co_return;
                if (self->data_.size() < kBound) {
                    self->data_ += data;
                    self->changed_.notify_all();
                    co_return;
                }
            }
            co_await self->room_.wait();
        }
    }
    enum class End { whole, broken };
    void end(End how) {
        const std::lock_guard lock(mutex_);
        end_ = how;
        changed_.notify_all();
    }

    // For the thread; "" at the end.
    static std::string pop(const std::shared_ptr<Arrivals>& self) {
        std::unique_lock lock(self->mutex_);
        self->changed_.wait(lock, [&] { return !self->data_.empty() || self->end_; });
        if (self->end_ == End::broken)
            throw Error(ErrorKind::unavailable, "the copy was broken off");
        self->wake_writer(self);
        return std::exchange(self->data_, {});
    }
    static void stop(const std::shared_ptr<Arrivals>& self) {
        const std::lock_guard lock(self->mutex_);
        self->stopped_ = true;
        self->wake_writer(self);
    }

  private:
    static constexpr std::size_t kBound = 1 << 20;

    // After a break the executor may be gone, and nobody waits.
    void wake_writer(const std::shared_ptr<Arrivals>& self) {
        if (end_ == End::broken) return;
        asio::post(executor_, [self] { self->room_.notify(); });
    }

    asio::any_io_executor executor_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string data_;
    std::optional<End> end_;
    bool stopped_ = false;
    aio::Signal room_;
};

ExtractionTarget target_for(const SplitPath& from, const std::string& target) {
    if (fs::is_directory(target)) {
        return {.directory = target, .expected = from.name, .name = from.name};
    }
    if (target.ends_with('/') && from.name != ".") {
        throw Error(ErrorKind::not_found, "{} is no directory", target);
    }
    const auto place = split_path(target);
    if (!fs::is_directory(place.directory)) {
        throw Error(ErrorKind::not_found, "{} is no directory", place.directory);
    }
    if (from.name != ".") {
        return {.directory = place.directory, .expected = from.name, .name = place.name};
    }
    fs::create_directory(target);
    return {.directory = target, .expected = ".", .name = "."};
}

class CopyOut {
  public:
    CopyOut(Api& api, Remote source, const std::string& target)
        : api_(api),
          source_(std::move(source)),
          from_(split_path(source_.path)),
          target_(target_for(from_, target)),
          arrivals_(std::make_shared<Arrivals>(api.executor())),
          thread_(api.executor()),
          progress_(stderr, fmt::format("{}:{} -> {}", source_.name, source_.path, target)) {}
    ~CopyOut() { arrivals_->end(Arrivals::End::broken); }
    CopyOut(const CopyOut&) = delete;
    CopyOut& operator=(const CopyOut&) = delete;

    Task<int> run() {
        aio::TaskGroup tasks(api_.executor());
        tasks.spawn(fetch());
        tasks.spawn(unpack());
        co_await tasks.join();
        progress_.finish();
        if (result_.signal != 0) co_return kSignalled + result_.signal;
        // The workspace's own words say more than an archive that has an end too early.
        const bool changed = changed_meanwhile(result_) && !failure_;
        if (!changed) check_tar(source_, result_);
        if (failure_) std::rethrow_exception(failure_);
        if (changed) tell(fmt::format("{}: {}", source_.name, first_line(result_.errors)));
        tell_left_out(extracted_.left_out);
        co_return extracted_.left_out.empty() ? kDone : kFailed;
    }

  private:
    Task<> fetch() {
        const auto name = from_.name == "." ? from_.name : "./" + from_.name;
        RemoteCommand tar{.subject = source_.subject(),
                          .command = {"tar", "-C", from_.directory, "-cf", "-", name},
                          .news = [](LinkNews news) { tell(text_of(news)); }};
        tar.output = [this](std::string_view data) { return take(data); };
        result_ = co_await run_remote(api_, std::move(tar));
        // How tar ended is told beside: what it packed until then is taken.
        arrivals_->end(result_.signal == 0 ? Arrivals::End::whole : Arrivals::End::broken);
    }

    Task<> take(std::string_view data) {
        progress_.add(data.size());
        if (failure_) std::rethrow_exception(failure_);
        co_await Arrivals::push(arrivals_, data);
    }

    Task<> unpack() {
        std::function<Extracted()> work = [arrivals = arrivals_, target = target_] {
            struct Stop {
                std::shared_ptr<Arrivals> arrivals;
                ~Stop() { Arrivals::stop(arrivals); }
            } const stop{arrivals};
            return extract_tree([arrivals] { return Arrivals::pop(arrivals); }, target);
        };
        try {
            extracted_ = co_await on(&thread_, std::move(work));
        } catch (const Error&) {
            failure_ = std::current_exception();
        }
    }

    Api& api_;
    Remote source_;
    SplitPath from_;
    ExtractionTarget target_;
    std::shared_ptr<Arrivals> arrivals_;  // shared with a thread
    IoThread thread_;
    CopyProgress progress_;
    RemoteResult result_;
    Extracted extracted_;
    std::exception_ptr failure_;
};

Task<int> copy_out(Api* api, Remote source, std::string target) {
    CopyOut copying(*api, std::move(source), target);
    co_return co_await copying.run();
}

Remote checked(const RemotePath& path) {
    const auto named = parse_named("workspaces", {path.workspace});
    return {named.names.front(), path.path};
}

}  // namespace

int copy(const CopyFlags& flags) {
    const auto source = parse_remote_path(flags.source);
    const auto target = parse_remote_path(flags.target);
    if (source.has_value() == target.has_value()) {
        throw UsageError(
            "expected one path here and one in a workspace: cp FILE WORKSPACE:PATH, or cp "
            "WORKSPACE:PATH FILE");
    }
    const auto remote = checked(source ? *source : *target);
    Api api(resolve_target(credentials_file(), flags.connection));
    return api.run(target ? copy_in(&api, flags.source, remote)
                          : copy_out(&api, remote, flags.target));
}

}  // namespace trailer::client
