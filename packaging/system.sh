# shellcheck shell=bash
# System libraries and programs: what is missing, and getting it where that is allowed.
# Sourced by setup.sh.

# One need a line: how to see that it is there, then the Debian/Ubuntu package that brings it.
# The X libraries are those that Qt's xcb plugin loads; PySide6's and sounddevice's wheels bring
# neither them nor PortAudio.
NEEDS_OF_RUN='
library libportaudio.so.2     libportaudio2
library libEGL.so.1           libegl1
library libGL.so.1            libgl1
library libglib-2.0.so.0      libglib2.0-0
library libxkbcommon-x11.so.0 libxkbcommon-x11-0
library libxcb-cursor.so.0    libxcb-cursor0
library libxcb-icccm.so.4     libxcb-icccm4
library libxcb-keysyms.so.1   libxcb-keysyms1
library libxcb-image.so.0     libxcb-image0
library libxcb-render-util.so.0 libxcb-render-util0
library libxcb-shape.so.0     libxcb-shape0
library libxcb-randr.so.0     libxcb-randr0
library libxcb-xkb.so.1       libxcb-xkb1
library libX11-xcb.so.1       libx11-xcb1
library libdbus-1.so.3        libdbus-1-3
library libfontconfig.so.1    libfontconfig1
file    /usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so libasound2-plugins
program pactl                 pulseaudio-utils
file    /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc fonts-noto-cjk
'
NEEDS_OF_TEST='
program pipewire              pipewire
program pipewire-pulse        pipewire-pulse
program wireplumber           wireplumber
program paplay                pulseaudio-utils
program dbus-daemon           dbus
program Xvfb                  xvfb
program xdotool               xdotool
program openbox               openbox
program desktop-file-validate desktop-file-utils
program appstreamcli          appstream
program shellcheck            shellcheck
program espeak-ng             espeak-ng
program flock                 util-linux
program unshare               util-linux
program git                   git
program pgrep                 procps
'

# missing_packages run|test : the packages of those needs that are not met, one line, space between
missing_packages() {
  local needs="$NEEDS_OF_RUN" known how what package found="" missing=""
  [ "$1" = test ] && needs="$needs$NEEDS_OF_TEST"
  known=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null || true)
  while read -r how what package; do
    [ -n "$how" ] || continue
    found=yes
    case $how in
      library) case $known in *"$what "*) ;; *) found="" ;; esac ;;
      program) command -v "$what" >/dev/null 2>&1 || found="" ;;
      file) compgen -G "$what" >/dev/null 2>&1 || found="" ;;
    esac
    if [ -z "$found" ]; then
      case " $missing " in *" $package "*) ;; *) missing="$missing $package" ;; esac
    fi
  done <<<"$needs"
  printf '%s' "${missing# }"
}

# may_install : how to become root without asking anybody; false where that can't be
may_install() {
  [ "${SONGID_SETUP_SYSTEM:-yes}" != no ] || return 1
  command -v apt-get >/dev/null 2>&1 || return 1
  if [ "$(id -u)" = 0 ]; then
    AS_ROOT=()
  elif command -v sudo >/dev/null 2>&1 && sudo -n true >/dev/null 2>&1; then
    AS_ROOT=(sudo -n)
  else
    return 1
  fi
}

apt() {
  # Waits for another package manager instead of failing, asks nothing, tries a download again.
  # Its hundreds of lines are shown only where they explain a failure.
  local output status=0
  output=$(${AS_ROOT[@]+"${AS_ROOT[@]}"} env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l \
    apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" \
    </dev/null 2>&1) || status=$?
  [ "$status" = 0 ] || tail -n 15 <<<"$output" >&2
  return "$status"
}

# install_packages PACKAGE... : with the lists there are, else with fresh ones; three tries
install_packages() {
  local try
  for try in 1 2 3; do
    if [ "$try" != 1 ] || ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
      # A source that is out of reach is no reason to stop: the package may come from another.
      apt update || say "Some package lists could not be fetched; going on with those there are."
    fi
    apt install --no-install-recommends -y "$@" && return 0
    [ "$try" = 3 ] || { say "Installing failed; trying again."; sleep $((try * 3)); }
  done
  return 1
}

# set_up_system run|test : installs what is missing, or says what is; false if something is still
# missing
set_up_system() {
  local missing
  [ "$(uname -s)" = Linux ] || return 0
  missing=$(missing_packages "$1")
  [ -n "$missing" ] || return 0
  if may_install; then
    say "Installing system packages: $missing"
    # shellcheck disable=SC2086  # a list of names
    install_packages $missing || say "Not all system packages could be installed."
    missing=$(missing_packages "$1")
    [ -n "$missing" ] || return 0
  fi
  say "These system packages are missing: $missing"
  if command -v apt-get >/dev/null 2>&1; then
    say "To install them:  sudo apt-get install -y $missing"
  else
    say "(Those are Debian's names; your system's package manager has the same libraries.)"
  fi
  say "Going on without them. The window needs the lib… ones, the microphone libportaudio2 and"
  say "libasound2-plugins; pulseaudio-utils lists sound sources, fonts-noto-cjk draws Asian titles."
  return 1
}
