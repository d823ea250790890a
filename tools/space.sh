# shellcheck shell=bash
# A private engine in a network namespace of its own, so that one that this machine has is neither used nor
# disturbed. Sourced after common.sh, from the repository's root, by ./test and bench/run.

space=trailer-test-$$

# Ends what runs in a namespace, its engine first, and deletes both.
end_space() {
    local name=$1 pid
    [ -e "/run/netns/$name" ] || return 0
    as_root nsenter --net="/run/netns/$name" "$PWD/tools/engine" remove "/tmp/$name" ||
        say "could not remove /tmp/$name; by hand: tools/engine remove /tmp/$name"
    for pid in $(as_root ip netns pids "$name" 2>/dev/null); do as_root kill -KILL "$pid" 2>/dev/null || true; done
    as_root ip netns delete "$name" || say "could not delete the network namespace; by hand: ip netns delete $name"
}

# A run that was killed could not tidy up; the number in the name tells that it is over.
end_stale_spaces() {
    local path
    for path in /run/netns/trailer-test-*; do
        [ -e "$path" ] || continue
        [ -d "/proc/${path##*-}" ] || end_space "$(basename "$path")"
    done
}

# Starts both; then "${inside[@]}" COMMAND… runs a command in there, with TRAILER_TEST_ENGINE set.
begin_space() {
    local address
    step "starting a private engine in a network namespace of its own ($space)"
    end_stale_spaces
    as_root ip netns add "$space" ||
        die "no network namespace can be made: this needs root with CAP_SYS_ADMIN (a container: --privileged)"
    trap 'end_space "$space"' EXIT
    as_root nsenter --net="/run/netns/$space" ip link set lo up
    # nsenter and not 'ip netns exec': that hides /sys, where the engine needs the cgroups.
    address=$(as_root nsenter --net="/run/netns/$space" tools/engine start "/tmp/$space")
    as_root nsenter --net="/run/netns/$space" tools/engine base "$address"
    # shellcheck disable=SC2034 # for the one who sources this
    inside=(as_root nsenter --net="/run/netns/$space" env "TRAILER_TEST_ENGINE=$address")
}
