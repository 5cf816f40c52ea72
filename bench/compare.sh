#!/usr/bin/env bash
# Compares the gateway's CPU time of the working tree with that of another commit. See bench/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ $# -lt 1 || $1 == -* ]]; then
  echo "usage: bench/compare.sh COMMIT [options of Skein.GatewayBench]" >&2
  exit 2
fi
commit=$(git rev-parse --verify --quiet "$1^{commit}") || { echo "'$1' is not a commit; allowed: any commit of this repository" >&2; exit 2; }
shift

before=$PWD/artifacts/compare/$commit
if [[ ! -x $before/artifacts/bin/Skein.Cli/release/skein ]]; then
  rm -rf "$before"
  mkdir -p "$before"
  git archive "$commit" | tar -x -C "$before"
  (cd "$before" && dotnet build -c Release -v q -p:RunAnalyzers=false src/Skein.Cli >&2)
fi
# Standard output is the report's.
dotnet build -c Release -v q -p:RunAnalyzers=false src/Skein.Cli >&2
dotnet build -c Release -v q -p:RunAnalyzers=false bench/Skein.GatewayBench >&2
exec artifacts/bin/Skein.GatewayBench/release/Skein.GatewayBench "$before/artifacts/bin/Skein.Cli/release" artifacts/bin/Skein.Cli/release "$@"
