#!/usr/bin/env bash
# Brings a compose file up, sends the greeter names, kills a worker, and checks the greetings: each name is counted once
# for each time it was sent, in order, whatever was killed.
#   docker/try.sh [greeter|cluster]     greeter: compose.greeter.yaml, one worker (default); cluster: compose.yaml
#   LOCAL=1 docker/try.sh               with images made here by docker/local/images.sh, without a registry (podman, root)
#   KEEP=1 docker/try.sh                leave everything running
# Works with Docker (docker compose) and with Podman (podman-compose, or podman compose). Exit status 77: neither is there.
set -euo pipefail
what=${1:-greeter}
root=$(cd "$(dirname "$0")/.." && pwd)
case $what in
greeter) file=$root/docker/compose.greeter.yaml broker=kafka workers=(worker) services=() ;;
cluster)
    file=$root/docker/compose.yaml broker=kafka-1 workers=(worker-1 worker-2 worker-3)
    services=(kafka-1 kafka-2 kafka-3 bucket s3 functions "${workers[@]}")
    # Debian has no package of Grafana; here no registry has its image.
    [ "${LOCAL:-}" = 1 ] || services+=(prometheus grafana)
    ;;
*) echo "usage: $0 [greeter|cluster]" >&2 && exit 2 ;;
esac
project=statefun-try-$what-$$

say() { echo "--- $*" >&2; }
fail() { echo "!!! $*" >&2; exit 1; }

if [ "${LOCAL:-}" != 1 ] && docker compose version >/dev/null 2>&1; then
    engine=docker compose=(docker compose)
elif command -v podman >/dev/null && command -v podman-compose >/dev/null; then
    engine=podman compose=(podman-compose --in-pod=0)
elif command -v podman >/dev/null && podman compose version >/dev/null 2>&1; then
    engine=podman compose=(podman compose)
else
    echo "neither docker compose nor podman-compose is there: nothing was tried" >&2
    exit 77
fi
compose+=(-p "$project" -f "$file")

build() { # TARGET
    local options=()
    [ -n "${BASE:-}" ] && options+=(--build-arg "BASE=$BASE")
    # Podman's own format has no health checks.
    [ "$engine" = podman ] && options+=(--format docker)
    [ "${LOCAL:-}" = 1 ] && options+=(--isolation=chroot --network=host)
    # What pip needs here, it needs there.
    [ -n "${PIP_INDEX_URL:-}" ] && options+=(--build-arg "PIP_INDEX_URL=$PIP_INDEX_URL")
    if [ -n "${PIP_CERT:-}" ] && [ "$engine" = podman ]; then
        options+=(--build-arg PIP_CERT=/etc/ssl/pip.crt -v "$PIP_CERT:/etc/ssl/pip.crt:ro")
    fi
    say "building the image of the $1"
    "$engine" build -q "${options[@]}" -f "$root/docker/Dockerfile" --target "$1" -t "statefun-$1" "$root" >/dev/null
}

container() { # SERVICE
    "$engine" ps -aq --filter "label=com.docker.compose.project=$project" \
        --filter "label=com.docker.compose.service=$1" | head -1
}

on_broker() { # a tool of Kafka's, and its arguments
    local tool=$1
    shift
    "$engine" exec -i "$(container "$broker")" "/opt/kafka/bin/$tool" --bootstrap-server "$broker:9092" "$@"
}

ready() { # SERVICE
    "$engine" exec "$(container "$1")" python3 -c \
        "import urllib.request as r; r.urlopen('http://127.0.0.1:9090/readyz', timeout=3)" >/dev/null 2>&1
}

wait_for() { # SECONDS COMMAND…
    local ends=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $ends ] || return 1
        sleep 1
    done
}

all_ready() {
    for worker in "${workers[@]}"; do ready "$worker" || return 1; done
}

send() { # NAMES…
    local tries=0
    until printf '%s:greet\n' "$@" |
        on_broker kafka-console-producer.sh --topic names --property parse.key=true --property key.separator=: \
            >"$work/send.log" 2>&1; do
        # Where a container has just gone, Podman's names are away for a moment; then nothing was sent.
        grep -q "No resolvable bootstrap" "$work/send.log" && [ $((tries += 1)) -lt 10 ] ||
            { tail -20 "$work/send.log" >&2; fail "names could not be sent"; }
        sleep 1
    done
    sent+=("$@")
}

wanted() { # NAME: the greetings of one name, in order
    local times=0 name
    for name in "${sent[@]}"; do
        [ "$name" = "$1" ] || continue
        times=$((times + 1))
        if [ $times = 1 ]; then echo "Hello $name!"; else echo "Hello again $name! You were seen $times times."; fi
    done
}

greetings() {
    on_broker kafka-console-consumer.sh --topic greetings --from-beginning --isolation-level read_committed \
        --timeout-ms "${1:-6000}" 2>/dev/null
}

are_right() {
    local name
    greetings >"$work/found" || true
    for name in $(printf '%s\n' "${sent[@]}" | sort -u); do
        wanted "$name" >"$work/wanted"
        grep -E " $name!" "$work/found" | cmp -s - "$work/wanted" || return 1
    done
    [ "$(wc -l <"$work/found")" = ${#sent[@]} ]
}

check() { # WHAT
    wait_for 120 are_right || {
        cat "$work/found" >&2
        fail "the greetings $1 are not those of: ${sent[*]}"
    }
    say "$1: ${#sent[@]} greetings, each once and in order"
}

work=$(mktemp -d)
sent=()
end() {
    local status=$?
    if [ $status != 0 ]; then
        for worker in "${workers[@]}"; do "$engine" logs --tail 30 "$(container "$worker")" >&2 || true; done
    fi
    if [ "${KEEP:-}" = 1 ]; then
        say "left running as project $project; end it with: ${compose[*]} down -v"
    else
        "${compose[@]}" down -v >/dev/null 2>&1 || true
    fi
    rm -rf "$work"
}
trap end EXIT

if [ "${LOCAL:-}" = 1 ]; then
    say "making images (the first time takes some minutes)"
    if [ "$what" = cluster ]; then "$root/docker/local/images.sh" kafka s3; else "$root/docker/local/images.sh" kafka; fi
    export BASE=${BASE:-localhost/debian-python:bookworm}
    export KAFKA_IMAGE=localhost/local-kafka:4.1.0 S3_IMAGE=localhost/local-s3:v1.8.0
    export WORKER_IMAGE=localhost/statefun-worker FUNCTIONS_IMAGE=localhost/statefun-functions
fi
build worker
build functions
say "starting ${services[*]:-everything} of ${file##*/}"
timeout 300 "${compose[@]}" up -d --no-build "${services[@]}" >"$work/up.log" 2>&1 || { cat "$work/up.log" >&2; fail "it does not start"; }

wait_for 90 on_broker kafka-topics.sh --create --if-not-exists --topic names --partitions 6 >/dev/null 2>&1 ||
    fail "the broker does not come up"
on_broker kafka-topics.sh --create --if-not-exists --topic greetings --partitions 6 >/dev/null
wait_for 120 all_ready || fail "the workers are not ready"
say "ready after $SECONDS s"

send Bob Ada Bob Bob
check "before anything was killed"
say "kill -9 of ${workers[0]}"
"$engine" kill --signal KILL "$(container "${workers[0]}")" >/dev/null
send Bob Eve Bob Ada
[ ${#workers[@]} = 1 ] || check "while ${workers[0]} is gone"
"$engine" start "$(container "${workers[0]}")" >/dev/null
send Eve Zoe Bob
check "after ${workers[0]} was killed"
for worker in "${workers[@]}"; do
    said=$("$engine" logs "$(container "$worker")" 2>&1)
    grep -qE "Traceback|CRITICAL" <<<"$said" && fail "$worker had a bug"
done
say "stopping"
"$engine" stop -t 40 "$(container "${workers[0]}")" >/dev/null
[ "$("$engine" inspect -f '{{.State.ExitCode}}' "$(container "${workers[0]}")")" = 0 ] || fail "${workers[0]} did not stop cleanly"
say "all is well"
