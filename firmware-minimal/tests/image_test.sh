#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The image is a function of its sources: built again from a copy in another
# folder, at another time and in another language, it has the same bytes.
set -eu

fail() {
	echo "image_test: $*" >&2
	exit 1
}

if [ -z "${ARM_GCC:-}" ] || [ "$ARM_GCC" = no ]; then
	echo 'image_test: no arm-none-eabi-gcc was found by configure, so there is no image' >&2
	exit 77
fi
first=$FIRMWARE_BUILD
[ -f "$first/firmware-minimal.bin" ] || fail "$first/firmware-minimal.bin was not built"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
copy=$work/another/place
mkdir -p "$copy/firmware-minimal"
cp "$FIRMWARE_SRC/../configure.ac" "$copy/"
for part in Makefile board hal drivers tls mqtt provision app scripts; do
	cp -R "$FIRMWARE_SRC/$part" "$copy/firmware-minimal/"
done
bearssl=${BEARSSL:-$first/bearssl}
cp -R "$bearssl" "$work/library"
chmod -R u+w "$work"
LC_ALL=C TZ=Pacific/Kiritimati make -C "$copy/firmware-minimal" O="$work/out" \
	BEARSSL="$work/library" CROSS="${ARM_GCC%gcc}" >"$work/log" 2>&1 || {
	tail -n 30 "$work/log" >&2
	fail 'the copy did not build'
}
for form in bin hex elf; do
	cmp "$first/firmware-minimal.$form" "$work/out/firmware-minimal.$form" ||
		fail "the .$form of the copy has other bytes"
done
if strings "$first/firmware-minimal.bin" | grep -F -e "$FIRMWARE_SRC" -e "$first"; then
	fail 'the image names a folder of this machine'
fi
cat "$first/figures.txt"
