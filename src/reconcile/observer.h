// Keeps the observed state current: the engine's events say what to look at again, a listing is the
// repair.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>

#include "reconcile/execute.h"
#include "reconcile/plan.h"

namespace trailer::reconcile {

class Observer {
  public:
    // `own_container_id`: never seen, so never touched.
    Observer(runtime::ContainerRuntime& runtime, std::string own_container_id)
        : runtime_(runtime), own_container_id_(std::move(own_container_id)) {}

    const Observed& observed() const { return observed_; }
    // False until the first listing, and again after events may have been missed.
    bool complete() const { return complete_; }
    // What is observed may be planned by: it is complete, and not about to be replaced.
    bool ready() const { return complete_ && !listing_ && knows_references_; }
    void missed_events() { complete_ = false; }
    // Which pulled images matter: their presence is looked up by reference.
    void set_references(std::set<std::string> references);

    // Notes what is to be looked at again, or forgets what is gone.
    void take(const runtime::Event& event);
    bool has_news() const;

    // Looks at what has changed: everything when not complete(), else what events named, but for
    // containers for which `busy` holds (their step looks when it ends). Throws what the engine's
    // calls throw; what was not looked at stays noted. True when it was everything.
    Task<bool> look(std::function<bool(const runtime::Container&)> busy);
    // Looks at what a step touched.
    Task<> look_at(Touched touched);

    // What is seen otherwise since this was asked last.
    struct Changes {
        std::set<std::string> resources;  // ids, by the labels
        bool everything = false;
        bool any() const { return everything || !resources.empty(); }
    };
    bool has_changes() const { return changes_.any(); }
    Changes take_changes() { return std::exchange(changes_, {}); }

    void set_host_subnets(std::vector<TakenSubnet> subnets) {
        observed_.host_subnets = std::move(subnets);
    }
    void set_volume_sizes(std::map<std::string, std::int64_t> sizes) {
        observed_.volume_sizes = std::move(sizes);
        changes_.everything = true;
    }
    // What is remembered beside what is seen; a listing leaves it as it is.
    Memory& memory() { return observed_.memory; }
    void set_disk_used(std::optional<double> percent) { observed_.disk_used_percent = percent; }

  private:
    // It is gone for good.
    void forget_container(const std::string& id);
    void forget_network(const std::string& id);
    // Takes one in, or out where nothing was found, and notes that it has changed if it has.
    template <typename Object>
    void set(std::map<std::string, Object>& objects, const std::string& id,
             std::optional<Object> found);
    Task<> list();
    void note_interrupted(const Observed& fresh);
    Task<> look_at_container(std::string id);
    Task<> look_at_network(std::string id_or_name);
    Task<> look_at_volume(std::string name);
    Task<> look_at_images();

    runtime::ContainerRuntime& runtime_;
    std::string own_container_id_;
    Observed observed_;
    std::set<std::string> wanted_references_;
    Changes changes_;
    bool complete_ = false;
    bool listing_ = false;
    bool knows_references_ = true;
    // Ids are never used again: an answer from before must not bring such an object back.
    // Containers and networks, since the last listing began.
    std::set<std::string> destroyed_;
    // Answers may overtake each other: of two about one thing the one to the later question counts.
    std::uint64_t asked_ = 0;
    std::uint64_t listed_ = 0;
    std::map<std::string, std::uint64_t> answered_;  // by container
    std::uint64_t images_answered_ = 0;
    std::set<std::string> containers_;  // to be looked at: ids
    std::set<std::string> networks_;    // ids or names
    std::set<std::string> volumes_;     // names
    bool images_ = false;
};

}  // namespace trailer::reconcile
