# shellcheck shell=bash
# What the project's commands share: how they talk to people. Sourced, after cd to the repository.

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
    bold='' red='' green='' plain=''
fi

# Progress goes to stderr; stdout is for results.
step() { echo "${bold}==> $*${plain}" >&2; }
say() { echo "    $*" >&2; }
done_() { echo "${green} ok ${plain} $*" >&2; }
die() {
    echo "${red}$(basename "$0"): $*${plain}" >&2
    exit 1
}

# A compiler on these sources takes up to 1.3 GB: as many at once as the memory holds.
jobs_for_this_machine() {
    local cpus memory
    cpus=$(nproc)
    memory=$(awk '/^MemAvailable:/ {print int($2 / 1400000)}' /proc/meminfo)
    [ "$memory" -ge 1 ] || memory=1
    echo $((cpus < memory ? cpus : memory))
}

# as_root COMMAND…: directly when we are root, else through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "'$1' needs root, and there is no sudo here: run this as root"
    fi
}

# True when something listens on 127.0.0.1:$1.
port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
