#!/usr/bin/env bash
# Sets up what is needed and runs every gate and every test:
#   bash packaging/test.sh                      everything
#   bash packaging/test.sh tests/audio -k ring  only these tests (arguments of pytest)
# Ends non-zero when anything failed; the last lines say what.
set -uo pipefail

# shellcheck source=packaging/setup.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

if ! set_up test; then
  say "FAILED: the set-up; no gate and no test ran."
  exit 3
fi
cd "$ROOT" || exit 3
export PATH="$VENV/bin:$PATH"
if [ "$(uname -s)" = Linux ] && [ -z "$(missing_packages test)" ]; then
  export SONGID_REQUIRE_TOOLS=1 # everything is here, so a skipped test would hide something
fi

if [ $# -gt 0 ]; then
  exec python -m pytest "$@"
fi

passed=()
failed=()

# gate NAME COMMAND... : runs it, remembers how it went, goes on
gate() {
  local name=$1 began=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  if "$@" </dev/null; then
    passed+=("$name")
    printf '== %s: ok (%d s)\n' "$name" $((SECONDS - began))
  else
    failed+=("$name")
    printf '== %s: FAILED (%d s)\n' "$name" $((SECONDS - began))
  fi
}

if is_system test complete; then
  gate "system packages" true
elif [ -n "${CI:-}" ]; then
  gate "system packages" false # nothing is skipped silently where nobody reads the log
else
  printf 'Not complete on this machine, so tests that need it are skipped: %s\n' \
    "$(missing_packages test)"
fi

check_shell() { shellcheck --external-sources packaging/*.sh .ci/run; }

gate "format" ruff format --check .
gate "lint" ruff check --output-format concise .
gate "types" mypy
gate "import rules" lint-imports
if command -v shellcheck >/dev/null; then
  gate "shell" check_shell
else
  printf '\n== shell: skipped, shellcheck is not installed\n'
fi
gate "tests" python -m pytest

printf '\n'
for name in "${passed[@]+"${passed[@]}"}"; do printf 'ok      %s\n' "$name"; done
for name in "${failed[@]+"${failed[@]}"}"; do printf 'FAILED  %s\n' "$name"; done
printf 'gates: %d passed, %d failed\n' "${#passed[@]}" "${#failed[@]}"
[ "${#failed[@]}" = 0 ]
