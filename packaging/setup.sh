# shellcheck shell=bash
# Sets up the virtual environment `.venv/` at the project's root. Sourced by run.sh and test.sh,
# which say `set_up run` or `set_up test`.
#
# A stamp in `.venv/` holds a digest of everything that decides what is in there; while it is true,
# a start costs two small processes. The stamp is written last, so what was interrupted half-way is
# seen and made again. One set-up runs at a time, the others wait for it.

ROOT=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)
VENV="$ROOT/.venv"
CONSTRAINTS="$ROOT/packaging/constraints.txt"

say() { printf '%s\n' "$*" >&2; }

# shellcheck source=packaging/system.sh
. "$ROOT/packaging/system.sh"

digest() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi | cut -c1-64
}

# stamp_of run|test : what the stamp of an up-to-date environment says
stamp_of() {
  # A Python that was replaced under the environment (a system upgrade) has another size or date.
  local interpreter
  interpreter=$(stat -L -c '%s %Y' "$VENV/bin/python" 2>/dev/null ||
    stat -L -f '%z %m' "$VENV/bin/python" 2>/dev/null) || return 1
  {
    printf '%s\n' "$1" "$ROOT" "$interpreter"
    cat "$ROOT/pyproject.toml" "$CONSTRAINTS" "$ROOT"/packaging/s*.sh
  } | digest
}

is_up_to_date() {
  local stamp
  [ -x "$VENV/bin/python" ] && [ -r "$VENV/.songid-$1" ] || return 1
  read -r stamp <"$VENV/.songid-$1" || return 1
  [ "$stamp" = "$(stamp_of "$1")" ]
}

# find_python : a Python that is new enough, into $BASE_PYTHON
find_python() {
  local name seen=""
  for name in ${SONGID_PYTHON:+"$SONGID_PYTHON"} python3 python3.13 python3.12 python3.11 python3.14
  do
    command -v "$name" >/dev/null 2>&1 || continue
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      BASE_PYTHON=$name
      return 0
    fi
    seen="$seen, $name is $("$name" --version 2>&1 | head -n 1)"
  done
  if [ -z "$seen" ] && may_install && install_packages python3 python3-venv; then
    BASE_PYTHON=python3
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' && return 0
    seen=", python3 is $(python3 --version 2>&1)"
  fi
  say "SongID Desktop needs Python 3.11 or later, and there is none on the PATH${seen}."
  say "Debian 12, Ubuntu 24.04 and later have it:  sudo apt-get install -y python3 python3-venv"
  say "Another one can be named:  SONGID_PYTHON=/path/to/python3 bash packaging/run.sh"
  return 1
}

# have_venv_module : Debian ships Python without the half that makes environments
have_venv_module() {
  local package
  "$BASE_PYTHON" -c 'import ensurepip, venv' >/dev/null 2>&1 && return 0
  package=$("$BASE_PYTHON" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
  if may_install; then
    say "Installing system packages: $package"
    install_packages "$package" && "$BASE_PYTHON" -c 'import ensurepip' 2>/dev/null && return 0
  fi
  say "Python's venv module is missing. To install it:  sudo apt-get install -y $package"
  return 1
}

# clear_venv : removes an environment, but never a folder that is something else
clear_venv() {
  [ -e "$VENV" ] || [ -L "$VENV" ] || return 0
  if [ ! -e "$VENV/pyvenv.cfg" ] && [ ! -e "$VENV/.songid-begun" ] && [ -n "$(ls -A "$VENV")" ]; then
    say "$VENV is in the way: it is no virtual environment. Move it elsewhere and start again."
    return 1
  fi
  rm -rf -- "$VENV"
}

make_venv() {
  if ! find_python || ! have_venv_module || ! clear_venv; then return 1; fi
  if mkdir -- "$VENV" && : >"$VENV/.songid-begun" && "$BASE_PYTHON" -m venv -- "$VENV"; then
    return 0
  fi
  say "The virtual environment could not be made in $VENV (disk full, or no permission?)."
  return 1
}

# is_somebodys : a sound environment that we did not make; it is used, not thrown away
is_somebodys() {
  [ -e "$VENV/pyvenv.cfg" ] && [ ! -e "$VENV/.songid-begun" ] && [ ! -e "$VENV/.songid-root" ] &&
    "$VENV/bin/python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# is_ours : made here, for this folder, and not left half-way
is_ours() {
  local made_for
  is_usable && [ -r "$VENV/.songid-root" ] && read -r made_for <"$VENV/.songid-root" &&
    [ "$made_for" = "$ROOT" ]
}

pip_install() {
  local show=(--quiet)
  [ -t 2 ] && show=(--progress-bar on) # minutes of silence look like a hang
  PIP_USER=0 "$VENV/bin/python" -m pip install "${show[@]}" --no-input \
    --disable-pip-version-check --constraint "$CONSTRAINTS" "$@" </dev/null >&2
}

# say_how_much : PyTorch's plain build on Linux is for NVIDIA cards, and large; said where there is no
# such card and pip was told of no other place that may have the CPU build
say_how_much() {
  local settings
  [ "$(uname -s)" = Linux ] && grep -q '^torch==' "$CONSTRAINTS" || return 0
  command -v nvidia-smi >/dev/null 2>&1 && return 0
  settings=$("$VENV/bin/python" -m pip config list 2>/dev/null)
  grep -Eq "(index-url|find-links)='.+'" <<<"$settings" && return 0
  say "PyTorch comes with this, and its plain build brings gigabytes for NVIDIA cards. None is seen"
  say "here: README.md says how to get the CPU build instead (0.2 GB). Ctrl+C now stops this, and"
  say "the next start begins anew; without, it goes on."
}

# fill_venv run|test : the pinned dependencies, and the project itself so that changes apply
fill_venv() {
  local extras="" builders
  [ "$1" = test ] && extras="[test]"
  builders=$("$VENV/bin/python" -c 'import sys, tomllib
print("\n".join(tomllib.load(open(sys.argv[1], "rb"))["build-system"]["requires"]))' \
    "$ROOT/pyproject.toml") || return 1
  # The builder is installed, not fetched into a throw-away environment: pinned like all else.
  if [ -n "$builders" ]; then
    printf '%s\n' "$builders" >"$VENV/.songid-builders"
    pip_install --requirement "$VENV/.songid-builders" || return 1
  fi
  (cd "$ROOT" && pip_install --no-build-isolation --editable ".$extras")
}

# is_usable : the environment can start the program, whatever its stamp says
is_usable() {
  [ -x "$VENV/bin/songid" ] && [ ! -e "$VENV/.songid-begun" ] &&
    "$VENV/bin/python" -c 'import songid_desktop' >/dev/null 2>&1
}

set_up_venv() {
  local kind=$1 was_usable=""
  is_up_to_date "$kind" && return 0 # another start finished it while we waited
  if is_ours; then
    was_usable=yes
    say "Bringing $VENV up to date…"
  elif is_somebodys; then
    say "Installing into the virtual environment that is there, $VENV…"
  else
    say "Setting up in $VENV: once, a few minutes…"
    make_venv || return 1
    say_how_much
  fi
  : >"$VENV/.songid-begun" # still there at the next start: that start begins anew
  rm -f -- "$VENV/.songid-run" "$VENV/.songid-test"
  if ! fill_venv "$kind"; then
    rm -f -- "$VENV/.songid-begun"
    if [ "$kind" = run ] && [ -n "$was_usable" ] && is_usable; then
      say "The dependencies could not be brought up to date (no network?); going on with the old."
      return 0
    fi
    : >"$VENV/.songid-begun"
    say "The dependencies could not be installed; the reason stands above. A first start needs the"
    say "network; what was fetched is kept, so the next start goes on from here."
    return 1
  fi
  printf '%s\n' "$ROOT" >"$VENV/.songid-root"
  [ "$kind" = test ] && stamp_of test >"$VENV/.songid-test"
  stamp_of run >"$VENV/.songid-run"
  rm -f -- "$VENV/.songid-begun"
}

# set_up_once run|test : all of it, alone
set_up_once() {
  local system=complete
  if command -v flock >/dev/null 2>&1; then
    # The lock is on the project's folder itself, so there is no lock file to leave behind.
    if ! flock -n 9 2>/dev/null; then
      say "Another start is setting up; waiting for it…"
      flock 9 2>/dev/null || true
    fi
  fi
  if ! is_system "$1" complete; then
    set_up_system "$1" || system=incomplete
  fi
  set_up_venv "$1" || return 1
  system_stamp "$system" >"$VENV/.songid-system-$1"
}

system_stamp() {
  printf '%s %s\n' "$1" "$(digest <"$ROOT/packaging/system.sh")"
}

# is_system run|test complete|incomplete : what the last look at the system's packages came to
is_system() {
  local stamp
  [ -r "$VENV/.songid-system-$1" ] && read -r stamp <"$VENV/.songid-system-$1" &&
    [ "$stamp" = "$(system_stamp "$2")" ]
}

# set_up run|test : ready to go on, or false after saying why
set_up() {
  local missing
  if is_up_to_date "$1"; then
    is_system "$1" complete && return 0
    # Once it was tried and said at length; now a start only looks, and a start without network
    # does not wait for package lists.
    if [ "$1" = run ] && is_system run incomplete; then
      missing=$(missing_packages run)
      if [ -n "$missing" ]; then
        say "Still missing: $missing   (sudo apt-get install -y $missing)"
        return 0
      fi
    fi
  fi
  if [ ! -w "$ROOT" ]; then
    is_usable && return 0
    say "$ROOT can't be written to, so nothing can be set up there. Copy the project to a folder of"
    say "your own and start it from there."
    return 1
  fi
  (set_up_once "$1") 9<"$ROOT"
}
