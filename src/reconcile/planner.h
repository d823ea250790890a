// The class behind plan(): one pass over what is wanted and what is there, that gathers steps. A
// file for each part of it: planner_needs, planner_workspaces, planner_dependencies,
// planner_replace, planner_in_place, planner_removals, planner_drift.
#pragma once

#include "reconcile/changes.h"
#include "reconcile/containers.h"
#include "reconcile/plan.h"
#include "reconcile/subnets.h"

namespace trailer::reconcile {

class Planner {
  public:
    Planner(const WantedState& wanted, const Observed& observed, const HostRules& rules,
            Timestamp now);
    Plan make();

  private:
    using Container = runtime::Container;
    using Index = std::size_t;
    // The steps of one object that follow each other.
    using Chain = std::optional<Index>;
    struct BuiltImage {
        bool current = false;
        std::string id;
    };

    Step& step(Index index) { return plan_.steps[index]; }
    Index add(Action action, const Key& key, std::string name, std::string object, Reason reason);
    void comes_after(Index index, Chain before);
    // Adds a step to the end of a chain.
    Index follow(Chain& chain, Action action, const Key& key, std::string name, std::string object,
                 Reason reason);
    bool ours(const runtime::Labels& labels) const;
    void look_again(Timestamp time);

    // --- what workspaces need

    // An engine makes a second network of a name when two requests cross: ours, and one that was
    // under way when we were killed. The one that more containers are on stays.
    void choose_networks();
    static bool same_resource(const runtime::Network& a, const runtime::Network& b);
    void network(const WantedNetwork& wanted);
    void volume(const WantedVolume& wanted);
    bool has_volume(const WantedVolume& wanted) const;
    void image(const WantedImage& wanted);
    BuiltImage built_image(const WantedImage& wanted) const;
    bool is_fresh(const WantedImage& wanted) const;
    // Collects what must be there before a container of this workspace can be made. False when one
    // of them will not come.
    bool needs(const WantedWorkspace& wanted, std::vector<Index>& before);
    // The engine refuses a name that two networks have.
    void names_one_network(const std::string& name, std::vector<Index>& before) const;
    bool need(const WantedWorkspace& wanted, protocol::Kind kind, const std::string& name,
              bool there, const std::map<std::string, Index>& makes, std::vector<Index>& before);
    bool has_network(const std::string& name) const;

    // --- workspaces

    // What others depend on first, so that the step that starts it is known.
    void in_order(const WantedWorkspace& wanted);
    void workspace(const WantedWorkspace& wanted);
    // All that is done to one that this host will not make.
    void stop_faulty(const WantedWorkspace& wanted, const Incarnation& found);
    void create(const WantedWorkspace& wanted, Chain chain);
    Index make_container(const WantedWorkspace& wanted, const std::string& name,
                         const Reason& reason, const std::vector<Index>& before, Chain& chain);
    void give_name(const WantedWorkspace& wanted, const std::string& container,
                   const std::string& reason, Chain& chain);
    void waits_for_name(const std::string& name, Index index);
    // True, and a wait, where a leftover that is not due to go yet has that name.
    bool name_is_held(const WantedWorkspace& wanted, const std::string& name);
    // Finds the container that stands for the workspace, under whatever name, and clears away what
    // earlier replacements left behind.
    void choose_current(const WantedWorkspace& wanted, Incarnation& found, Chain& chain);

    // --- what is to be up before it

    // Adds the step that starts a container, unless what it depends on is not there yet.
    Chain start(const WantedWorkspace& wanted, Action action, const std::string& object,
                const Reason& reason, Chain& chain);
    // Whether its container, which runs, has a port or an address that another is to have: one that
    // it depends on, maybe, which can't be started before it has given way.
    bool makes_way(const WantedWorkspace& wanted) const;
    bool dependencies_are_up(const WantedWorkspace& wanted, std::vector<Index>& before);
    // True where the dependency is met, or will be by the step that is added to `before`.
    bool is_up(const WantedWorkspace& wanted, const protocol::Dependency& dependency,
               std::vector<Index>& before);
    // It has run, as it is wanted, and is not to run again.
    bool has_finished(const WantedWorkspace& wanted, const Container& container) const;

    // --- replacing a container

    std::vector<Change> why_replace(const WantedWorkspace& wanted, const Container& seen) const;
    // Of these, what is wanted otherwise now: nobody meddled.
    std::vector<Change> how_made_otherwise(const WantedWorkspace& wanted,
                                           const Container& seen) const;
    void replace(const WantedWorkspace& wanted, const Container& current, const Container* next,
                 const Reason& why, Chain chain);
    // With the volumes of the former one that have no name. False where it has to wait.
    bool make_next(const WantedWorkspace& wanted, const Container& former, const Reason& why,
                   Chain& chain);
    // In the place of the current one, which is dead or can't be started any more.
    void make_anew(const WantedWorkspace& wanted, const Incarnation& found, Chain chain);
    bool is_beyond_start(const Container& container) const;
    enum class Proof { passed, pending, failed };
    Proof prove(const WantedWorkspace& wanted, const Container& next);
    bool was_interrupted(const WantedWorkspace& wanted, const Container& next) const;
    // True while what is wanted is what has failed already.
    bool has_failed(const WantedWorkspace& wanted, const Container& failed) const;
    void stay_rolled_back(const WantedWorkspace& wanted, const Container& current,
                          const Container& failed, Chain chain);

    // --- changing it in place

    void keep(const WantedWorkspace& wanted, const Container& seen, Chain chain);
    void run_or_stop(const WantedWorkspace& wanted, const Container& seen, Chain chain);
    void unpause(const WantedWorkspace& wanted, const Container& seen, Chain& chain);
    void networks_in_place(const WantedWorkspace& wanted, const Container& seen, Chain& chain);
    // Why an attachment is to be made anew; none when it is as wanted.
    static std::vector<Change> how_attached(const runtime::Attachment& target,
                                            const runtime::Attachment& seen);
    // Off networks that are to go, or have gone: else they could not be made anew under their
    // names.
    void detach_stale(const WantedWorkspace& wanted, const Container& seen, Chain& chain);
    bool is_stale(const runtime::Attachment& seen) const;
    Index detach(const WantedWorkspace& wanted, const Container& seen,
                 const runtime::Attachment& attachment, Reason reason, Chain& chain);
    void limits_in_place(const WantedWorkspace& wanted, const Container& seen, Chain& chain);

    // --- what is to go

    // Told of; true when its time to go has come.
    bool is_due(protocol::Kind kind, const std::string& object, const std::string& name);
    bool is_known(const runtime::Labels& labels) const;
    void leftover_containers();
    void leftover_networks();
    // Gracefully: it is stopped first.
    Index remove_container(const Key& key, const Container& container, const std::string& reason,
                           Chain chain, std::chrono::milliseconds grace = kGrace);
    void remove_all(const WantedWorkspace& wanted, const Incarnation& found);
    // `index` takes the container off its networks, volumes and image.
    void releases(const Container& container, Index index);
    void removals();
    // Gathers the step by which a container that uses the resource lets go of it. False, and the
    // resource waits, where it keeps it.
    bool comes_after(const Key& key, const Container& user, std::vector<Index>& before);
    void waits_for_user(const Key& key, const Container& user);
    // By network id, one of our containers that stays on it, running or not: a former one, for
    // instance, that came back when the new one failed.
    std::map<std::string, const Container*> keepers_of_networks() const;
    void remove_networks();
    void remove_volumes();
    void remove_image(const WantedImage& wanted);
    // A pulled image carries no label: it is the host's, and stays, unless our own pull brought it.
    void remove_pulled_image(const WantedImage& wanted);
    bool is_referred_to(const std::string& reference) const;
    // What we made and nobody uses any more.
    void collect();
    void collect_builds(const Wanted& image, std::vector<const runtime::Image*> former);
    void release(const runtime::Image& image, const std::string& name, const std::string& reason);

    // --- what is told, not repaired

    // Takes the steps out that would undo what someone changed, where that is to be told only, and
    // those that come after them.
    void withhold_drift();
    bool is_drift(const WantedWorkspace& wanted) const;

    const WantedState& wanted_;
    const Observed& observed_;
    const HostRules& rules_;
    Timestamp now_;
    Containers containers_;
    std::map<std::string, SubnetChoice> subnets_;  // by network id
    Plan plan_;
    std::map<std::string, const Wanted*> known_;  // by id
    std::map<std::string, const WantedWorkspace*> by_name_;
    std::set<std::string> planned_;        // workspaces' ids
    std::map<std::string, Index> starts_;  // by workspace id: the step that starts it
    std::set<std::string> held_back_;      // workspaces' ids: not started before others are up
    std::map<std::string, std::string> network_ids_;    // by name, those there
    std::map<std::string, std::string> doubles_;        // further networks of a name: id -> name
    std::multimap<std::string, Index> removes_double_;  // by name
    std::map<std::string, Index> doubles_removed_;      // by id
    std::map<std::string, std::string> image_ids_;      // by resource's name, those as wanted
    std::map<std::string, Index> makes_network_;        // by name
    std::map<std::string, Index> makes_volume_;
    std::map<std::string, Index> makes_image_;
    std::map<std::string, Key> held_names_;               // by container name, of leftovers
    std::set<std::string> held_networks_;                 // names, of leftovers
    std::set<std::string> due_networks_;                  // ids, of leftovers
    std::set<std::string> changing_;                      // workspaces' ids: by what is wanted
    std::set<std::string> images_in_use_;                 // by our containers: ids
    std::map<std::string, Index> freed_names_;            // by container name
    std::map<std::string, std::vector<Index>> released_;  // by network id
    std::map<std::string, Index> lets_go_;                // by container id: the step that ends it
    std::set<std::pair<std::string, std::string>> detached_;  // container id, network id
};

}  // namespace trailer::reconcile
