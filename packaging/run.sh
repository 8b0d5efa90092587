#!/usr/bin/env bash
# Sets up what is needed, once, and starts SongID Desktop:
#   bash packaging/run.sh                       the window
#   bash packaging/run.sh identify clip.wav     the command line (--help lists its verbs)
set -uo pipefail

here=${BASH_SOURCE[0]}
while [ -L "$here" ]; do # started through a link
  link=$(readlink -- "$here")
  case $link in /*) here=$link ;; *) here=$(dirname -- "$here")/$link ;; esac
done
# shellcheck source=packaging/setup.sh
. "$(dirname -- "$here")/setup.sh"

trap 'say "Set-up was interrupted; the next start makes it whole."; exit 130' INT TERM
set_up run || exit 3
trap - INT TERM

if [ $# = 0 ] && [ "$(uname -s)" = Linux ] &&
  [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}${QT_QPA_PLATFORM:-}" ]; then
  say "There is no screen here to open the window on (neither DISPLAY nor WAYLAND_DISPLAY is set)."
  say "The command line works without one, for example:"
  say "  bash packaging/run.sh demo"
  say "  bash packaging/run.sh enroll ~/Music"
  say "  bash packaging/run.sh identify clip.wav"
  exit 3
fi

exec "$VENV/bin/songid" "$@"
