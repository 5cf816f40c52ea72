#!/usr/bin/env bash
# Runs groups of members of two builds, moves and kills answers in the middle, and compares the text. See bench/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  echo "usage: bench/mixed-group.sh BEFORE [AFTER]; each is a commit of this repository, or a directory with a skein program" >&2
  exit 2
}

# Prints the program of a directory, or of a commit, which it builds in artifacts/compare/.
program_of() {
  if [[ -d $1 ]]; then
    [[ -x $1/skein ]] || { echo "'$1' has no skein program; allowed: a directory with one, such as artifacts/bin/Skein.Cli/release" >&2; exit 2; }
    echo "$(cd "$1" && pwd)/skein"
    return
  fi
  local commit tree
  commit=$(git rev-parse --verify --quiet "$1^{commit}") || { echo "'$1' is not a commit and not a directory; allowed: either" >&2; exit 2; }
  tree=$PWD/artifacts/compare/$commit
  if [[ ! -x $tree/artifacts/bin/Skein.Cli/release/skein ]]; then
    rm -rf "$tree"
    mkdir -p "$tree"
    git archive "$commit" | tar -x -C "$tree"
    (cd "$tree" && dotnet build -c Release -v q -p:RunAnalyzers=false src/Skein.Cli >&2)
  fi
  echo "$tree/artifacts/bin/Skein.Cli/release/skein"
}

[[ $# -ge 1 && $# -le 2 && $1 != -* ]] || usage
declare -A program pid
program[before]=$(program_of "$1")
if [[ $# -eq 2 ]]; then
  program[after]=$(program_of "$2")
else
  dotnet build -c Release -v q -p:RunAnalyzers=false src/Skein.Cli >&2
  program[after]=$PWD/artifacts/bin/Skein.Cli/release/skein
fi

work=$(mktemp -d)
failures=0
stop_members() {
  local name
  for name in "${!pid[@]}"; do
    kill -9 "${pid[$name]}" 2>/dev/null || true
    wait "${pid[$name]}" 2>/dev/null || true
  done
  pid=()
}
trap 'stop_members; rm -rf "$work"' EXIT

# wait_for SECONDS WHAT COMMAND...: polls until the command succeeds.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    if ((SECONDS >= deadline)); then
      echo "FAIL: no $what; the logs of the members end with:" >&2
      tail -n 5 "$work"/*.log >&2
      exit 1
    fi
    sleep 0.1
  done
}

logged() { grep -q "$2" "$work/$1.log"; }
has_bytes() { (($(stat -c %s "$1") >= $2)); }
has_alive() { (($(curl -sf "http://$http/admin/v1/members" | grep -o '"state":"alive"' | wc -l) == $1)); }
undrain() { curl -sf -o "$work/undrain.json" -X POST -H 'content-type: application/json' -d '{}' "http://$http/admin/v1/replicas/$1/undrain"; }
chat() { "$skein" chat --gateway "http://$http" --temperature 0 --max-tokens "$1" "What is a group of two builds?"; }

# start_replica BUILD: the replica is named after its build.
start_replica() {
  "${program[$1]}" replica --name "$1" --engine simulated --tokens-per-second 40 --grpc 0 --gossip 0 --join "$gossip" 2>"$work/$1.log" &
  pid[$1]=$!
}

# disturb HOW FROM TO: an answer begins on FROM, which is then drained or killed, and must end on TO as if nothing had happened.
disturb() {
  local how=$1 from=$2 to=$3 answer=$work/$1-$2.txt result=PASS client
  "$skein" drain "$to" --gateway "http://$http" --grace 0s >"$work/drain.log" 2>&1
  chat 600 >"$answer" 2>"$work/chat.log" &
  client=$!
  wait_for 60 "first tokens" has_bytes "$answer" 100
  undrain "$to"
  if [[ $how == drain ]]; then
    "$skein" drain "$from" --gateway "http://$http" --grace 0s >"$work/drain.log" 2>&1 || result="FAIL: $(tail -n 1 "$work/drain.log")"
  else
    kill -9 "${pid[$from]}"
    wait "${pid[$from]}" 2>/dev/null || true
  fi
  # The answer takes 15 s. If it has ended already, nothing was moved.
  kill -0 "$client" 2>/dev/null || result="FAIL: the answer ended before the $how"
  wait "$client" || result="FAIL: $(tail -n 1 "$work/chat.log")"
  [[ $how == drain ]] || grep -q elsewhere "$work/chat.log" || result="FAIL: no failover is reported: $(tail -n 1 "$work/chat.log")"
  cmp -s "$answer" "$work/undisturbed.txt" || result="FAIL: the text differs from that of the undisturbed answer"
  if [[ $how == drain ]]; then
    undrain "$from"
  else
    start_replica "$from"
  fi
  wait_for 60 "return of the replica '$from'" has_alive 3
  [[ $result == PASS ]] || failures=$((failures + 1))
  printf '%-9s %-6s %-7s -> %-7s %s\n' "$gateway" "$how" "$from" "$to" "$result"
}

echo "gateway   fault  replicas           result"
for gateway in before after; do
  skein=${program[$gateway]}
  "$skein" gateway --name gateway --http 0 --grpc 0 --gossip 0 2>"$work/gateway.log" &
  pid[gateway]=$!
  wait_for 60 "gateway" logged gateway "gossip on"
  http=$(sed -nE 's/.*HTTP on http:\/\/([^,; ]+).*/\1/p' "$work/gateway.log" | head -n 1)
  gossip=$(sed -nE 's/.*gossip on ([^,; ]+).*/\1/p' "$work/gateway.log" | head -n 1)
  start_replica before
  start_replica after
  wait_for 60 "group of three members" has_alive 3
  chat 600 >"$work/undisturbed.txt" 2>"$work/chat.log"
  for how in drain kill; do
    disturb "$how" before after
    disturb "$how" after before
  done
  stop_members
done
if ((failures > 0)); then
  echo "FAIL: $failures of 8"
  exit 1
fi
echo "PASS: 8 of 8"
