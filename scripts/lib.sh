# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What quickstart and check share: a supported system, the packages of
# packages.txt, waiting without sleeping blindly, free ports, quiet commands
# with a log. To be sourced; the caller sets `top` to the source folder and has
# say_done(), which prints a line about what was done.
: "${top:?}"

# A sentence on stderr, and the end.
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

have() {
	command -v "$1" >/dev/null 2>&1
}

# ---- the system -----------------------------------------------------------------

# Is version $1 at least $2? Numbers joined by dots.
version_at_least() {
	[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# Debian 12, Ubuntu 22.04, or later. Says why not; testing and sid have no
# version number and are newer than both.
require_supported_system() {
	local ID='' VERSION_ID='' PRETTY_NAME='this system'
	local wanted='Debian 12 or later, or Ubuntu 22.04 or later, is needed'

	[ -r /etc/os-release ] || die "there is no /etc/os-release on this system; $wanted"
	# shellcheck source=/dev/null
	. /etc/os-release
	case $ID in
	debian) version_at_least "${VERSION_ID:-999}" 12 ||
		die "$PRETTY_NAME is too old; $wanted" ;;
	ubuntu) version_at_least "${VERSION_ID:-999}" 22.04 ||
		die "$PRETTY_NAME is too old; $wanted" ;;
	*) die "$PRETTY_NAME is not supported; $wanted" ;;
	esac
	if ! have dpkg-query || ! have apt-get; then
		die "dpkg and apt-get are missing, though this is $PRETTY_NAME"
	fi
}

# require_folder FOLDER: it is there, and we may write into it and into all
# that somebody else's run has left there; make distcheck leaves closed folders
# of our own.
require_folder() {
	local closed=$1

	if mkdir -p "$1" 2>/dev/null && [ -w "$1" ]; then
		closed=$(find "$1" ! -writable ! -user "$(id -u)" -print -quit 2>/dev/null) || true
	fi
	[ -z "$closed" ] ||
		die "$closed cannot be written. It is read-only, or somebody else's, such as
    root's from a run with sudo; then remove $top/build, or take a copy of the
    source that is yours"
}

# "; only 12 KiB are left in FOLDER" when that may be why something failed.
room_left() {
	local left

	left=$(df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4 }')
	if [ -n "$left" ] && [ "$left" -lt 4096 ]; then
		printf '; only %d KiB are left in %s' "$left" "$1"
	fi
}

# ---- packages -------------------------------------------------------------------

# The packages of the named groups of packages.txt, one a line.
packages_of() {
	awk -v groups=" $* " '
		/^# \[/ { name = $2; gsub(/[][]/, "", name); on = index(groups, " " name " ") }
		/^[a-z0-9]/ { if (on) print $1 }' "$top/packages.txt"
}

# Those of the packages given on stdin that are not installed. One that an
# installed package provides (pkg-config by pkgconf) is there.
missing_packages() {
	local installed

	installed=$(dpkg-query -W -f '${db:Status-Status}\t${Package}, ${Provides}\n' |
		sed -n 's/^installed\t//p' | tr ',' '\n' | sed 's/^ *//; s/[ :].*//' | sort -u)
	sort -u | comm -23 - <(printf '%s\n' "$installed")
}

# Prints the prefix that makes apt-get work ("" or "sudo"); false: none does.
root_command() {
	if [ "$(id -u)" -eq 0 ]; then
		echo ''
	elif have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
		echo sudo
	else
		return 1
	fi
}

# Install what is missing of the named groups; nothing happens when nothing is.
install_packages() {
	local log=$1 sudo
	local -a missing

	shift
	mapfile -t missing < <(packages_of "$@" | missing_packages)
	if [ "${#missing[@]}" -eq 0 ]; then
		say_done "all $(packages_of "$@" | wc -l) packages are installed"
		return 0
	fi
	sudo=$(root_command) ||
		die "packages are missing, and this is neither root nor a user with sudo. Run:
    apt-get install ${missing[*]}"
	say_done "installing ${missing[*]}"
	# shellcheck disable=SC2086 # $sudo is one word or none
	quietly "$log" $sudo apt-get update -q ||
		die "apt-get update failed; is the network there? The lines above say more"
	# shellcheck disable=SC2086
	quietly "$log" $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
		--no-install-recommends "${missing[@]}" ||
		die "packages could not be installed; the lines above say why"
}

# ---- running things ----------------------------------------------------------------

# Run a command with its output appended to a log file; on failure show the
# end of the log.
quietly() {
	local log=$1

	shift
	printf '\n$ %s\n' "$*" >>"$log"
	if ! "$@" >>"$log" 2>&1 </dev/null; then
		tail -n 40 "$log" >&2
		printf '(all of it: %s)\n' "$log" >&2
		return 1
	fi
}

# Ask again and again until the command succeeds; false after $1 seconds.
wait_for() {
	local end=$((SECONDS + $1))

	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# ---- ports ------------------------------------------------------------------------

# Does somebody answer on 127.0.0.1 at this port?
port_is_taken() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# A port nobody answers on, below the range that the kernel gives to clients.
free_port() {
	local port tries

	for tries in {1..100}; do
		port=$((20000 + (RANDOM * tries) % 12000))
		if ! port_is_taken "$port"; then
			echo "$port"
			return 0
		fi
	done
	die 'no free port between 20000 and 32000 was found'
}

# Who listens there, as far as we may know: " (mosquitto, process 12)" or nothing.
port_owner() {
	have ss || return 0
	ss -Hltnp "sport = :$1" 2>/dev/null |
		sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/ (\1, process \2)/p' | head -n 1
}

# ---- building ------------------------------------------------------------------------

# Make ./configure where there is none, or where what it is made of is newer.
bootstrap() {
	if [ -x "$top/configure" ] && [ -f "$top/Makefile.in" ] &&
		[ -z "$(find "$top" -path "$top/build" -prune -o \
			\( -name configure.ac -o -name Makefile.am -o -name '*.inc' \) \
			-newer "$top/Makefile.in" -print -quit)" ]; then
		return 0
	fi
	quietly "$1" autoreconf -fi "$top"
}

# Configure (when the options are not those of last time) and build:
# build_in FOLDER LOG [OPTION...]
build_in() {
	local folder=$1 log=$2

	shift 2
	mkdir -p "$folder" || return 1
	if [ ! -f "$folder/Makefile" ] || [ "$(cat "$folder/.options" 2>/dev/null)" != "$*" ]; then
		(cd "$folder" && quietly "$log" "$top/configure" "$@") || return 1
		printf '%s\n' "$*" >"$folder/.options"
	fi
	quietly "$log" make -C "$folder" -j"$(nproc)"
}
