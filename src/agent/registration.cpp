#include "agent/identity.h"
#include "agent/life.h"
#include "base/log.h"

namespace trailer::agent {
namespace {

using namespace std::chrono_literals;

// Approval is a person's click: it shall show at once.
constexpr auto kPendingApprovalCap = 4s;

// How long registering waits for the engine to say what it is, and for the GPUs' driver, which may
// have to wake them; later, the host registers anew.
constexpr auto kEngineHeadStart = 250ms;
constexpr auto kGpuHeadStart = 2s;

using Reason = RegistrationRefused::Reason;

}  // namespace

Task<> Life::register_until_accepted() {
    aio::Backoff backoff;
    aio::Backoff pending(250ms, kPendingApprovalCap);
    std::string said;
    co_await register_again_.wait_for(0ms);  // what asked for this registration is answered by it
    for (;;) {
        std::chrono::milliseconds wait{};
        std::string text;
        try {
            co_await register_once();
            co_return;
        } catch (const RegistrationRefused& e) {
            if (e.reason() == Reason::pending_approval) {
                wait = pending.next();
                text = fmt::format(
                    "waiting for approval: an admin must approve this host on {} (key {}): {}",
                    server_.url(), key_fingerprint(key_.public_key()), e.what());
            } else {
                wait = backoff.ceiling();  // nothing but a person's decision ends it
                backoff.next();
                text = fmt::format(
                    "registration refused, another key is bound to this host's identity; if this "
                    "is the right agent, an admin must approve its key {} on {}: {}",
                    key_fingerprint(key_.public_key()), server_.url(), e.what());
            }
            if (text != said) {
                log::at(e.reason() == Reason::pending_approval ? log::Level::warning
                                                               : log::Level::error,
                        "{}", text);
            }
        } catch (const std::exception& e) {
            if (aio::is_cancellation(e)) throw;
            wait = backoff.next();
            text = fmt::format("registering with {}: {}", server_.url(), describe(e));
            if (text != said) log::warning("{}; trying again until it succeeds", text);
        }
        said = std::move(text);
        if (!server_.away()) co_await aio::sleep(wait);  // else the next call waits for it
    }
}

Task<> Life::register_once() {
    auto token = co_await registration_token();
    protocol::ChallengeRequest question{key_.public_key()};
    auto challenge = co_await server_.challenge(std::move(question));
    co_await look_at_host_first();

    auto told = facts();
    protocol::RegisterRequest request;
    request.signature = key_.sign(protocol::signed_text(challenge.challenge, token));
    request.registration_token = std::move(token);
    request.public_key = key_.public_key();
    request.challenge = std::move(challenge.challenge);
    request.deployment_name = options_.config.deployment_name;
    request.version = options_.version;
    request.os = told.os;
    request.architecture = told.architecture;
    request.runtime = options_.config.runtime;
    request.capabilities = told.capabilities;
    auto answer = co_await server_.register_host(std::move(request));
    accept(std::move(answer), std::move(told));
}

Task<> Life::look_at_host_first() {
    const auto look = [this](std::chrono::milliseconds patience) {
        return host_looked_at_.wait_for(patience);
    };
    while (!engine_ && engine_fault_.empty() && co_await look(kEngineHeadStart)) {
    }
    while (!gpus_.looked() && co_await look(kGpuHeadStart)) {
    }
}

// The machine's own, or in a container without the host's the engine's: the same for every agent
// that this engine runs.
Task<std::string> Life::registration_token() {
    if (machine_id_) co_return agent::registration_token(*machine_id_);
    while (!engine_ && engine_fault_.empty()) co_await host_looked_at_.wait();
    if (!engine_) {
        throw Error(ErrorKind::unavailable,
                    "this host is known by its engine's ID, and the engine does not answer ({}); "
                    "start the engine, or mount the host's /etc/machine-id into this container",
                    engine_fault_);
    }
    if (engine_->id.empty()) {
        throw Error(ErrorKind::unavailable,
                    "the engine has no ID to know this host by; mount the host's /etc/machine-id "
                    "into this container");
    }
    co_return agent::registration_token(engine_->id);
}

void Life::accept(protocol::RegisterAnswer answer, HostFacts told) {
    facts_told_ = std::move(told);
    log::info("registered with {} as {} ({})", server_.url(), answer.name, answer.host_id);
    if (record_.host_id != answer.host_id) {
        // Another host to the server than before: its revisions are counted anew.
        record_.host_id = answer.host_id;
        desired_ = {};
        unsaved_.host = true;
        save_.notify();
    }
    apply(answer.enabled, answer.settings, answer.revision);
    reconciler_->report_all();
}

}  // namespace trailer::agent
