#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What no compiler sees: every header compiles alone, and what a folder of src
# includes lies below it. `layers` is the list of that; a folder that is not
# in it fails.
set -u
src=${TEST_SOURCES:?}/../src
build=$(pwd)
: "${CC:=cc}"
failed=0

# Each folder, and the folders it may include from besides its own.
layers='
base:
mqtt: base
topic: base mqtt
conf: base topic
pki: base
identity: base conf pki
register: base
loop: base
tls: base pki
upstream: base loop
relay: base mqtt topic
spool: base loop
diagnose: base mqtt
session: base conf pki identity register loop tls upstream relay spool diagnose
uplink: base mqtt topic loop upstream spool
ctl: base loop
gatewayctl: base mqtt topic conf pki identity register ctl provision
gatewayd: base mqtt register session spool uplink ctl
'

fail()
{
	echo "$*"
	failed=1
}

# "src/session/worker.c base/log.h" of every include in quotes.
includes=$(cd "$src" && grep -oE '^#include "[^"]+"' -- */*.[ch] | sed 's/:#include "/ /; s/"$//')
count=0
while read -r file header; do
	folder=${file%%/*}
	from=${header%%/*}
	count=$((count + 1))
	if [ "$from" = "$header" ] || [ "$from" = "$folder" ]; then
		continue
	fi
	below=$(printf '%s\n' "$layers" | sed -n "s/^$folder:/ /p")
	case "$below " in
	*" $from "*) ;;
	*) fail "src/$file: includes $header, which is not below $folder" ;;
	esac
	case $header in
	*_int.h) fail "src/$file: includes $header, which is $from's own" ;;
	esac
done <<END
$includes
END
[ "$count" -gt 500 ] || fail "only $count includes were found in $src"

alone()
{
	[ -n "$*" ] || fail 'no headers were found'
	# shellcheck disable=SC2086 # flags are words
	$CC -std=gnu11 -fsyntax-only -Werror -Wstrict-prototypes -I. -I"$build" -include config.h \
		${TREE_CFLAGS:-} -I../src -I../firmware-minimal -x c "$@" || failed=1
}
(cd "$src" && alone ./*/*.h; exit "$failed") || failed=1
(cd "$src/../firmware-minimal" && alone ./[!t]*/*.h ./tls/*.h; exit "$failed") || failed=1
exit "$failed"
