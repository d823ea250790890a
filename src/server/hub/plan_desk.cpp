#include "server/hub/plan_desk.h"

#include "base/error.h"
#include "base/time.h"

namespace trailer::server {

Task<protocol::HostPlan> PlanDesk::ask(std::string host_id, std::string question,
                                       std::chrono::milliseconds patience) {
    if (!channels_.connected(host_id)) {
        co_return protocol::HostPlan{.fault = "the host is not connected"};
    }
    // Takes the question away again however the wait ends.
    struct Place {
        explicit Place(std::map<std::int64_t, std::shared_ptr<Asked>>& all, std::int64_t number)
            : asked(all), id(number) {}
        ~Place() { asked.erase(id); }
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;
        std::map<std::int64_t, std::shared_ptr<Asked>>& asked;
        std::int64_t id;
    };
    const Place place(asked_, ++last_id_);
    const auto asked = std::make_shared<Asked>(executor_, host_id, std::move(question));
    asked_[place.id] = asked;
    channels_.ask_plan(host_id, place.id);
    co_await asked->answered.wait_for(patience);
    if (asked->plan) co_return std::move(*asked->plan);
    co_return protocol::HostPlan{
        .fault = fmt::format("the host did not answer within {}", format_duration(patience))};
}

const std::string& PlanDesk::question(const std::string& host_id, std::int64_t id) const {
    const auto found = asked_.find(id);
    if (found == asked_.end() || found->second->host_id != host_id) {
        throw Error(ErrorKind::not_found, "nobody waits for plan {} of this host", id);
    }
    return found->second->question;
}

void PlanDesk::answer(const std::string& host_id, std::int64_t id, protocol::HostPlan plan) {
    const auto found = asked_.find(id);
    if (found == asked_.end() || found->second->host_id != host_id) return;
    found->second->plan = std::move(plan);
    found->second->answered.notify();
}

}  // namespace trailer::server
